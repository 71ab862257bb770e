"""Letterbox: how a camera image lies in a model's input.

All coordinates are normalized and continuous: 0 is the left or top edge of the first pixel, 1 the right or bottom
edge of the last. `cv2.resize` assumes the same (it samples at pixel centres), so the map has no half-pixel terms.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Letterbox", "fit"]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A camera image scaled to fit and centred in a model input.

    Rounding changes the aspect by half a pixel at most.

    Attributes:
        image_size: (width, height) of the camera image in pixels.
        input_size: (width, height) of the model input in pixels.
        inner_size: (width, height) of the scaled image inside the input in pixels, at least 1x1.
        pad_px: (left, top) padding in pixels; an odd pixel goes right or below.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    inner_size: tuple[int, int]
    pad_px: tuple[int, int]

    def to_image(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Map input coordinates to the camera image.

        Args:
            points: (..., 2) x, y normalized to the input.

        Returns:
            (..., 2) x, y normalized to the camera image, not clipped.
        """
        size = np.asarray(self.input_size, np.float32)
        scale, offset = np.asarray(self.inner_size, np.float32) / size, np.asarray(self.pad_px, np.float32) / size
        return np.asarray((points - offset) / scale, np.float32)


def fit(image_size: tuple[int, int], input_size: tuple[int, int]) -> Letterbox:
    """Fit an image into an input; both sizes are (width, height)."""
    (image_w, image_h), (input_w, input_h) = image_size, input_size
    scale = min(input_w / image_w, input_h / image_h)
    # Rounding could make a side of an extreme aspect 0, or larger than the input.
    inner_w = min(max(round(image_w * scale), 1), input_w)
    inner_h = min(max(round(image_h * scale), 1), input_h)
    return Letterbox(image_size, input_size, (inner_w, inner_h), ((input_w - inner_w) // 2, (input_h - inner_h) // 2))
