"""OpenCV before 4.12 goes on giving the last picture when a video changes its size; how that is noticed.

Raspberry Pi OS Bookworm is bound to such a version, because its picamera2 is built for NumPy 1. Nothing in OpenCV's
interface tells, but a capture opened anew behaves otherwise: it crops the new size or fails, and a stream that is
opened again begins with it.
"""

import cv2
import numpy as np

from edge.frame import Image

__all__ = ["STICKS", "is_same_picture"]

STICKS = tuple(int(part) for part in cv2.__version__.split(".")[:2]) < (4, 12)
ROW_STEP = 16


def is_same_picture(a: Image, b: Image | None) -> bool:
    """Return whether two pictures (H, W, 3) are the same to the last bit."""
    if b is None or a.shape != b.shape:
        return False
    return np.array_equal(a[::ROW_STEP], b[::ROW_STEP]) and np.array_equal(a, b)
