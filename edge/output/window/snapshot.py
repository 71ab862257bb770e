"""Saves the newest result as an annotated PNG of the camera's size."""

import os
import re
from pathlib import Path

import cv2
import numpy as np

from edge.host.atomic_write import write_new
from edge.output.overlay import Overlay
from edge.payload import Origin, utc
from edge.ports import PoseFrame

__all__ = ["save_snapshot"]

PRIVATE = 0o600
"""People are to be seen in it."""


def save_snapshot(result: PoseFrame, origin: Origin, folder: Path, *, private: bool) -> Path:
    """Save a result as `<device>-<capture time>[-private].png`; return its path.

    Args:
        result: what to draw; its image is not read when `private`.
        origin: names the device and the camera.
        folder: for the file; must exist.
        private: skeletons on black.

    Raises:
        OSError: it cannot be written; no file is left.
    """
    width, height = result.frame.size
    picture = np.empty((height, width, 3), np.uint8)
    Overlay(origin, private=private).draw(result, None, picture)
    path = folder / _name(result, origin, private=private)
    _write(path, cv2.imencode(".png", picture)[1].tobytes())
    return path


def _name(result: PoseFrame, origin: Origin, *, private: bool) -> str:
    device = re.sub(r"[^\w.-]", "-", origin.device)
    time = utc(result.frame.wall_time_s).replace(":", "-")  # Windows' file systems have no colons
    return f"{device}-{time}{'-private' if private else ''}.png"


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_new(partial, data, mode=PRIVATE)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
