"""Gives files their names in such an order that after a power cut each is there whole, or not at all."""

import os
import stat
from pathlib import Path

from edge.errors import UnavailableError

__all__ = ["install", "sync", "target_of", "write_whole"]


def install(candidate: Path, final: Path) -> None:
    """Give a finished file, in the same folder, its name; one that has it is replaced. Raises OSError."""
    sync(candidate)
    candidate.replace(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Write a file or folder through to the disk (fsync). Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def target_of(path: Path) -> Path:
    """Return the file that content for `path` goes to, through a link, as `cp` does. Raises OSError.

    Raises:
        UnavailableError: something else than an ordinary file is there.
    """
    final = path.resolve()
    if final.exists() and not stat.S_ISREG(final.stat().st_mode):
        raise UnavailableError(f"{path}: is no ordinary file: name another output")
    return final


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all, in place of one that is there; through a link, as `cp` does.

    Raises:
        UnavailableError: it cannot be written: no such folder, no room, no right to, or no ordinary file there.
    """
    try:
        final = target_of(path)
        candidate = final.with_name(f".{final.name}.{os.getpid()}.new")
        try:
            candidate.write_bytes(content)
            install(candidate, final)
        finally:
            candidate.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be written: {error.strerror}: {_advice(path)}") from error


def _advice(path: Path) -> str:
    there = os.path.isdir(path.parent)  # noqa: PTH112 (never raises)
    return "make room or give rights, or name another output" if there else "make that folder first"
