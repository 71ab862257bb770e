"""Describes the machine for a benchmark: board, CPU, memory, OS, heat."""

import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from edge.host.files import read_text
from edge.host.machine import cpu_temperature_c, throttled, total_memory_bytes

__all__ = ["describe_machine", "heat"]

BOARD = Path("/proc/device-tree/model")
CPU_INFO = Path("/proc/cpuinfo")
ARM_PARTS = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
"""Part number of the Main ID register, for the cores of Raspberry Pi 3, 4 and 5 (Arm's reference manuals)."""


def describe_machine() -> dict[str, Any]:
    """Return board, CPU, usable cores, memory, load, operating system, Python.

    The board is None on other computers. The load is the mean number of programs that wanted a core in the last
    minute: call this before any measurement.
    """
    memory = total_memory_bytes()
    return {
        "board": read_text(BOARD) or None,
        "cpu": _cpu(read_text(CPU_INFO)),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": None if memory is None else memory // 2**20,
        "load": round(os.getloadavg()[0], 2),
        "os": _os(),
        "python": "{}.{}.{}".format(*sys.version_info),
    }


def heat() -> dict[str, Any]:
    """Return temperature and throttling now; each None if unknown."""
    return {"temperature_c": cpu_temperature_c(), "throttled": throttled()}


def _cpu(info: str) -> str:
    """Return the CPU's name; ARM kernels give only the part number of its cores."""
    if match := re.search(r"^model name\s*: (.+)$", info, re.MULTILINE):
        return match[1].strip()
    match = re.search(r"^CPU part\s*: (\w+)$", info, re.MULTILINE)
    return ARM_PARTS.get(match[1], f"ARM part {match[1]}") if match else platform.machine()


def _os() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.machine()}"
