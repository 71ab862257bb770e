"""What Linux tells about a process and its children."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "engine_of", "usage"]

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
WORKER = b"edge.engine.worker"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds at one moment."""

    rss_bytes: int
    threads: int
    fds: int
    children: int


def usage(pid: int) -> Usage | None:
    """Return what a process holds; None when there is none, or not any more."""
    folder = Path(f"/proc/{pid}")
    try:
        pages = int((folder / "statm").read_text().split()[1])
        if not pages:
            return None  # it has ended, and waits to be asked for its code
        threads, fds = _count(folder / "task"), _count(folder / "fd")
        return Usage(pages * PAGE_BYTES, threads, fds, len(_children(pid)))
    except OSError:
        return None


def engine_of(pid: int) -> int:
    """Return the process id of an agent's engine, 0 while there is none."""
    for child in _children(pid):
        with contextlib.suppress(OSError):
            if WORKER in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return 0


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # a thread that has just ended
                found += [int(word) for word in (task / "children").read_text().split()]
    return found
