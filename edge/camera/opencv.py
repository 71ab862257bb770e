"""What the drivers on OpenCV share: upright RGB images, and options of its decoder."""

import cv2

from edge.frame import BufferPool, Image
from edge.poses.model_input import rotate_into

__all__ = ["DECODER_OPTIONS", "ImageReader"]

DECODER_OPTIONS = (cv2.CAP_PROP_N_THREADS, 1)
"""Each further thread of FFmpeg holds one more frame back, and takes its time from inference."""


class ImageReader:
    """Turns OpenCV's BGR pictures into upright RGB images in buffers that are used again.

    Args:
        rotate: clockwise degrees: 0, 90, 180 or 270.
    """

    def __init__(self, rotate: int) -> None:
        self._rotate = rotate
        self._pool = BufferPool()
        self._unrotated = BufferPool()

    def upright_rgb(self, bgr: Image) -> Image:
        """Convert a BGR uint8 (H, W, 3) picture; `bgr` is free again afterwards."""
        height, width, _ = bgr.shape
        if self._rotate == 0:
            image = self._pool.take((height, width, 3))
            cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=image)
            return image
        rgb = self._unrotated.take((height, width, 3))
        cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=rgb)
        turned = (width, height, 3) if self._rotate in (90, 270) else (height, width, 3)
        image = self._pool.take(turned)
        rotate_into(rgb, self._rotate, image)
        return image
