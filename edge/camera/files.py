"""Files and folders as sources: suffixes of pictures, check of a path."""

import stat
from pathlib import Path

from edge.errors import InputError

__all__ = ["PICTURE_SUFFIXES", "require_file"]

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of pictures in a folder, in lower case."""


def require_file(path: Path, *, or_folder: bool = False) -> bool:
    """Return whether `path` is a folder.

    Raises:
        InputError: it does not exist, may not be looked at, or is neither a file nor, if allowed, a folder.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{path}: no such file or folder") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise InputError(f"{str(path)[:200]}: cannot be read: {getattr(error, 'strerror', error)}") from None
    if stat.S_ISREG(mode) or (or_folder and stat.S_ISDIR(mode)):
        return stat.S_ISDIR(mode)
    raise InputError(f"{path}: neither a file nor a folder")
