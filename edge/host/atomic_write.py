"""Atomic, durable replacement of files: write, fsync, rename, fsync the folder.

After a power cut a file is either the old one or the new one, never a part.
"""

import os
import stat
from pathlib import Path

from edge.errors import UnavailableError

__all__ = ["install", "sync", "target_of", "write_new", "write_whole"]


def install(candidate: Path, final: Path) -> None:
    """Rename a finished file of the same folder to `final`, durably.

    An existing file is replaced. Raises OSError.
    """
    sync(candidate)
    candidate.replace(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk (fsync). Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def target_of(path: Path) -> Path:
    """Return the file to write for `path`; links are followed, as by `cp`.

    Raises:
        OSError: the path cannot be looked up.
        UnavailableError: it exists and is no regular file.
    """
    final = path.resolve()
    if final.exists() and not stat.S_ISREG(final.stat().st_mode):
        raise UnavailableError(f"{path}: is not a regular file: name another output")
    return final


def write_new(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a temporary file that only this process has made. Raises OSError.

    What lies there is deleted first: left by a process that was killed, or a link laid by another user of the folder.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def write_whole(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file atomically; an existing one is replaced, links are followed.

    Args:
        path: the file.
        content: all of it.
        mode: of the file, less the umask.

    Raises:
        UnavailableError: no such folder, no space, no permission, or the path is no regular file.
    """
    try:
        final = target_of(path)
        candidate = final.with_name(f".{final.name}.{os.getpid()}.new")
        try:
            write_new(candidate, content, mode=mode)
            install(candidate, final)
        finally:
            candidate.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be written: {error.strerror}: {_advice(path)}") from error


def _advice(path: Path) -> str:
    there = os.path.isdir(path.parent)  # noqa: PTH112 (never raises)
    return "make room or give rights, or name another output" if there else "make that folder first"
