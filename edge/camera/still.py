"""Notices a picture that stands still: of a frozen camera, or of an OpenCV that repeats the last one.

A real camera has noise in it, so no two pictures are the same.

OpenCV before 4.12 goes on giving the last picture when a video changes its size. Raspberry Pi OS Bookworm is bound to
such a version, because its picamera2 is built for NumPy 1. Nothing in OpenCV's interface tells, but a capture opened
again behaves otherwise: it crops the new size or fails, and a stream that is opened again begins with it.
"""

import cv2
import numpy as np

from edge.frame import Image

__all__ = ["STICKS", "StillWatch", "is_same_picture"]

STICKS = tuple(int(part) for part in cv2.__version__.split(".")[:2]) < (4, 12)
ROW_STEP = 16


def is_same_picture(a: Image, b: Image | None) -> bool:
    """Return whether two pictures (H, W, 3) are the same to the last bit."""
    if b is None or a.shape != b.shape:
        return False
    return np.array_equal(a[::ROW_STEP], b[::ROW_STEP]) and np.array_equal(a, b)


class StillWatch:
    """Looks at every picture of a camera; holds on to the last one.

    Args:
        max_still_s: one picture for so long means that the camera is frozen.
    """

    def __init__(self, max_still_s: float) -> None:
        self._max_still_s = max_still_s
        self._last: Image | None = None
        self._since_s: float | None = None
        self._frozen: Image | None = None  # the picture that it was stuck at

    def start(self) -> None:
        """Begin anew after a reopen, which by itself is no sign of life: the picture it was stuck at stays known."""
        self._last, self._since_s = None, None

    def look(self, image: Image, now_s: float) -> str:
        """Return what is wrong, or nothing.

        Args:
            image: (H, W, 3), not written again by anybody.
            now_s: the monotonic clock.
        """
        if is_same_picture(image, self._frozen):
            return "still shows the same picture"
        last, self._last, self._frozen = self._last, image, None
        if not is_same_picture(image, last):
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= self._max_still_s:
            self._frozen = image
            return f"is frozen: one picture for {self._max_still_s:g} s"
        return ""
