"""Builds a TFLite file: tensors, constants, operators and their options.

In the terms of `edge.graph.network`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.graph.network import Layer
from edge.tflite.packing import encode
from edge.tflite.schema import schema

__all__ = ["TfliteFile", "add_options", "convolution_options", "resize_options"]

ACTIVATIONS = {"none": 0, "relu": 1, "relu6": 3}
"""ActivationFunctionType of tensorflow/lite/schema/schema.fbs."""
PADDINGS = {"SAME": 0, "VALID": 1}


class TfliteFile:
    """One graph, its tensors numbered as they come."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]  # the first one is empty, for tensors that are computed
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]
        self._codes: dict[tuple[str, int], int] = {}

    def tensor(self, name: str, shape: tuple[int, ...], dtype: str, scale: float | None = None, zero: int = 0) -> int:
        """Add a computed tensor and return its number.

        It is quantized if it has a `scale`.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = name.encode(), np.array(shape, np.int32), True
        tensor.type = getattr(schema.TensorType, dtype)
        if scale is not None:
            tensor.quantization = _quantization(np.array([scale]), np.array([zero]), 0)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, name: str, value: NDArray[Any], scales: NDArray[Any] | None = None, axis: int = 0) -> int:
        """Add a constant and return its number.

        `scales` are those of its channels along `axis`.
        """
        number = self.tensor(name, value.shape, value.dtype.name.upper())
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(value.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor = self._graph.tensors[number]
        tensor.buffer = len(self._model.buffers) - 1
        if scales is not None:
            tensor.quantization = _quantization(scales, np.zeros(len(scales), np.int64), axis)
        return number

    def operator(self, name: str, version: int, inputs: list[int], output: int, options: Any) -> None:
        """Add an operator, with `options` or None; operators run in the order they come."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name, version)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            operator.builtinOptions = options
        self._graph.operators.append(operator)

    def content(self, inputs: list[int], outputs: Mapping[str, int]) -> bytes:
        """Return the file's content."""
        self._graph.inputs = np.array(inputs, np.int32)
        self._graph.outputs = np.array(list(outputs.values()), np.int32)
        return encode(self._model)

    def _code(self, name: str, version: int) -> int:
        known = self._codes.setdefault((name, version), len(self._codes))
        if known == len(self._model.operatorCodes):
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
            code.version = version
            self._model.operatorCodes.append(code)
        return known


def add_options(layer: Layer) -> Any:
    """Return the options of an addition."""
    add = schema.AddOptionsT()
    add.fusedActivationFunction, add.potScaleInt16 = ACTIVATIONS[layer.activation], False
    return add


def resize_options(layer: Layer) -> Any:
    """Return the options of a bilinear resize."""
    resize = schema.ResizeBilinearOptionsT()
    resize.alignCorners, resize.halfPixelCenters = layer.align_corners, layer.half_pixel_centers
    return resize


def convolution_options(layer: Layer) -> Any:
    """Return the options of a convolution of either kind."""
    options = (schema.DepthwiseConv2DOptionsT if layer.kind == "depthwise" else schema.Conv2DOptionsT)()
    options.strideH, options.strideW = layer.stride
    options.padding = PADDINGS[layer.padding]
    options.fusedActivationFunction = ACTIVATIONS[layer.activation]
    options.dilationHFactor = options.dilationWFactor = 1
    if layer.kind == "depthwise":
        options.depthMultiplier = 1
    return options


def _quantization(scales: NDArray[Any], zeros: NDArray[Any], axis: int) -> Any:
    quantization = schema.QuantizationParametersT()
    quantization.scale = scales.astype(np.float32)
    quantization.zeroPoint = zeros.astype(np.int64)
    quantization.quantizedDimension = axis
    return quantization
