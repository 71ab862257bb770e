"""Files and folders as sources: suffixes of pictures, check of a path."""

import difflib
import os
import stat
from itertools import islice
from pathlib import Path

from edge.errors import InputError

__all__ = ["OTHER_SUFFIXES", "PICTURE_SUFFIXES", "require_file"]

PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes of pictures in a folder, in lower case."""

OTHER_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".gif", ".jp2", ".jxl", ".nef", ".orf", ".raf", ".rw2"})
"""Suffixes of pictures that are left out of a folder; a GIF is a video."""

MAX_NAMES = 10_000


def _near(path: Path) -> str:
    """Return ` (did you mean …?)` for a file of a similar name beside it, or nothing."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, MAX_NAMES)]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(path.name, [name for name in names if name.isprintable()], n=1, cutoff=0.8)
    return f" (did you mean {path.with_name(near[0])}?)" if near else ""


def require_file(path: Path, *, or_folder: bool = False) -> bool:
    """Return whether `path` is a folder.

    Raises:
        InputError: it does not exist, may not be looked at, or is neither a file nor, if allowed, a folder.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{path}: no such file or folder{_near(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise InputError(f"{str(path)[:200]}: cannot be read: {getattr(error, 'strerror', error)}") from None
    if stat.S_ISREG(mode) or (or_folder and stat.S_ISDIR(mode)):
        return stat.S_ISDIR(mode)
    raise InputError(f"{path}: neither a file nor a folder")
