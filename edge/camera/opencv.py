"""Shared by the drivers on OpenCV: upright images, sizes, decoder options."""

from typing import Protocol

import cv2

from edge.frame import BufferPool, Image
from edge.poses.model_input import rotate_into

__all__ = ["DECODER_OPTIONS", "MAX_SIDE_PX", "ImageReader", "frame_size", "rotated_size"]

DECODER_OPTIONS = (cv2.CAP_PROP_N_THREADS, 1)
"""Each further thread of FFmpeg holds one more frame back, and takes its time from inference."""


MAX_SIDE_PX = 8192
"""Of a picture or a stream, as for `camera.width`: a larger one takes gigabytes."""


class Properties(Protocol):
    """The part of `cv2.VideoCapture` that reports properties."""

    def get(self, prop: int, /) -> float:
        """Return a property."""


def rotated_size(size: tuple[int, int], rotate: int) -> tuple[int, int]:
    """Return (width, height) after a rotation by 0, 90, 180 or 270 degrees."""
    width, height = size
    return (height, width) if rotate in (90, 270) else (width, height)


def frame_size(capture: Properties, rotate: int) -> tuple[int, int]:
    """Return a capture's (width, height) as it reports them, after rotation."""
    width, height = (int(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    return rotated_size((width, height), rotate)


class ImageReader:
    """Converts OpenCV's BGR pictures to upright RGB images in reused buffers.

    Args:
        rotate: clockwise degrees: 0, 90, 180 or 270.
    """

    def __init__(self, rotate: int) -> None:
        self._rotate = rotate
        self._pool = BufferPool()
        self._unrotated = BufferPool()

    def upright_rgb(self, bgr: Image) -> Image:
        """Convert a BGR uint8 (H, W, 3) picture; `bgr` may be overwritten afterwards."""
        height, width, _ = bgr.shape
        if self._rotate == 0:
            image = self._pool.take((height, width, 3))
            cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=image)
            return image
        rgb = self._unrotated.take((height, width, 3))
        cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=rgb)
        width, height = rotated_size((width, height), self._rotate)
        image = self._pool.take((height, width, 3))
        rotate_into(rgb, self._rotate, image)
        return image
