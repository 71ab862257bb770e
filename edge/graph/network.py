"""A convolutional network as plain values, read from a float TFLite file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.tflite.file import TfliteModel

__all__ = ["INPUT", "Floats", "Kind", "Layer", "Network", "read_network"]

INPUT = "input"
"""Name of the input of every file that is made here."""
Floats = NDArray[np.float32]
Kind = Literal["conv", "depthwise", "add", "resize"]
KINDS: Mapping[str, Kind] = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "ADD": "add",
    "RESIZE_BILINEAR": "resize",
}
ACTIVATIONS = {0: "none", 1: "relu", 3: "relu6"}
"""ActivationFunctionType of tensorflow/lite/schema/schema.fbs."""
PADDINGS = {0: "SAME", 1: "VALID"}
PREPARATION = ("CAST", "MUL", "ADD", "SUB", "DIV")
"""Operators that may turn pixels into the first layer's input."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator; tensors are numbers.

    Attributes:
        kind: what it does.
        inputs: tensors it reads; an addition has two.
        output: tensor it makes.
        activation: `none`, `relu` or `relu6`.
        weights: float32 (O, h, w, I) of a convolution, (1, h, w, C) of a depthwise one; empty for the others.
        bias: float32 (O,) or (C,); empty for the others.
        stride: (vertical, horizontal).
        padding: `SAME` or `VALID`.
        align_corners: of a resize.
        half_pixel_centers: of a resize.
    """

    kind: Kind
    inputs: tuple[int, ...]
    output: int
    activation: str
    weights: Floats
    bias: Floats
    stride: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    align_corners: bool = False
    half_pixel_centers: bool = False

    @property
    def has_weights(self) -> bool:
        """True for convolutions of both kinds."""
        return self.weights.size > 0

    @property
    def is_pointwise(self) -> bool:
        """True for a convolution that looks at one cell only."""
        return self.kind == "conv" and self.weights.shape[1:3] == (1, 1) and self.stride == (1, 1)

    def scaled_outputs(self, factors: NDArray[Any]) -> "Layer":
        """Return the layer with its output channels scaled by `factors`, (C,)."""
        shape = (-1, 1, 1, 1) if self.kind == "conv" else (1, 1, 1, -1)
        return self.with_weights(self.weights * factors.reshape(shape), self.bias * factors)

    def scaled_inputs(self, factors: NDArray[Any]) -> "Layer":
        """Return the layer for an input divided by `factors`, (C,)."""
        return self.with_weights(self.weights * factors, self.bias)

    def with_weights(self, weights: NDArray[Any], bias: NDArray[Any]) -> "Layer":
        """Return the layer with other weights."""
        return replace(self, weights=weights.astype(np.float32), bias=bias.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Network:
    """Layers in the order of execution.

    Attributes:
        layers: all of them.
        shapes: (1, h, w, C) by tensor.
        input: tensor that the first layer reads: float32 (1, H, W, 3), normalized pixels.
        heads: tensor by the name of its head.
    """

    layers: tuple[Layer, ...]
    shapes: Mapping[int, tuple[int, ...]]
    input: int
    heads: Mapping[str, int]

    def consumers(self, tensor: int) -> list[Layer]:
        """Return the layers that read a tensor."""
        return [layer for layer in self.layers if tensor in layer.inputs]

    def producer(self, tensor: int) -> Layer:
        """Return the layer that makes a tensor."""
        return next(layer for layer in self.layers if layer.output == tensor)

    def replaced(self, changes: Mapping[int, Layer]) -> "Network":
        """Return the network with the producers of some tensors replaced.

        `changes` has the new layer by tensor.
        """
        return replace(self, layers=tuple(changes.get(layer.output, layer) for layer in self.layers))

    def last_use(self) -> dict[int, int]:
        """Return the index of the last reader by tensor."""
        return {tensor: place for place, layer in enumerate(self.layers) for tensor in layer.inputs}

    def feeds(self) -> dict[int, frozenset[str]]:
        """Return the heads that each tensor contributes to, by tensor."""
        found = {tensor: frozenset([head]) for head, tensor in self.heads.items()}
        for layer in reversed(self.layers):
            for tensor in layer.inputs:
                found[tensor] = found.get(tensor, frozenset()) | found.get(layer.output, frozenset())
        return found


def read_network(model: TfliteModel, heads: Mapping[str, int]) -> Network:
    """Read the network between the prepared pixels and the heads.

    Args:
        model: a float file of fixed size.
        heads: its output tensors by head.

    Raises:
        ModelError: it has an operator that the int8 recipe does not know.
    """
    layers: list[Layer] = []
    for op in model.graph.operators:
        name = model.op_name(op)
        if not layers and name in PREPARATION:
            continue
        if name not in KINDS:
            raise ModelError(
                f"{model.origin}: operator {name} ('{model.name(int(op.outputs[0]))}') cannot be quantized here: "
                f"known are {', '.join(KINDS)}; --quantize fp16 takes any"
            )
        layers.append(_layer(model, op, KINDS[name]))
    tensors = {layers[0].inputs[0], *(layer.output for layer in layers)}
    return Network(tuple(layers), {each: model.shape(each) for each in tensors}, layers[0].inputs[0], dict(heads))


def _layer(model: TfliteModel, op: Any, kind: Kind) -> Layer:
    options, inputs, output = op.builtinOptions, [int(tensor) for tensor in op.inputs], int(op.outputs[0])
    empty = np.empty(0, np.float32)
    if kind == "resize":
        return Layer(
            kind, (inputs[0],), output, "none", empty, empty,
            align_corners=bool(options.alignCorners), half_pixel_centers=bool(options.halfPixelCenters),
        )  # fmt: skip
    activation = ACTIVATIONS.get(options.fusedActivationFunction)
    weights = [model.constant(tensor) for tensor in inputs[1:]]
    if activation is None or (kind != "add" and any(each is None or each.dtype != np.float32 for each in weights)):
        raise ModelError(f"{model.origin}: '{model.name(output)}' is no float layer with ReLU, ReLU6 or none")
    if kind == "add":
        return Layer(kind, tuple(inputs), output, activation, empty, empty)
    dilated = (options.dilationHFactor, options.dilationWFactor) != (1, 1)
    if dilated or (kind == "depthwise" and options.depthMultiplier != 1):
        raise ModelError(f"{model.origin}: '{model.name(output)}' is dilated or multiplies its channels")
    bias = weights[1] if len(weights) > 1 else np.zeros(model.shape(output)[3], np.float32)
    assert weights[0] is not None
    assert bias is not None
    stride, padding = (options.strideH, options.strideW), PADDINGS[options.padding]
    return Layer(kind, (inputs[0],), output, activation, weights[0], bias, stride, padding)
