"""Parses SRC, the source of frames: a driver and what it opens."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.camera.files import PICTURE_SUFFIXES, require_file
from edge.config.check import nearest, printable
from edge.errors import UsageError
from edge.masking import mask_url, stream_name

__all__ = ["Source", "parse_source"]

SourceKind = Literal["scene", "video", "images", "stream", "v4l2", "pi"]
MAX_PATH_BYTES, MAX_NAME_BYTES = 4095, 255
"""PATH_MAX and NAME_MAX of Linux (limits.h)."""
SHOWN_CHARACTERS = 60
PI_CAMERA = re.compile(r"pi(?::(\d{1,2}))?")
PI_WORDS = re.compile(r"pi[: _-]?\d*|(?:rpi|pi)-?cam(?:era)?2?(?::\d+)?|csi|libcamera", re.IGNORECASE)
"""Words that users try for the Pi's camera port."""
USB_CAMERA = re.compile(
    r"(?:/?(?:dev/)?video|cam(?:era)?)?(\d*)|usb(?:[ _-]?cam(?:era)?)?|web-?cam|v4l2?", re.IGNORECASE
)
"""Words that users try for a USB camera, which goes by its path."""
NEARLY_STREAM = re.compile(r"(rtsps?|https?):?/+([^/].*)", re.IGNORECASE)
NEARLY_VIDEO = re.compile(r"/dev/(?!video|v4l)([a-z]+)(\d+)")
STREAM = re.compile(r"(rtsps?|https?|rtmps?|tcp|udp)://[^/]", re.IGNORECASE)
HALF_A_URL = re.compile(r"(rtsps?|https?|rtmps?|tcp|udp):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed SRC.

    Attributes:
        kind: selects the driver.
        text: the SRC itself, credentials included: not for logs; of `pi` the number.
        name: how messages name it; of a stream scheme, host, port and path.
    """

    kind: SourceKind
    text: str
    name: str


def parse_source(text: str) -> Source:
    """Parse `scene`, `pi[:N]`, a path, a device below /dev, or a URL of a stream.

    A device may be absent: a camera may be plugged in later.

    Raises:
        UsageError: none of these.
        InputError: there is no such file or folder.
    """
    if text == "scene":
        return Source("scene", text, "scene")
    if pi := PI_CAMERA.fullmatch(text):
        return Source("pi", pi[1] or "0", text)
    if "://" in text:
        if not STREAM.match(text):
            kinds = "rtsp://, rtsps://, http://, https://, rtmp://, rtmps://, tcp://, udp://"
            raise UsageError(f"camera '{mask_url(text)}': unknown kind of URL; {kinds}")
        return Source("stream", text, stream_name(text))
    if not text or text.startswith("-") or "\0" in text:
        raise UsageError(
            f"camera '{text}': not a SRC; one of: pi, /dev/video0, scene, file.mp4, folder, rtsp://host/path"
        )
    if len(os.fsencode(text)) > MAX_PATH_BYTES or any(
        len(os.fsencode(part)) > MAX_NAME_BYTES for part in text.split("/")
    ):
        raise UsageError(f"camera '{printable(text[:SHOWN_CHARACTERS])}…': longer than the name of a file can be")
    _refuse_half_a_url(text)
    device = NEARLY_VIDEO.fullmatch(text)
    if device and nearest(device[1], ["video"]) and not Path(text).exists():
        raise UsageError(f"camera '{text}': did you mean /dev/video{device[2]}?")
    if text.startswith("/dev/") and not Path(text).is_file() and not Path(text).is_dir():
        return Source("v4l2", text, Path(text).name)  # absent or not: it may be plugged in later
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"camera '{printable(text)}': no such home folder: give the whole path") from None
    if PI_WORDS.fullmatch(text) and not path.exists():
        raise UsageError(f"camera '{text}': the Pi's camera port is pi, a second camera on it pi:1")
    if (usb := USB_CAMERA.fullmatch(text)) and not path.exists():
        raise UsageError(
            f"camera '{text}': a USB camera goes by its path: /dev/video{usb[1] or 0}, or better one of "
            "/dev/v4l/by-id; `edge-pose doctor` lists them"
        )
    is_folder = require_file(path, or_folder=True)
    kind: SourceKind = "images" if is_folder or path.suffix.lower() in PICTURE_SUFFIXES else "video"
    return Source(kind, str(path), path.name or text)


def _refuse_half_a_url(text: str) -> None:
    """Raise UsageError for a URL that lacks a slash or a colon; its login is never shown."""
    near, scheme = NEARLY_STREAM.fullmatch(text), HALF_A_URL.match(text)
    if not (near or scheme) or Path(text).exists():
        return
    if near:
        shown = f"{near[1]}…" if "@" in text else mask_url(text)
        raise UsageError(f"camera '{shown}': did you mean {mask_url(f'{near[1]}://{near[2]}')}?")
    if scheme:
        raise UsageError(f"camera '{scheme[0]}…': a URL begins with {scheme[0]}//")
