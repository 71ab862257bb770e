"""A V4L2 camera for tests: its queue of buffers in time, and its answers to requests, without a device."""

import errno
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from edge.camera.v4l2 import device as v4l2_device
from edge.camera.v4l2.open import BUFFERS, Node
from edge.errors import CameraLostError
from edge.frame import Image
from videos import numbered_image

START_S = 1000.0
FPS = 25.0


class Clock(Protocol):
    def __call__(self) -> float: ...
    def wait_until(self, time_s: float) -> None: ...


class RealClock:
    def __call__(self) -> float:
        return time.monotonic()

    def wait_until(self, time_s: float) -> None:
        threading.Event().wait(max(time_s - time.monotonic(), 0))


class SetClock:
    """A clock that advances only while a test waits."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s

    def wait_until(self, time_s: float) -> None:
        self.now_s = max(self.now_s, time_s)

    def busy(self, seconds: float) -> None:
        self.now_s += seconds


def numbered_bgr(index: int) -> Image | None:
    return np.asarray(cv2.cvtColor(numbered_image(index), cv2.COLOR_RGB2BGR), np.uint8)


class QueueCapture:
    """Delivers pictures as a V4L2 driver does: the oldest first; without a free buffer new ones are lost.

    Args:
        clock: when pictures are taken.
        picture: the BGR picture of an index, or None for a buffer that cannot be decoded.
        stamp: turns the time of a picture into what the driver writes into its buffer.
        pictures: so many come, then none.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        picture: Callable[[int], Image | None] = numbered_bgr,
        stamp: Callable[[float], float] = lambda time_s: time_s,
        pictures: int = 10_000,
        hangs_s: float = 0.0,
    ) -> None:
        self._clock, self._picture, self._stamp, self._pictures = clock, picture, stamp, pictures
        self._hangs_s = hangs_s
        self._start_s = clock()
        self._next = 0  # of the picture that is taken next
        self._ready: list[int] = []
        self._held: int | None = None
        self.released = False

    def grab(self) -> bool:
        self._take_pictures()
        self._held = None
        if not self._ready:
            if self._next >= self._pictures:
                self._clock.wait_until(self._clock() + self._hangs_s)
                return False
            self._clock.wait_until(self._time_s(self._next))
            self._take_pictures()
        self._held = self._ready.pop(0)
        return True

    def retrieve(self, image: Any = None) -> tuple[bool, Any]:
        assert self._held is not None
        picture = self._picture(self._held)
        if picture is None:
            return False, None
        if image is not None and image.shape == picture.shape:
            image[:] = picture
            return True, image
        return True, picture.copy()

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_POS_MSEC:
            return 0.0 if self._held is None else self._stamp(self._time_s(self._held)) * 1e3
        return {cv2.CAP_PROP_FRAME_WIDTH: 96.0, cv2.CAP_PROP_FRAME_HEIGHT: 64.0}[prop]

    def release(self) -> None:
        self.released = True

    def _time_s(self, index: int) -> float:
        return self._start_s + index / FPS

    def _take_pictures(self) -> None:
        while self._next < self._pictures and self._time_s(self._next) <= self._clock():
            if len(self._ready) + (self._held is not None) < BUFFERS:
                self._ready.append(self._next)
            self._next += 1


class Opener:
    """Opens one capture after the other; an error in their place is raised."""

    def __init__(
        self, *captures: QueueCapture | CameraLostError, again: Callable[[], QueueCapture] | None = None
    ) -> None:
        self._captures = list(captures)
        self._again = again
        self.asked: list[bool] = []

    def __call__(self, path: str, size: tuple[int, int], fps: float, *, prefer_compressed: bool) -> Node:  # noqa: ARG002
        self.asked.append(prefer_compressed)
        capture = self._again() if self._again is not None else self._captures.pop(0)
        if isinstance(capture, CameraLostError):
            raise capture
        return Node(capture, "Acme Cam", "96x64 YUYV at 25 fps", FPS)


Answers = Mapping[int, Callable[[tuple[Any, ...]], tuple[Any, ...]]]
LAYOUTS = {
    v4l2_device.QUERYCAP: v4l2_device.CAPABILITY,
    v4l2_device.ENUM_FMT: v4l2_device.FORMAT,
    v4l2_device.ENUM_FRAMESIZES: v4l2_device.FRAME_SIZE,
    v4l2_device.ENUM_FRAMEINTERVALS: v4l2_device.INTERVAL,
    v4l2_device.REQBUFS: v4l2_device.BUFFERS,
}


def fourcc(letters: str) -> int:
    return int.from_bytes(letters.encode(), "little")


class Requests:
    """Answers requests as the kernel would for a camera.

    Args:
        offers: sizes and rates by format; a size is (width, height), or (min, max, step) twice in one tuple of six.
        flags: capabilities of the node.
        busy: another process streams from it.
    """

    def __init__(
        self,
        offers: Mapping[str, Mapping[tuple[int, ...], Sequence[tuple[int, int]]]],
        *,
        flags: int = 0x1,
        driver: bytes = b"uvcvideo",
        busy: bool = False,
    ) -> None:
        self._offers, self._flags, self._driver, self._busy = offers, flags, driver, busy

    def __call__(self, code: int, buffer: bytearray) -> None:
        layout = LAYOUTS[code]
        try:
            buffer[:] = layout.pack(*self._answer(code, layout.unpack(buffer)))
        except IndexError:
            raise OSError(errno.EINVAL, "no such entry") from None

    def _answer(self, code: int, asked: tuple[Any, ...]) -> tuple[Any, ...]:
        index = asked[0]
        if code == v4l2_device.QUERYCAP:
            return self._driver, b"Acme Cam", b"usb-1.2", 0x60100, 0x8420_0003, self._flags
        if code == v4l2_device.REQBUFS:
            if self._busy:
                raise OSError(errno.EBUSY, "busy")
            return asked
        if code == v4l2_device.ENUM_FMT:
            return index, asked[1], 0, b"", fourcc(list(self._offers)[index])
        sizes = next(sizes for letters, sizes in self._offers.items() if fourcc(letters) == asked[1])
        if code == v4l2_device.ENUM_FRAMESIZES:
            size = list(sizes)[index]
            return index, asked[1], 1 if len(size) == 2 else 3, *size, *[0] * (6 - len(size))
        rates = sizes[asked[2:4]] if asked[2:4] in sizes else next(iter(sizes.values()))
        return *asked[:4], 1, *rates[index], 0, 0, 0, 0
