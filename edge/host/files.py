"""Reads small files, and the free space of a disk."""

import shutil
from pathlib import Path

__all__ = ["free_bytes", "free_disk_bytes", "read_text"]


def read_text(path: Path) -> str:
    """Return a file's text, stripped; empty where it is missing or unreadable.

    Null bytes at its end, as in the device tree, are stripped too.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \t\r\n\0")
    except OSError:
        return ""


def free_bytes(folder: Path) -> int:
    """Return the bytes a user may still write in a folder. Raises OSError."""
    return shutil.disk_usage(folder).free


def free_disk_bytes(path: Path) -> int | None:
    """Return the free bytes where `path` is or will be; None if unknown.

    Blocks while a network file system hangs.
    """
    for folder in (path, *path.parents):
        try:
            return free_bytes(folder)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
