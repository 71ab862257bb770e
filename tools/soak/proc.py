"""What the agent's processes hold (psutil): memory, threads, descriptors, children."""

from dataclasses import dataclass

import psutil

__all__ = ["Usage", "engine_of", "usage"]

WORKER = "edge.engine.worker"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds at one moment."""

    rss_bytes: int
    threads: int
    fds: int
    children: int


def usage(pid: int) -> Usage | None:
    """Return what a process holds; None once it has ended.

    Also while its exit code was not collected yet.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            rss_bytes, threads, fds = process.memory_info().rss, process.num_threads(), process.num_fds()
        return Usage(rss_bytes, threads, fds, len(process.children()))
    except psutil.Error:
        return None


def engine_of(pid: int) -> int:
    """Return the process id of the agent's engine, 0 without one."""
    try:
        return next((child.pid for child in psutil.Process(pid).children() if _is_worker(child)), 0)
    except psutil.Error:
        return 0


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any(WORKER in word for word in process.cmdline())
    except psutil.Error:  # it has just ended
        return False
