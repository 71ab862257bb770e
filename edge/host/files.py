"""Reads small files, and the free space of a disk."""

import errno
import os
import shutil
import stat
from pathlib import Path

__all__ = ["MAX_SMALL_BYTES", "free_bytes", "free_disk_bytes", "open_regular", "read_small", "read_text"]

MAX_SMALL_BYTES = 1 << 20
"""Of configs, manifests, notes, passwords and certificates."""


def open_regular(path: Path) -> int:
    """Open a regular file to read it; return its descriptor.

    A pipe nobody writes to would be waited for, and a device such as /dev/zero never ends.

    Raises:
        OSError: it cannot be opened, or is a folder, a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "is a pipe or a device, not a file", str(path))


def read_small(path: Path, max_bytes: int = MAX_SMALL_BYTES) -> bytes:
    """Return the content of a small regular file.

    Raises:
        OSError: see `open_regular`; or it is larger than `max_bytes`.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"is larger than {max_bytes} bytes", str(path))
    return content


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
