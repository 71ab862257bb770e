"""Images on their way through the flow: the frame, its model input, and the buffers behind them."""

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
    """One captured image with its times.

    Attributes:
        image: RGB uint8 (H, W, 3), upright: after the camera's rotation.
        index: number of this frame since the start of the run; a gap is a dropped or unreadable frame.
        time_s: capture time, monotonic clock (`time.monotonic`); the age counts from here.
        wall_time_s: the same instant as seconds since the epoch, UTC.
        media_time_s: capture time on the camera's own clock, by which motion is measured. A live camera's is
            `time_s`; a file read as fast as it goes keeps the pace of its recording.
        image_size: (width, height) of the camera image where `image` is a smaller picture of it, or was let go of;
            None while `image` tells.
    """

    image: Image
    index: int
    time_s: float
    wall_time_s: float
    media_time_s: float
    image_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image in pixels, also after `without_image`."""
        return self.image_size or (self.image.shape[1], self.image.shape[0])

    def without_image(self) -> "Frame":
        """Return the frame with an empty image, so that its buffer is free when no output wants to look at it."""
        return replace(self, image=NO_IMAGE, image_size=self.size)


NO_IMAGE: Image = np.empty((0, 0, 3), np.uint8)


class BufferPool:
    """Arrays of one shape that are used again once nobody refers to them any more.

    There is no release call to forget: an array is free when the pool holds the only reference to it. NumPy
    views keep their base alive, so a slice that a sink still draws from counts as a reference too.
    """

    def __init__(self, dtype: Any = np.uint8) -> None:
        self._dtype = np.dtype(dtype)
        self._arrays: list[NDArray[Any]] = []
        # What getrefcount says of an array that only a list and its own call refer to.
        probe = [np.empty(1)]
        self._free_count = sys.getrefcount(probe[0])

    def take(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array of `shape` that nobody else refers to; its content is whatever it was.

        A new shape (a video that changes size) lets go of all arrays of the old one.
        """
        if self._arrays and self._arrays[0].shape != shape:
            self._arrays.clear()
        for at in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[at]) == self._free_count:
                return self._arrays[at]
        self._arrays.append(np.empty(shape, self._dtype))
        return self._arrays[-1]

    def __len__(self) -> int:
        return len(self._arrays)
