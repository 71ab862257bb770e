"""What Linux and the Raspberry Pi firmware tell about this machine; None where they do not."""

import ctypes
import os
from pathlib import Path

__all__ = ["clock_synced", "cpu_temperature_c", "rss_bytes", "throttled"]

STATM = Path("/proc/self/statm")
THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
THROTTLED_NOW = 0xF
"""Bits 0..3, each now: under-voltage, frequency capped, throttled, soft temperature limit (raspberrypi.com)."""

TIME_ERROR = 5
TIMEX_BYTES = 512  # struct timex has 208 bytes on 64-bit Linux; all zero means: only read


def rss_bytes() -> int | None:
    """Return the resident memory of this process."""
    text = _read(STATM)
    return None if text is None else int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_temperature_c() -> float | None:
    """Return the CPU's temperature in degrees Celsius."""
    text = _read(THERMAL)
    return None if text is None else round(int(text) / 1e3, 1)


def throttled() -> bool | None:
    """Return whether the Raspberry Pi is slowed down now, by heat or a weak power supply."""
    text = _read(THROTTLED)
    return None if text is None else bool(int(text, 16) & THROTTLED_NOW)


def clock_synced() -> bool | None:
    """Return whether the kernel calls the clock synchronized, by whatever daemon (adjtimex(2))."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except AttributeError:
        return None
    state = int(adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    return None if state < 0 else state != TIME_ERROR


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
