"""Shared by the drivers on OpenCV: captures, upright images, sizes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import cv2
import numpy as np

from edge.frame import BufferPool, Image
from edge.poses.model_input import rotate_into

__all__ = [
    "MAX_REFUSED",
    "MAX_SIDE_PX",
    "OPENCV_VERSION",
    "REFUSES_INTERLACED",
    "REFUSES_TEXT",
    "ImageReader",
    "InterlacedError",
    "frame_size",
    "open_capture",
    "retrieve",
    "rotated_size",
]

OPENCV_VERSION = tuple(int(part) for part in cv2.__version__.split(".")[:2])
REFUSES_INTERLACED = OPENCV_VERSION >= (4, 13)
"""Whether this OpenCV cannot convert interlaced pictures. It reports none as failed: it shows black or old memory."""
REFUSES_TEXT = (
    f"is interlaced, which OpenCV {cv2.__version__} cannot convert: set the source to progressive, or "
    "pip install 'opencv-python-headless<4.13'"
)
REFUSAL = b"Cannot convert interlaced"
MAX_REFUSED = 25
"""Pictures one after the other that were not converted, before the source is given up."""


DECODER_OPTIONS = (cv2.CAP_PROP_N_THREADS, 1)
"""Each further thread of FFmpeg holds one more frame back, and takes its time from inference."""


MAX_SIDE_PX = 8192
"""Of a picture or a stream, as for `camera.width`: a larger one takes gigabytes."""


def open_capture(source: str, options: Sequence[int] = ()) -> cv2.VideoCapture:
    """Open a file or URL by FFmpeg, with its pictures upright; it may not be open afterwards.

    Args:
        source: path or URL.
        options: further properties and values, one after the other.
    """
    capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, [*DECODER_OPTIONS, *options])
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV 4.11 leaves a telephone's clips lying on their side
    return capture


class InterlacedError(Exception):
    """OpenCV did not convert a picture, because it is interlaced; `retrieve` raises it."""


def retrieve(capture: cv2.VideoCapture, spare: Image | None = None) -> Image | None:
    """Return the grabbed picture as BGR uint8 (H, W, 3), None if it cannot be decoded.

    Args:
        capture: after a successful grab.
        spare: written into, if it has the right size.

    Raises:
        InterlacedError: OpenCV says in FFmpeg's log only that it did not convert it, and returns black or old memory.
    """
    if not REFUSES_INTERLACED:
        return _retrieve(capture, spare)
    with _native_log() as log:
        picture = _retrieve(capture, spare)
    if REFUSAL in log:
        raise InterlacedError
    return picture


def _retrieve(capture: cv2.VideoCapture, spare: Image | None) -> Image | None:
    ok, bgr = capture.retrieve(spare)
    return np.asarray(bgr, np.uint8) if ok else None  # no copy: it is uint8, whatever the stubs say


@contextmanager
def _native_log() -> Iterator[bytearray]:
    """Collect what native libraries write to descriptor 2; it is written there afterwards."""
    log = bytearray()
    stderr, memory = os.dup(2), os.memfd_create("log")
    os.dup2(memory, 2)
    try:
        yield log
    finally:
        os.dup2(stderr, 2)
        if size := os.lseek(memory, 0, os.SEEK_CUR):
            log += os.pread(memory, size, 0)
            with suppress(OSError):
                os.write(stderr, log)
        os.close(memory)
        os.close(stderr)


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
