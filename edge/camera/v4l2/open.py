"""Opens a V4L2 device, or explains in one line why it cannot.

OpenCV only reports that it failed.
"""

import contextlib
import errno
import grp
import logging
import os
import pwd
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2

from edge.camera.v4l2.device import PI_DRIVERS, Capability, Mode, device, is_busy, modes, query
from edge.camera.v4l2.modes import choose
from edge.errors import CameraLostError
from edge.host.holders import holders

__all__ = [
    "Capture",
    "Node",
    "NodeState",
    "Opener",
    "busy_text",
    "denied_text",
    "main_node",
    "open_node",
    "state_of",
    "unusable_text",
]

log = logging.getLogger(__name__)

SYSFS = Path("/sys/class/video4linux")
BUFFERS = 3
"""One being filled, one waiting, one being read: with two a slow read loses frames, with more they grow old."""
SELECT_TIMEOUT_S = 5
"""Timeout of OpenCV's read, 10 s by default; whole seconds, read once per process."""
SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"
GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR, errno.ELOOP)


NodeState = tuple[str, int, int, int]
"""Identifies one appearance of a device: the node itself, inode, device number, last change of permissions."""


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that the driver uses."""

    def grab(self) -> bool:
        """Wait for a buffer; False on a timeout or error."""

    def retrieve(self, image: Any = ...) -> tuple[bool, Any]:
        """Decode the grabbed buffer to BGR uint8 (H, W, 3), into `image` if it fits."""

    def get(self, prop: int, /) -> float:
        """Return a property."""

    def release(self) -> None:
        """Close."""


@dataclass(frozen=True, slots=True)
class Node:
    """An open device.

    Attributes:
        capture: reads its pictures.
        card: the product's name.
        summary: negotiated size, format and rate, for the log.
        fps: the negotiated rate; 0 if unknown.
    """

    capture: Capture
    card: str
    summary: str
    fps: float


class Opener(Protocol):
    """Opens a device; `open_node` is one."""

    def __call__(self, path: str, size: tuple[int, int], fps: float, *, prefer_compressed: bool) -> Node:
        """Open it. Raises CameraLostError."""
        ...


def state_of(path: str) -> NodeState | None:
    """Return the state of a path's device; None while it is absent."""
    try:
        node = Path(path).resolve(strict=True)
        status = node.stat()
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return None
    return str(node), status.st_ino, status.st_rdev, status.st_ctime_ns


def open_node(path: str, size: tuple[int, int], fps: float, *, prefer_compressed: bool) -> Node:
    """Open a device in the nearest mode; a link is resolved each time.

    Raises:
        CameraLostError: it is absent, busy, forbidden, or no camera.
    """
    node = os.path.realpath(path)
    with _explained(path, node), device(node) as call:
        capability = query(call)
        if not capability.captures or capability.driver in PI_DRIVERS:
            raise CameraLostError(unusable_text(path, node, capability))
        if is_busy(call, capability.buffer_type):
            raise CameraLostError(busy_text(path, node))
        offered = modes(call, capability.buffer_type, size, fps)
    mode = choose(offered, size, fps, prefer_compressed=prefer_compressed)
    if offered and mode is None:
        formats = ", ".join(sorted({other.fourcc for other in offered}))
        raise CameraLostError(f"{path} ({capability.card}) offers only {formats}, which cannot be read")
    capture = _open_capture(path, node, mode or Mode("", size, fps))
    return Node(capture, capability.card, _negotiated(capture), _positive(capture.get(cv2.CAP_PROP_FPS)))


