"""Opens a V4L2 device for the driver, and says in one line why it cannot be used: OpenCV would only say no."""

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

__all__ = ["Capture", "Node", "NodeState", "Opener", "denied", "held", "main_node", "open_node", "state_of", "unusable"]

log = logging.getLogger(__name__)

SYSFS = Path("/sys/class/video4linux")
BUFFERS = 3
"""One being filled, one waiting, one being read: with two a slow read loses frames, with more they grow old."""
SELECT_TIMEOUT_S = 5
"""OpenCV gives up a read after so long, 10 s of itself; whole seconds, read once per process."""
SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"
GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR, errno.ELOOP)


NodeState = tuple[str, int, int, int]
"""What tells one appearance of a device from the next: the node itself, inode, numbers, last change of rights."""


class Capture(Protocol):
    """What the driver uses of `cv2.VideoCapture`."""

    def grab(self) -> bool:
        """Wait for a buffer; False when none came."""

    def retrieve(self, image: Any = ...) -> tuple[bool, Any]:
        """Return the grabbed buffer as BGR uint8 (H, W, 3), written into `image` where it fits."""

    def get(self, prop: int, /) -> float:
        """Return a property."""

    def release(self) -> None:
        """Close."""


@dataclass(frozen=True, slots=True)
class Node:
    """An opened device.

    Attributes:
        capture: reads it.
        card: the product's name.
        told: what was negotiated, for the log.
        fps: the rate negotiated; 0 when unknown.
    """

    capture: Capture
    card: str
    told: str
    fps: float


class Opener(Protocol):
    """Opens a path, as `open_node` does."""

    def __call__(self, path: str, size: tuple[int, int], fps: float, *, prefer_compressed: bool) -> Node:
        """Open it. Raises CameraLostError."""
        ...


def state_of(path: str) -> NodeState | None:
    """Return what a path leads to now; None while there is nothing."""
    try:
        node = Path(path).resolve(strict=True)
        status = node.stat()
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return None
    return str(node), status.st_ino, status.st_rdev, status.st_ctime_ns


def open_node(path: str, size: tuple[int, int], fps: float, *, prefer_compressed: bool) -> Node:
    """Open a device in the mode that comes nearest; a link is followed anew each time.

    Raises:
        CameraLostError: it is absent, busy, forbidden, or no camera.
    """
    node = os.path.realpath(path)
    with _told(path, node), device(node) as call:
        capability = query(call)
        if not capability.captures or capability.driver in PI_DRIVERS:
            raise CameraLostError(unusable(path, node, capability))
        if is_busy(call, capability.buffer_type):
            raise CameraLostError(held(path, node))
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
        raise CameraLostError(held(path, node) if holders(node) else f"{path} cannot be opened as a camera")
    if mode.fourcc:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*mode.fourcc))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.size[1])
    if mode.fps:
        capture.set(cv2.CAP_PROP_FPS, mode.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
    return capture


def _negotiated(capture: cv2.VideoCapture) -> str:
    """Say what the driver really does: it may have taken none of our wishes."""
    width, height = (int(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFF_FFFF
    letters = fourcc.to_bytes(4, "little").decode("latin-1").strip("\0 ") or "unknown format"
    fps = _positive(capture.get(cv2.CAP_PROP_FPS))
    return f"{width}x{height} {letters}" + (f" at {fps:.4g} fps" if fps else "")


def _positive(fps: float) -> float:
    return fps if 0 < fps < 1000 else 0.0


@contextlib.contextmanager
def _told(path: str, node: str) -> Iterator[None]:
    """Turn the kernel's refusal into the line that a person needs."""
    try:
        yield
    except CameraLostError:
        raise
    except OSError as error:
        raise CameraLostError(_explain(path, node, error)) from error


def _explain(path: str, node: str, error: OSError) -> str:
    match error.errno:
        case code if code in GONE:
            return f"{path} is not there"
        case errno.EACCES | errno.EPERM:
            return denied(path, node)
        case errno.EBUSY:
            return held(path, node)
        case errno.ENOTTY | errno.EINVAL:
            return f"{path} is no camera"
        case _:
            return f"{path} cannot be used: {error.strerror}"


def held(path: str, node: str, *, proc: Path = Path("/proc")) -> str:
    """Say who has a device that streams for somebody else."""
    by = ", ".join(str(holder) for holder in holders(node, proc=proc))
    return f"{path} is busy: held by {by or f'another process (sudo fuser -v {node} names it)'}"


def denied(path: str, node: str, *, groups: Collection[int] | None = None) -> str:
    """Say which group may open a device, and how to get into it.

    Args:
        path: what the user wrote.
        node: the device itself.
        groups: those that this process is in; None to ask.
    """
    try:
        status = Path(node).stat()
    except OSError:  # gone in the meantime
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


def unusable(path: str, node: str, capability: Capability, *, sysfs: Path = SYSFS) -> str:
    """Say why a V4L2 device gives no pictures, and what to use in its place."""
    if capability.driver in PI_DRIVERS:
        return f"{path} is a part of the Pi's camera port ({capability.driver}): use the source pi"
    main = main_node(os.path.basename(node), sysfs=sysfs)  # noqa: PTH119 - a name, not a path to walk
    instead = f": its camera is {main}" if main else ""
    return f"{path} takes no pictures ({capability.driver}, metadata or output){instead}"


def main_node(name: str, *, sysfs: Path = SYSFS) -> str | None:
    """Return the first node of the product that `name` (`video1`) belongs to; None when it is that itself."""
    try:
        own = (sysfs / name / "device").resolve(strict=True)
        fellows = [other for other in sysfs.iterdir() if (other / "device").resolve() == own]
        first = min(fellows, key=lambda other: int((other / "index").read_text()))
    except (OSError, ValueError):
        return None
    return None if first.name == name else f"/dev/{first.name}"
