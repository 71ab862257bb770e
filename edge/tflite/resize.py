"""Changes the input size of a fully convolutional TFLite graph."""

from typing import Any

import numpy as np

from edge.errors import ModelError
from edge.tflite.file import TfliteModel
from edge.tflite.reshape import scaled_sides
from edge.tflite.schema import schema

__all__ = ["resize"]

OPERATORS = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "QUANTIZE", "RESIZE_BILINEAR")
"""Each works at any size and on an Edge TPU (coral.ai/docs/edgetpu/models-intro, "Supported operations")."""


def resize(model: TfliteModel, old_size: tuple[int, int], new_size: tuple[int, int]) -> None:
    """Scale all maps and resize operators with the input.

    Args:
        model: changed in place; may have convolutions with padding SAME, sums of maps, and resizes to a constant size.
        old_size: (width, height) of its input.
        new_size: the new (width, height), multiples of the deepest map's stride.

    Raises:
        ModelError: the model has other operators, or a map whose size is not a whole fraction of the input's.
    """
    unsupported = sorted(set(model.op_names()) - set(OPERATORS))
    if unsupported:
        raise ModelError(
            f"{model.origin}: cannot be cut so that only operators for an Edge TPU are left: {unsupported}"
        )
    maps = {int(tensor) for op in model.graph.operators for tensor in (op.inputs[0], *op.outputs)}
    for tensor in sorted(maps):
        _scale_shape(model, tensor, old_size, new_size)
    for op in model.graph.operators:
        _check_padding(model, op)
        if model.op_name(op) == "ADD" and int(op.inputs[1]) not in maps:
            raise ModelError(f"{model.origin}: adds a constant map, which has one size only")
        if model.op_name(op) == "RESIZE_BILINEAR":
            model.set_constant(int(op.inputs[1]), np.array(model.shape(int(op.outputs[0]))[1:3], np.int32))


def _scale_shape(model: TfliteModel, tensor: int, old_size: tuple[int, int], new_size: tuple[int, int]) -> None:
    batch, height, width, channels = model.shape(tensor)
    shape = (batch, *scaled_sides(model.origin, (height, width), old_size, new_size), channels)
    model.graph.tensors[tensor].shape = np.array(shape, np.int32)
    model.graph.tensors[tensor].shapeSignature = None


def _check_padding(model: TfliteModel, op: Any) -> None:
    """Raise ModelError for a convolution without SAME padding: its maps do not scale with the input."""
    padding = getattr(op.builtinOptions, "padding", schema.Padding.SAME)
    if padding != schema.Padding.SAME and model.shape(int(op.inputs[1]))[1:3] != (1, 1):
        raise ModelError(f"{model.origin}: has a convolution without SAME padding: its size cannot be changed")
