"""Frames, and the pool of buffers behind their images."""

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_IMAGE", "BufferPool", "Frame", "Image"]

Image = NDArray[np.uint8]
"""RGB, uint8, (H, W, 3), C-contiguous, read-only by convention once handed on."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A captured image with its times.

    Attributes:
        image: RGB uint8 (H, W, 3), upright: after the camera's rotation.
        index: frame number since the start of the run; a gap is a dropped or unreadable frame.
        time_s: capture time on `time.monotonic`; the age of a result counts from here.
        wall_time_s: the same instant in seconds since the epoch, UTC; for a file read as fast as possible the start of
            the run plus the position in the recording.
        media_time_s: capture time on the camera's own clock, for measuring motion. For a live camera it is `time_s`;
            a file read as fast as possible keeps the times of its recording.
        image_size: (width, height) of the camera image if `image` is a smaller copy or was released; None if it is
            that of `image`.
        source: name of the picture's file, for pictures; None elsewhere.
    """

    image: Image
    index: int
    time_s: float
    wall_time_s: float
    media_time_s: float
    image_size: tuple[int, int] | None = None
    source: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image in pixels, also after `without_image`."""
        return self.image_size or (self.image.shape[1], self.image.shape[0])

    def without_image(self) -> "Frame":
        """Return the frame without its image, which frees the buffer."""
        return replace(self, image=NO_IMAGE, image_size=self.size)


NO_IMAGE: Image = np.empty((0, 0, 3), np.uint8)


class BufferPool:
    """A pool of arrays, reused when nothing else refers to them.

    There is no release call: an array is free when the pool holds the only reference to it. NumPy views keep their
    base alive, so a slice that a sink still draws from counts as a reference too.
    """

    def __init__(self, dtype: Any = np.uint8) -> None:
        self._dtype = np.dtype(dtype)
        self._arrays: list[NDArray[Any]] = []
        # The count of an array referred to by a list and the call of getrefcount only.
        probe = [np.empty(1)]
        self._free_count = sys.getrefcount(probe[0])

    def take(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a free array of `shape` with arbitrary content.

        A new shape (a video that changes size) drops all arrays of the old one.
        """
        if self._arrays and self._arrays[0].shape != shape:
            self._arrays.clear()
        for at in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[at]) == self._free_count:
                return self._arrays[at]
        self._arrays.append(np.empty(shape, self._dtype))
        return self._arrays[-1]
