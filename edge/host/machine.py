"""What Linux tells about this machine and this process; None where it does not, whatever its files hold.

Every reader takes the folder that /proc and /sys are in, which is another one for somebody else's machine.
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
"""Beyond it a sensor talks nonsense."""


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
    """Return whether the Raspberry Pi is slowed down now, by heat or a weak power supply."""
    flags = firmware_flags(root)
    return None if flags is None else bool(flags & THROTTLED_NOW)


def clock_synced(root: Path = ROOT) -> bool | None:
    """Return whether the clock is synchronized: the kernel's word (adjtimex(2)), whatever daemon does it.

    A service with ProtectClock= may not ask the kernel; it is told what systemd's own daemon has left in /run.
    """
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except AttributeError:
        return timesyncd_synced(root)
    state = int(adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    return timesyncd_synced(root) if state < 0 else state != TIME_ERROR


def timesyncd_synced(root: Path = ROOT) -> bool | None:
    """Return whether systemd-timesyncd has set the clock since it was started; None where it does not run."""
    folder = root / "run/systemd/timesync"
    try:
        return (folder / "synchronized").exists() if folder.is_dir() else None
    except OSError:
        return None


def available_memory_bytes(root: Path = ROOT) -> int | None:
    """Return how much memory programs can still get without swapping (MemAvailable of proc(5))."""
    return _memory(root, "MemAvailable")


def total_memory_bytes(root: Path = ROOT) -> int | None:
    """Return how much memory the machine has."""
    return _memory(root, "MemTotal")


def unit_memory_bytes(root: Path = ROOT) -> int | None:
    """Return what the control group of this process uses; None at the top, which has no such figure."""
    folders = _own_groups(root)
    return _bytes(folders[0] / "memory.current") if folders else None


def unit_memory_max_bytes(root: Path = ROOT) -> int | None:
    """Return what that group may use at most: the tightest limit on the way up; None for no limit."""
    limits = [_bytes(folder / "memory.max") for folder in _own_groups(root)]
    return min((limit for limit in limits if limit is not None), default=None)


def _memory(root: Path, key: str) -> int | None:
    match = re.search(rf"^{key}:\s+([0-9]{{1,15}}) kB", read_text(root / "proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _own_groups(root: Path) -> list[Path]:
    """Return the folder of this process's control group (version 2), then those above it, but for the top."""
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
