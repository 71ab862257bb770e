"""The letterbox map: how a camera image lies inside a model's input, and the way back.

All coordinates are normalized and continuous: 0 is the left or top edge of the first pixel, 1 the right or bottom
edge of the last. That is what `cv2.resize` assumes when it samples at pixel centres, so the map has no half-pixel
terms.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Letterbox", "dynamic_input_size", "fit"]

STRIDE_PX = 32
"""Sides of a dynamic MoveNet input are multiples of this (tfhub.dev/google/movenet/multipose/lightning)."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A camera image scaled into a model input, centred, its aspect kept to within half a pixel.

    Attributes:
        image_size: (width, height) of the camera image in pixels.
        input_size: (width, height) of the model input in pixels.
        inner_size: (width, height) that the image takes inside the input, in pixels, at least 1x1.
        pad_px: (left, top) padding in pixels; what is left over goes right and below.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    inner_size: tuple[int, int]
    pad_px: tuple[int, int]

    def to_image(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Map (..., 2) x, y normalized to the input onto the camera image, normalized, not clipped."""
        scale, offset = self._scale_and_offset()
        return np.asarray((points - offset) / scale, np.float32)

    def to_input(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Map (..., 2) x, y normalized to the camera image onto the input; the inverse of `to_image`."""
        scale, offset = self._scale_and_offset()
        return np.asarray(points * scale + offset, np.float32)

    def _scale_and_offset(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        size = np.asarray(self.input_size, np.float32)
        return np.asarray(self.inner_size, np.float32) / size, np.asarray(self.pad_px, np.float32) / size


def fit(image_size: tuple[int, int], input_size: tuple[int, int]) -> Letterbox:
    """Return the largest centred letterbox of `image_size` in `input_size`, both (width, height) in pixels."""
    (image_w, image_h), (input_w, input_h) = image_size, input_size
    scale = min(input_w / image_w, input_h / image_h)
    # Rounding may lose an extreme side altogether, and may not leave the input either.
    inner_w = min(max(round(image_w * scale), 1), input_w)
    inner_h = min(max(round(image_h * scale), 1), input_h)
    return Letterbox(image_size, input_size, (inner_w, inner_h), ((input_w - inner_w) // 2, (input_h - inner_h) // 2))


def dynamic_input_size(image_size: tuple[int, int], longer_side_px: int = 256) -> tuple[int, int]:
    """Return the (width, height) for a model of dynamic size: the camera's aspect, sides multiples of 32.

    The shorter side is rounded up, so that the people are never smaller than the longer side allows.
    """
    width, height = image_size
    longest = max(width, height)
    sides = (-(-side * longer_side_px // (longest * STRIDE_PX)) * STRIDE_PX for side in (width, height))
    input_w, input_h = (max(side, STRIDE_PX) for side in sides)
    return input_w, input_h
