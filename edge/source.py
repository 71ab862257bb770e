"""SRC: the one word that says where frames come from."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.address import mask
from edge.camera import PICTURE_SUFFIXES
from edge.errors import UnavailableError, UsageError

__all__ = ["Source", "parse_source"]

SourceKind = Literal["scene", "video", "images", "stream"]
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
    """Parse `scene`, a path, or an rtsp/http URL; whether the file exists is seen when it is opened.

    Raises:
        UsageError: it is none of them.
        UnavailableError: a kind of camera that this version does not read.
    """
    if text == "scene":
        return Source("scene", text, "scene")
    if text == "pi" or text.startswith(("pi:", "/dev/")):
        raise UnavailableError(
            f"camera '{text}': this version reads files, folders, rtsp/http streams and 'scene'; no cameras yet"
        )
    if "://" in text:
        if not STREAM.match(text):
            raise UsageError(f"camera '{mask(text)}': unknown kind of URL; rtsp://, rtsps://, http://, https://")
        return Source("stream", text, mask(text))
    if not text or text.startswith("-") or "\0" in text:
        raise UsageError(f"camera '{text}': not a SRC; one of: scene, file.mp4, folder, rtsp://host/path")
    path = Path(text)
    kind: SourceKind = "images" if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES else "video"
    return Source(kind, text, path.name or text)
