"""SRC: the one word that says where frames come from."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.address import mask
from edge.camera import PICTURE_SUFFIXES, require_file
from edge.errors import UnavailableError, UsageError

__all__ = ["Source", "parse_source"]

SourceKind = Literal["scene", "video", "images", "stream"]
CAMERA = re.compile(r"pi(:\d+)?|/dev/.*|\d+|video\d+|usb|webcam|camera|picam(era)?2?|libcamera", re.IGNORECASE)
"""What people try for a camera of their own."""
STREAM = re.compile(r"(rtsps?|https?)://[^/]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed SRC.

    Attributes:
        kind: which driver reads it.
        text: the SRC itself, credentials included: not for logs.
        name: how messages name it, without credentials.
    """

    kind: SourceKind
    text: str
    name: str


def parse_source(text: str) -> Source:
    """Parse `scene`, a path, or an rtsp/http URL.

    Raises:
        UsageError: it is none of them.
        UnavailableError: a kind of camera that this version does not read.
        InputError: there is no such file or folder.
    """
    if text == "scene":
        return Source("scene", text, "scene")
    if CAMERA.fullmatch(text):
        raise UnavailableError(
            f"camera '{text}': this version reads files, folders, rtsp/http streams and 'scene', no camera "
            "directly yet; a streaming server such as mediamtx can make an rtsp:// stream of it"
        )
    if "://" in text:
        if not STREAM.match(text):
            raise UsageError(f"camera '{mask(text)}': unknown kind of URL; rtsp://, rtsps://, http://, https://")
        return Source("stream", text, mask(text))
    if not text or text.startswith("-") or "\0" in text:
        raise UsageError(f"camera '{text}': not a SRC; one of: scene, file.mp4, folder, rtsp://host/path")
    path = Path(text).expanduser()
    is_folder = require_file(path, or_folder=True)
    kind: SourceKind = "images" if is_folder or path.suffix.lower() in PICTURE_SUFFIXES else "video"
    return Source(kind, str(path), path.name or text)
