"""Writes a rounded network as an int8 TFLite file: per-channel weights, uint8 pixels in, int8 maps out.

Every operator is one that an Edge TPU takes; the zero points, axes and biases are those of
tensorflow.org/lite/performance/quantization_spec.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converter.graph import INPUT
from converter.network import Layer, Network
from converter.rounding import Codes, Rounded
from edge.models.packing import encode, schema

__all__ = ["write_int8"]

ACTIVATIONS = {"none": 0, "relu": 1, "relu6": 3}
PADDINGS = {"SAME": 0, "VALID": 1}
UINT8_SHIFT = 128
"""A pixel p is the int8 code p - 128."""


def write_int8(network: Network, codes: Mapping[int, Codes], rounded: Mapping[int, Rounded]) -> bytes:
    """Return the file's content; the outputs are named like their heads.

    Args:
        network: what was rounded.
        codes: by tensor, that of the input included.
        rounded: the convolutions by the tensor they make.
    """
    file = _File()
    pixels = codes[network.input]
    shape = network.shapes[network.input]
    image = file.tensor(INPUT, shape, "UINT8", Codes(pixels.scale, pixels.zero + UINT8_SHIFT))
    places = {network.input: file.tensor("pixels", shape, "INT8", pixels)}
    file.operator("QUANTIZE", 1, [image], places[network.input], schema.QuantizeOptionsT())
    names = {tensor: head for head, tensor in network.heads.items()}
    for number, layer in enumerate(network.layers):
        name = names.get(layer.output, f"{layer.kind}_{number}")
        places[layer.output] = file.tensor(name, network.shapes[layer.output], "INT8", codes[layer.output])
        _add_layer(file, layer, places, codes, rounded=rounded.get(layer.output), shape=network.shapes[layer.output])
    return file.content([image], {head: places[tensor] for head, tensor in network.heads.items()})


class _File:
    """A TFLite file in the making: one graph, tensors numbered as they come."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]  # the first one is empty, for tensors that are computed
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]
        self._codes: dict[tuple[str, int], int] = {}

    def tensor(self, name: str, shape: tuple[int, ...], dtype: str, codes: Codes | None = None) -> int:
        """Add a tensor that is computed, and return its number."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = name.encode(), np.array(shape, np.int32), True
        tensor.type = getattr(schema.TensorType, dtype)
        if codes is not None:
            tensor.quantization = _quantization(np.array([codes.scale]), np.array([codes.zero]), 0)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, name: str, value: NDArray[Any], scales: NDArray[Any] | None = None, axis: int = 0) -> int:
        """Add a constant, with the scales of its channels along `axis`, and return its number."""
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
        """Add an operator; operators run in the order they come."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name, version)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        operator.builtinOptions = options
        self._graph.operators.append(operator)

    def content(self, inputs: list[int], outputs: Mapping[str, int]) -> bytes:
        """Return the file."""
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


def _quantization(scales: NDArray[Any], zeros: NDArray[Any], axis: int) -> Any:
    quantization = schema.QuantizationParametersT()
    quantization.scale = scales.astype(np.float32)
    quantization.zeroPoint = zeros.astype(np.int64)
    quantization.quantizedDimension = axis
    return quantization


def _add_layer(
    file: _File,
    layer: Layer,
    places: Mapping[int, int],
    codes: Mapping[int, Codes],
    *,
    rounded: Rounded | None,
    shape: tuple[int, ...],
) -> None:
    inputs, output = [places[tensor] for tensor in layer.inputs], places[layer.output]
    if layer.kind == "add":
        add = schema.AddOptionsT()
        add.fusedActivationFunction, add.potScaleInt16 = ACTIVATIONS[layer.activation], False
        file.operator("ADD", 2, inputs, output, add)
    elif rounded is None:
        resize = schema.ResizeBilinearOptionsT()
        resize.alignCorners, resize.halfPixelCenters = layer.align_corners, layer.half_pixel_centers
        inputs.append(file.constant(f"size_{output}", np.array(shape[1:3], np.int32)))
        file.operator("RESIZE_BILINEAR", 3, inputs, output, resize)
    else:
        depthwise = layer.kind == "depthwise"
        bias_scales = rounded.scales * codes[layer.inputs[0]].scale
        inputs.append(file.constant(f"weights_{output}", rounded.weights, rounded.scales, 3 if depthwise else 0))
        inputs.append(file.constant(f"bias_{output}", rounded.bias, bias_scales))
        kind, name = ("DepthwiseConv2D", "DEPTHWISE_CONV_2D") if depthwise else ("Conv2D", "CONV_2D")
        file.operator(name, 3, inputs, output, _convolution(layer, kind))


def _convolution(layer: Layer, kind: str) -> Any:
    options = getattr(schema, f"{kind}OptionsT")()
    options.strideH, options.strideW = layer.stride
    options.padding = PADDINGS[layer.padding]
    options.fusedActivationFunction = ACTIVATIONS[layer.activation]
    options.dilationHFactor = options.dilationWFactor = 1
    if kind == "DepthwiseConv2D":
        options.depthMultiplier = 1
    return options
