"""Converts an input tensor to another model's size and dtype."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.ports import ModelSpec

__all__ = ["convert_input"]


def convert_input(tensor: NDArray[Any], source: ModelSpec, target: ModelSpec) -> NDArray[Any]:
    """Convert `tensor` to what `target` takes; unchanged if that is the same.

    The image is stretched together with its padding, so coordinates normalized to the input are the same in both.

    Args:
        tensor: (1, H, W, 3) of the source's size and dtype.
        source: spec of the model that the tensor was made for.
        target: spec of the model that will run it, such as the CPU twin of an Edge TPU model.
    """
    if source.input_size == target.input_size and _same_codes(source, target):
        return tensor
    pixels = _pixels(tensor, source)
    width, height = target.input_size
    if source.input_size != target.input_size:
        shrinks = width < source.input_size[0] or height < source.input_size[1]
        resized = cv2.resize(pixels[0], (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        pixels = resized[None].astype(np.uint8, copy=False)  # (1, H, W, 3)
    if target.input_codes is None:
        return pixels
    return np.asarray(np.take(target.input_codes, pixels))


def _same_codes(source: ModelSpec, target: ModelSpec) -> bool:
    if source.input_codes is None or target.input_codes is None:
        return source.input_codes is target.input_codes
    return source.input_dtype == target.input_dtype and np.array_equal(source.input_codes, target.input_codes)


def _pixels(tensor: NDArray[Any], spec: ModelSpec) -> NDArray[np.uint8]:
    """Return the pixel values 0..255, (1, H, W, 3): the inverse of `input_codes`, which are linear."""
    if spec.input_codes is None:
        return tensor
    low, high = float(spec.input_codes[0]), float(spec.input_codes[-1])
    values = (tensor.astype(np.float32) - low) * (255 / (high - low))
    return np.asarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
