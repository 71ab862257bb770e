"""Shared by the drivers on OpenCV: captures, upright images, sizes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import cv2
import numpy as np

from edge.frame import BufferPool, Image
from edge.host.process import redirected_stderr
from edge.poses.model_input import rotate_into

__all__ = [
    "MAX_REFUSED",
    "MAX_SIDE_PX",
    "OPENCV_VERSION",
    "REFUSES_INTERLACED",
    "REFUSES_TEXT",
    "ImageReader",
    "InterlacedError",
    "Turner",
    "frame_size",
    "open_capture",
    "pixel_aspect",
    "retrieve",
    "rotated_size",
    "square_size",
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
    memory = os.memfd_create("log")
    try:
        with redirected_stderr(memory):
            yield log
        if size := os.lseek(memory, 0, os.SEEK_CUR):
            log += os.pread(memory, size, 0)
            with suppress(OSError):
                os.write(2, log)
    finally:
        os.close(memory)


MAX_ASPECT, MIN_SKEW = 4.0, 0.03
"""Of a pixel: beyond it the header is wrong; a smaller skew is not worth a resize."""


class Properties(Protocol):
    """The part of `cv2.VideoCapture` that reports properties."""

    def get(self, prop: int, /) -> float:
        """Return a property."""


def rotated_size(size: tuple[int, int], rotate: int) -> tuple[int, int]:
    """Return (width, height) after a rotation by 0, 90, 180 or 270 degrees."""
    width, height = size
    return (height, width) if rotate in (90, 270) else (width, height)


def pixel_aspect(capture: Properties) -> float:
    """Return width by height of one pixel of a capture's pictures; 1 unless it is between 1/4 and 4."""
    across, down = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    aspect = across / down if across > 0 and down > 0 else 1.0
    if not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT or abs(aspect - 1) < MIN_SKEW:
        return 1.0
    is_on_its_side = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) in (90, 270)
    return 1 / aspect if is_on_its_side else aspect


def square_size(size: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Return the (width, height) of a picture after its pixels were made square, none of them lost."""
    width, height = size
    wanted = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return wanted if max(wanted) <= MAX_SIDE_PX else size


def frame_size(capture: Properties, rotate: int, aspect: float = 1.0) -> tuple[int, int]:
    """Return a capture's (width, height) as it reports them, with square pixels, after rotation."""
    width, height = (int(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    return rotated_size(square_size((width, height), aspect), rotate)


class Turner:
    """Mirrors, then rotates images in reused buffers.

    Args:
        hflip: left to right.
        vflip: top to bottom.
        rotate: clockwise degrees: 0, 90, 180 or 270.
    """

    def __init__(self, *, hflip: bool, vflip: bool, rotate: int) -> None:
        self._flip = {(True, True): -1, (True, False): 1, (False, True): 0}.get((hflip, vflip))  # OpenCV's codes
        self._rotate = rotate
        self._flipped = BufferPool()
        self._turned = BufferPool()

    @property
    def is_idle(self) -> bool:
        """Whether every image is upright as it is."""
        return self._flip is None and not self._rotate

    def turn(self, image: Image) -> Image:
        """Return an RGB image (H, W, 3) upright, itself if it is so."""
        if self._flip is not None:
            flipped = self._flipped.take(image.shape)
            cv2.flip(image, self._flip, dst=flipped)
            image = flipped
        if not self._rotate:
            return image
        height, width, _ = image.shape
        turned = self._turned.take((width, height, 3) if self._rotate in (90, 270) else image.shape)
        rotate_into(image, self._rotate, turned)
        return turned


class ImageReader:
    """Converts OpenCV's BGR pictures to upright RGB images with square pixels, in reused buffers.

    Args:
        rotate: clockwise degrees: 0, 90, 180 or 270.
        hflip: mirror left to right, before rotation.
        vflip: mirror top to bottom, before rotation.

    Attributes:
        aspect: width by height of a pixel, see `pixel_aspect`.
    """

    def __init__(self, rotate: int, *, hflip: bool = False, vflip: bool = False) -> None:
        self.aspect = 1.0
        self._turner = Turner(hflip=hflip, vflip=vflip, rotate=rotate)
        self._pool = BufferPool()
        self._squared = BufferPool()

    def upright_rgb(self, bgr: Image) -> Image:
        """Convert a BGR uint8 (H, W, 3) picture; `bgr` may be overwritten afterwards."""
        height, width, _ = bgr.shape
        size = square_size((width, height), self.aspect)
        if size != (width, height):
            squared = self._squared.take((size[1], size[0], 3))
            cv2.resize(bgr, size, dst=squared, interpolation=cv2.INTER_LINEAR)
            bgr = squared
        rgb = self._pool.take(bgr.shape)
        cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=rgb)
        return self._turner.turn(rgb)
