"""Queries a V4L2 device by ioctl (linux/videodev2.h), which OpenCV cannot."""

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["PI_DRIVERS", "Capability", "Ioctl", "Mode", "device", "is_busy", "modes", "query", "rate_for"]

PI_DRIVERS = ("unicam", "rp1-cfe", "bcm2835-isp", "pispbe")
"""The Pi's own camera port: its raw pictures need libcamera."""

Ioctl = Callable[[int, bytearray], object]
"""Runs one ioctl on an open device, changing the buffer in place; raises OSError."""

CAPTURE, CAPTURE_MPLANE, HAS_DEVICE_CAPS = 0x1, 0x1000, 0x8000_0000
DISCRETE = 1
MMAP = 1
MAX_ENTRIES = 256
"""No list of a device is longer; a driver whose list never ends must not block."""
OVER = (errno.EINVAL, errno.ENOTTY, errno.ENODATA)
"""Errors with which drivers end a list, or have none."""

CAPABILITY = struct.Struct("16s32s32sIII12x")
FORMAT = struct.Struct("III32sI16x")  # index, type, flags, description, fourcc
FRAME_SIZE = struct.Struct("III6I8x")  # index, fourcc, type, then width and height or min, max, step of each
INTERVAL = struct.Struct("IIIII6I8x")  # index, fourcc, width, height, type, then fractions of a second
BUFFERS = struct.Struct("III8x")  # count, type, memory

READ, READ_WRITE = 2, 3


def _code(direction: int, number: int, layout: struct.Struct) -> int:
    """Return an ioctl's number as asm-generic/ioctl.h composes it."""
    return direction << 30 | layout.size << 16 | ord("V") << 8 | number


QUERYCAP = _code(READ, 0, CAPABILITY)
ENUM_FMT = _code(READ_WRITE, 2, FORMAT)
REQBUFS = _code(READ_WRITE, 8, BUFFERS)
ENUM_FRAMESIZES = _code(READ_WRITE, 74, FRAME_SIZE)
ENUM_FRAMEINTERVALS = _code(READ_WRITE, 75, INTERVAL)


@dataclass(frozen=True, slots=True)
class Capability:
    """Driver, name and kind of a device.

    Attributes:
        driver: the kernel's driver, such as `uvcvideo`.
        card: the product's name.
        buffer_type: of its capture queue (enum v4l2_buf_type); 0 when it captures nothing.
    """

    driver: str
    card: str
    buffer_type: int

    @property
    def captures(self) -> bool:
        """Whether it is a camera, not a metadata node, codec or output."""
        return self.buffer_type > 0


@dataclass(frozen=True, slots=True)
class Mode:
    """A format, size and rate that a device offers.

    Attributes:
        fourcc: of the format, four letters.
        size: (width, height) in pixels.
        fps: the offered rate nearest to the requested one; 0 if unknown.
    """

    fourcc: str
    size: tuple[int, int]
    fps: float


@contextmanager
def device(node: str) -> Iterator[Ioctl]:
    """Open a device for ioctls; close it at the end. Raises OSError."""
    # Without O_NONBLOCK some drivers wait in open() until a signal arrives.
    descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield lambda code, buffer: fcntl.ioctl(descriptor, code, buffer, True)
    finally:
        os.close(descriptor)


def query(call: Ioctl) -> Capability:
    """Return a device's capability. Raises OSError: it is no V4L2 device."""
    buffer = bytearray(CAPABILITY.size)
    call(QUERYCAP, buffer)
    driver, card, _, _, whole, node = CAPABILITY.unpack(buffer)
    flags = node if whole & HAS_DEVICE_CAPS else whole
    kind = 1 if flags & CAPTURE else 9 if flags & CAPTURE_MPLANE else 0
    return Capability(_text(driver), _text(card), kind)


def is_busy(call: Ioctl, buffer_type: int) -> bool:
    """Return whether another process streams from the device.

    That process owns the buffers; the test requests none.
    """
    try:
        call(REQBUFS, bytearray(BUFFERS.pack(0, buffer_type, MMAP)))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def modes(call: Ioctl, buffer_type: int, size: tuple[int, int], fps: float) -> tuple[Mode, ...]:
    """Return a device's modes; of a range that nearest to `size` and `fps`."""
    return tuple(
        Mode(_letters(fourcc), offered, rate_for(_rates(call, fourcc, offered, fps), fps))
        for fourcc in _formats(call, buffer_type)
        for offered in _sizes(call, fourcc, size)
    )


def rate_for(rates: list[float], fps: float) -> float:
    """Return the lowest rate of at least `fps`, else the highest; 0 of none.

    29.97 counts as 30.
    """
    enough = [rate for rate in rates if rate >= fps * 0.98]
    return min(enough) if enough else max(rates, default=0.0)


def _formats(call: Ioctl, buffer_type: int) -> list[int]:
    entries = _entries(call, ENUM_FMT, FORMAT, lambda index: (index, buffer_type, 0, b"", 0))
    return [entry[4] for entry in entries]


def _sizes(call: Ioctl, fourcc: int, wanted: tuple[int, int]) -> list[tuple[int, int]]:
    sizes = []
    for _, _, kind, *numbers in _entries(
        call, ENUM_FRAMESIZES, FRAME_SIZE, lambda index: (index, fourcc, 0, 0, 0, 0, 0, 0, 0)
    ):
        if kind != DISCRETE:
            return [(_in_steps(wanted[0], *numbers[:3]), _in_steps(wanted[1], *numbers[3:]))]
        sizes.append((numbers[0], numbers[1]))
    return sizes


def _rates(call: Ioctl, fourcc: int, size: tuple[int, int], wanted: float) -> list[float]:
    rates = []
    for *_, kind, above, below, above2, below2, _, _ in _entries(
        call, ENUM_FRAMEINTERVALS, INTERVAL, lambda index: (index, fourcc, *size, 0, 0, 0, 0, 0, 0, 0)
    ):
        if kind != DISCRETE:  # from the shortest interval to the longest
            return [min(max(wanted, _rate(above2, below2)), _rate(above, below))]
        rates.append(_rate(above, below))
    return rates


def _entries(
    call: Ioctl, code: int, layout: struct.Struct, ask: Callable[[int], tuple[int | bytes, ...]]
) -> Iterator[tuple[int, ...]]:
    """Yield the entries of a list, one ioctl each."""
    for index in range(MAX_ENTRIES):
        buffer = bytearray(layout.pack(*ask(index)))
        try:
            call(code, buffer)
        except OSError as error:
            if error.errno in OVER:
                return
            raise
        yield layout.unpack(buffer)


def _in_steps(wanted: int, low: int, high: int, step: int) -> int:
    inside = min(max(wanted, low), high)
    return inside - (inside - low) % max(step, 1)


def _rate(above: int, below: int) -> float:
    """Return frames per second of a frame time of `above / below` seconds."""
    return below / above if above else 0.0


def _letters(fourcc: int) -> str:
    return fourcc.to_bytes(4, "little").decode("latin-1")


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")
