"""Detects still and flat pictures, of a frozen or covered camera or a stuck OpenCV.

A real camera has noise in it, so no two pictures are the same.

OpenCV before 4.13 goes on giving the last picture when a video changes its size. Raspberry Pi OS Bookworm is bound to
such a version, because its picamera2 is built for NumPy 1. OpenCV reports no error then, but a capture opened again
behaves otherwise: it crops the new size or fails, and a stream that is opened again begins with it.
"""

import numpy as np

from edge.camera.opencv import OPENCV_VERSION
from edge.frame import Image

__all__ = ["MAX_STILL_S", "OPENCV_STICKS", "StillWatch", "is_flat", "is_same_picture"]

MAX_STILL_S = 5.0
"""One picture for this long counts as a frozen camera."""
OPENCV_STICKS = OPENCV_VERSION < (4, 13)
"""Whether this OpenCV repeats the last picture after a change of size."""
ROW_STEP = 16
"""Every 16th row is compared first: pictures that differ nearly always do so there."""


def is_flat(image: Image) -> bool:
    """Return whether a picture (H, W, 3) has one colour only."""
    return bool((image[::64, ::64] == image[0, 0]).all()) and bool((image == image[0, 0]).all())


def is_same_picture(a: Image, b: Image | None) -> bool:
    """Return whether two pictures (H, W, 3) are equal to the last bit."""
    if b is None or a.shape != b.shape:
        return False
    return np.array_equal(a[::ROW_STEP], b[::ROW_STEP]) and np.array_equal(a, b)


class StillWatch:
    """Reports a camera that shows one picture for too long; keeps the last picture.

    Args:
        max_still_s: one picture for this long means that the camera is frozen.
        once: report a picture once only, for sources that may show a still one, such as a test card.
    """

    def __init__(self, max_still_s: float = MAX_STILL_S, *, once: bool = False) -> None:
        self._max_still_s = max_still_s
        self._once = once
        self._last: Image | None = None
        self._since_s: float | None = None
        self._frozen: Image | None = None  # the picture that was reported

    def start(self) -> None:
        """Restart the time after a reopen; the reported picture is remembered.

        A reopen is no sign of life.
        """
        self._last, self._since_s = None, None

    def check(self, image: Image, now_s: float) -> str:
        """Return the problem with the camera, or an empty string.

        Args:
            image: (H, W, 3), not to be written again.
            now_s: the monotonic clock.
        """
        if is_same_picture(image, self._frozen):
            if self._once:
                self._last, self._since_s = None, None  # it is known: the time of another picture starts again
                return ""
            return "still shows the same picture"
        last, self._last = self._last, image
        if not self._once:
            self._frozen = None
        if not is_same_picture(image, last):
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= self._max_still_s:
            self._frozen = image
            return f"is frozen: one picture for {self._max_still_s:g} s"
        return ""
