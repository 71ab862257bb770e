"""Figures of this machine and process from /proc and /sys; None if unknown.

Malformed files count as unknown. Every function takes the folder that /proc and /sys are in.
"""

import ctypes
import os
import re
from pathlib import Path

from edge.host.files import read_text
from edge.host.power import THROTTLED_NOW, firmware_flags

__all__ = [
    "available_memory_bytes",
    "clock_synced",
    "cpu_temperature_c",
    "rss_bytes",
    "throttled",
    "timesyncd_synced",
    "total_memory_bytes",
    "unit_memory_bytes",
    "unit_memory_max_bytes",
]

ROOT = Path("/")
CGROUPS = "sys/fs/cgroup"
TIME_ERROR = 5
TIMEX_BYTES = 512  # struct timex has 208 bytes on 64-bit Linux; all zero means: only read
MAX_TEMPERATURE_C = 200.0
"""A sensor that reports more is broken."""


def rss_bytes(root: Path = ROOT) -> int | None:
    """Return the resident memory of this process."""
    words = read_text(root / "proc/self/statm").split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if len(words) > 1 and _is_number(words[1]) else None


def cpu_temperature_c(root: Path = ROOT) -> float | None:
    """Return the CPU's temperature in degrees Celsius."""
    text = read_text(root / "sys/class/thermal/thermal_zone0/temp")
    if not _is_number(text.removeprefix("-")):
        return None
    celsius = round(int(text) / 1e3, 1)
    return celsius if abs(celsius) < MAX_TEMPERATURE_C else None


def throttled(root: Path = ROOT) -> bool | None:
    """Return whether heat or weak power slows the Raspberry Pi down now."""
    flags = firmware_flags(root)
    return None if flags is None else bool(flags & THROTTLED_NOW)


def clock_synced(root: Path = ROOT) -> bool | None:
    """Return whether the clock is synchronized, by the kernel's state (adjtimex(2)).

    That covers every NTP daemon. A service with ProtectClock= may not call adjtimex; systemd-timesyncd's state in /run
    counts then.
    """
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except AttributeError:
        return timesyncd_synced(root)
    state = int(adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    return timesyncd_synced(root) if state < 0 else state != TIME_ERROR


def timesyncd_synced(root: Path = ROOT) -> bool | None:
    """Return whether systemd-timesyncd has set the clock since its start.

    None where it does not run.
    """
    folder = root / "run/systemd/timesync"
    try:
        return (folder / "synchronized").exists() if folder.is_dir() else None
    except OSError:
        return None


def available_memory_bytes(root: Path = ROOT) -> int | None:
    """Return the memory available without swapping (MemAvailable of proc(5))."""
    return _memory(root, "MemAvailable")


def total_memory_bytes(root: Path = ROOT) -> int | None:
    """Return the machine's memory."""
    return _memory(root, "MemTotal")


def unit_memory_bytes(root: Path = ROOT) -> int | None:
    """Return the memory of this process's control group.

    None in the root group, which has no such file.
    """
    folders = _own_groups(root)
    return _bytes(folders[0] / "memory.current") if folders else None


def unit_memory_max_bytes(root: Path = ROOT) -> int | None:
    """Return that group's memory limit, None for no limit.

    The lowest limit of the group and its parents counts.
    """
    limits = [_bytes(folder / "memory.max") for folder in _own_groups(root)]
    return min((limit for limit in limits if limit is not None), default=None)


def _memory(root: Path, key: str) -> int | None:
    match = re.search(rf"^{key}:\s+([0-9]{{1,15}}) kB", read_text(root / "proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _own_groups(root: Path) -> list[Path]:
    """Return the folders of this process's control group (v2) and its parents, without the root."""
    match = re.search(r"^0::/(.+)$", read_text(root / "proc/self/cgroup"), re.MULTILINE)
    if match is None:
        return []
    parts = match[1].split("/")
    if ".." in parts:  # a group outside of this container
        return []
    return [root.joinpath(CGROUPS, *parts[:depth]) for depth in range(len(parts), 0, -1)]


def _bytes(path: Path) -> int | None:
    text = read_text(path)
    return int(text) if _is_number(text) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