def _open_capture(path: str, node: str, mode: Mode) -> cv2.VideoCapture:
    os.environ.setdefault(SELECT_TIMEOUT, str(SELECT_TIMEOUT_S))
    capture = cv2.VideoCapture(node, cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise CameraLostError(busy_text(path, node) if holders(node) else f"{path} cannot be opened as a camera")
    if mode.fourcc:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*mode.fourcc))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.size[1])
    if mode.fps:
        capture.set(cv2.CAP_PROP_FPS, mode.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
    return capture


def _negotiated(capture: cv2.VideoCapture) -> str:
    """Return what the driver does, which may differ from the request."""
    width, height = (int(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFF_FFFF
    letters = fourcc.to_bytes(4, "little").decode("latin-1").strip("\0 ") or "unknown format"
    fps = _positive(capture.get(cv2.CAP_PROP_FPS))
    return f"{width}x{height} {letters}" + (f" at {fps:.4g} fps" if fps else "")


def _positive(fps: float) -> float:
    return fps if 0 < fps < 1000 else 0.0


@contextlib.contextmanager
def _explained(path: str, node: str) -> Iterator[None]:
    """Convert the kernel's error to one line with the next step."""
    try:
        yield
    except CameraLostError:
        raise
    except OSError as error:
        raise CameraLostError(_error_text(path, node, error)) from error


def _error_text(path: str, node: str, error: OSError) -> str:
    match error.errno:
        case code if code in GONE:
            return f"{path} is not there"
        case errno.EACCES | errno.EPERM:
            return denied_text(path, node)
        case errno.EBUSY:
            return busy_text(path, node)
        case errno.ENOTTY | errno.EINVAL:
            return f"{path} is no camera"
        case _:
            return f"{path} cannot be used: {error.strerror}"


def busy_text(path: str, node: str, *, proc: Path = Path("/proc")) -> str:
    """Return which processes hold a busy device."""
    by = ", ".join(str(holder) for holder in holders(node, proc=proc))
    return f"{path} is busy: held by {by or f'another process (sudo fuser -v {node} names it)'}"


def denied_text(path: str, node: str, *, groups: Collection[int] | None = None) -> str:
    """Return which group may open a device, and how to join it.

    Args:
        path: as in the config.
        node: the device itself.
        groups: of this process; None to look them up.
    """
    try:
        status = Path(node).stat()
    except OSError:  # removed in the meantime
        return f"{path}: permission denied"
    if status.st_gid in (os.getgroups() if groups is None else groups):
        return f"{path}: permission denied, though its group would do: a container, or DeviceAllow= of the service?"
    user = _name(lambda: pwd.getpwuid(os.geteuid()).pw_name, os.geteuid())
    group = _name(lambda: grp.getgrgid(status.st_gid).gr_name, status.st_gid)
    if status.st_mode & stat.S_IRGRP and status.st_mode & stat.S_IWGRP and status.st_gid != 0:
        return (
            f"{path}: permission denied: user {user} is not in group {group}: "
            f"sudo usermod -aG {group} {user}, then log in again"
        )
    return f"{path}: permission denied: only its owner may open it (mode {stat.S_IMODE(status.st_mode):o})"


def _name(look_up: Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:
        return str(number)


def unusable_text(path: str, node: str, capability: Capability, *, sysfs: Path = SYSFS) -> str:
    """Return why a V4L2 device is no camera, and what to use instead."""
    if capability.driver in PI_DRIVERS:
        return f"{path} is a part of the Pi's camera port ({capability.driver}): use the source pi"
    main = main_node(os.path.basename(node), sysfs=sysfs)  # noqa: PTH119 - a name, not a path to walk
    instead = f": its camera is {main}" if main else ""
    return f"{path} takes no pictures ({capability.driver}, metadata or output){instead}"


def main_node(name: str, *, sysfs: Path = SYSFS) -> str | None:
    """Return the first node of the product of `name` (`video1`).

    None when `name` is the first.
    """
    try:
        own = (sysfs / name / "device").resolve(strict=True)
        fellows = [other for other in sysfs.iterdir() if (other / "device").resolve() == own]
        first = min(fellows, key=lambda other: int((other / "index").read_text()))
    except (OSError, ValueError):
        return None
    return None if first.name == name else f"/dev/{first.name}"
