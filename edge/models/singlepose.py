"""Finds the heads and the input of a singlepose MoveNet's graph.

Names of tensors are not used. The last convolutions are the heads. Two have 34 channels, which the decoding part of
the graph distinguishes: the regression is looked up at the person's centre (one ArgMax), the offset at each keypoint
that was found with the regression (a second ArgMax after the first).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.tflite.file import TfliteModel

__all__ = ["find_heads", "find_image", "pixel_codes"]

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
KEYPOINT_PAIRS = 34


def find_heads(model: TfliteModel) -> dict[str, int]:
    """Return the tensors of the raw maps by the name of the head.

    The order is center, heatmap, regression, offset.

    Raises:
        ModelError: the graph has no such heads.
    """
    last = [int(op.outputs[0]) for op in _convolutions(model) if not _leads_to_convolution(model, op)]
    channels = [model.shape(tensor)[-1] for tensor in last]
    if sorted(channels) != [1, 17, KEYPOINT_PAIRS, KEYPOINT_PAIRS]:
        raise ModelError(
            f"{model.origin}: no singlepose MoveNet: its last convolutions have {channels} channels; "
            "needed are 1, 17, 34 and 34 (center, heatmap, regression, offset)"
        )
    center, heatmap = (last[channels.index(count)] for count in (1, 17))
    pairs = [tensor for count, tensor in zip(channels, last, strict=True) if count == KEYPOINT_PAIRS]
    searches = {_searches_before_lookup(model, tensor): tensor for tensor in pairs}
    if set(searches) != {1, 2}:
        raise ModelError(f"{model.origin}: no singlepose MoveNet: regression and offset cannot be distinguished")
    return {"center": center, "heatmap": heatmap, "regression": searches[1], "offset": searches[2]}


def find_image(model: TfliteModel) -> int:
    """Return the tensor that the first convolution reads."""
    return int(next(_convolutions(model)).inputs[0])


def pixel_codes(model: TfliteModel, tensor: int) -> NDArray[np.float64]:
    """Return a tensor's quantized values for the pixel values 0..255, before rounding.

    The operators before the first convolution are evaluated in real numbers.

    Returns:
        (256, 3): for each pixel value and channel, real / scale + zero point.

    Raises:
        ModelError: more than a constant scaling lies between the image and the tensor.
    """
    scale, zero_point = _quantization(model, tensor)
    pixels = np.repeat(np.arange(256, dtype=np.float64)[:, None], 3, axis=1)  # (256, 3)
    codes: NDArray[np.float64] = _real(model, tensor, pixels) / scale + zero_point
    return codes


def _real(model: TfliteModel, tensor: int, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    if tensor in model.graph.inputs:
        return pixels
    constant = model.constant(tensor)
    if constant is not None and constant.size in (1, 3):  # one for all channels, or one for each
        scale, zero_point = _quantization(model, tensor)
        return (constant.reshape(1, -1).astype(np.float64) - zero_point) * scale
    op = model.producer(tensor)
    values = [] if op is None else [_real(model, int(source), pixels) for source in op.inputs]
    match values, "" if op is None else model.op_name(op):
        case [only], "CAST" | "QUANTIZE" | "DEQUANTIZE":
            return only
        case [left, right], "SUB":
            return left - right
        case [left, right], "ADD":
            return left + right
        case [left, right], "MUL":
            return left * right
    raise ModelError(f"{model.origin}: what leads to its first convolution is more than a scaling of the pixels")


def _quantization(model: TfliteModel, tensor: int) -> tuple[float, float]:
    """Return scale and zero point of a tensor; 1 and 0 if it is not quantized."""
    found = model.graph.tensors[tensor].quantization
    if found is None or found.scale is None:
        return 1.0, 0.0
    return float(found.scale[0]), float(found.zeroPoint[0])


def _convolutions(model: TfliteModel) -> Iterator[Any]:
    return (op for op in model.graph.operators if model.op_name(op) in CONVOLUTIONS)


def _leads_to_convolution(model: TfliteModel, op: Any) -> bool:
    reached = {int(tensor) for tensor in op.outputs}
    following = model.graph.operators[_place(model, op) + 1 :]
    for later in following:
        if reached & set(later.inputs):
            if model.op_name(later) in CONVOLUTIONS:
                return True
            reached |= {int(tensor) for tensor in later.outputs}
    return False


def _place(model: TfliteModel, op: Any) -> int:
    return next(place for place, other in enumerate(model.graph.operators) if other is op)


def _searches_before_lookup(model: TfliteModel, tensor: int) -> int:
    """Return how many ArgMax the indices of a map's lookup depend on; 0 without a lookup."""
    lookup = next((op for op in model.consumers(tensor) if model.op_name(op) == "GATHER_ND"), None)
    if lookup is None:
        return 0
    wanted, count = {int(lookup.inputs[1])}, 0
    for op in reversed(model.graph.operators[: _place(model, lookup)]):
        if wanted & set(op.outputs):
            wanted |= {int(source) for source in op.inputs}
            count += model.op_name(op) == "ARG_MAX"
    return count
