"""Finds the processes that have a device open, in /proc.

Other users' processes are visible to root only.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.host.files import read_text

__all__ = ["Holder", "holders"]


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device open."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.pid} ({self.command})"


def holders(node: str, *, proc: Path = Path("/proc"), own_pid: int | None = None) -> tuple[Holder, ...]:
    """Return the other processes that have a device open, by pid.

    Args:
        node: path of the device itself, not of a link to it.
        proc: where the process file system is mounted.
        own_pid: process to leave out; None for this one.
    """
    own = os.getpid() if own_pid is None else own_pid
    found = [pid for pid in _pids(proc) if pid != own and _has_open(proc / str(pid), node)]
    return tuple(Holder(pid, _command(proc / str(pid))) for pid in sorted(found))


def _pids(proc: Path) -> Iterator[int]:
    try:
        yield from (int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal())
    except OSError:
        return  # mounted nowhere, or hidden


def _has_open(process: Path, node: str) -> bool:
    try:
        return any(_target(link) == node for link in (process / "fd").iterdir())
    except OSError:  # it has ended, or belongs to another user
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed in the meantime
        return ""


def _command(process: Path) -> str:
    return read_text(process / "comm") or "?"
