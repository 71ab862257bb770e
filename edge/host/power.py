"""Throttling of a Raspberry Pi by heat or weak power: its firmware's flags."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from edge.host.files import read_text

__all__ = ["THROTTLED_NOW", "Throttling", "firmware_flags", "parse_vcgencmd", "read_throttling", "vcgencmd_flags"]

THROTTLED_NOW = 0xF
"""Bits 0..3, each now: under-voltage, frequency capped, throttled, soft temperature limit (raspberrypi.com)."""
SINCE_BOOT_SHIFT = 16
"""Bits 16..19 are the same flags for the time since boot."""

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
HWMON = "sys/class/hwmon"
VOLTAGE_SENSOR = "rpi_volt"
VCGENCMD_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """Reasons why the machine is slowed down; None if unknown.

    Attributes:
        under_voltage: the supply voltage is too low now.
        frequency_capped: the clock is limited now.
        throttled: the clock is reduced now.
        soft_temperature_limit: the chip is above its soft limit (60 °C on a Pi 3B+) now.
        under_voltage_since_boot: the same four for the time since boot.
        frequency_capped_since_boot: see above.
        throttled_since_boot: see above.
        soft_temperature_limit_since_boot: see above.
    """

    under_voltage: bool | None = None
    frequency_capped: bool | None = None
    throttled: bool | None = None
    soft_temperature_limit: bool | None = None
    under_voltage_since_boot: bool | None = None
    frequency_capped_since_boot: bool | None = None
    throttled_since_boot: bool | None = None
    soft_temperature_limit_since_boot: bool | None = None

    @classmethod
    def of(cls, flags: int) -> "Throttling":
        """Decode the firmware's bits."""
        since = flags | flags << SINCE_BOOT_SHIFT
        return cls(
            under_voltage=bool(flags & 1),
            frequency_capped=bool(flags & 2),
            throttled=bool(flags & 4),
            soft_temperature_limit=bool(flags & 8),
            under_voltage_since_boot=bool(since & 1 << 16),
            frequency_capped_since_boot=bool(since & 1 << 17),
            throttled_since_boot=bool(since & 1 << 18),
            soft_temperature_limit_since_boot=bool(since & 1 << 19),
        )

    def after(self, earlier: "Throttling | None") -> "Throttling":
        """Return this with earlier `_since_boot` flags kept.

        Kernels that poll the firmware clear its memory of them.
        """
        names = [field.name for field in fields(self) if field.name.endswith("_since_boot")]
        return replace(self, **{name: True for name in names if getattr(earlier, name, False)})

    @property
    def is_slowed(self) -> bool | None:
        """Whether any flag is set now; None if all are unknown."""
        now = (self.under_voltage, self.frequency_capped, self.throttled, self.soft_temperature_limit)
        known = [flag for flag in now if flag is not None]
        return any(known) if known else None


def read_throttling(root: Path, ask_firmware: Callable[[], int | None] = lambda: None) -> Throttling | None:
    """Return the known flags, None for none.

    Args:
        root: the folder that /sys is in.
        ask_firmware: called where /sys lacks the flags; may block (`vcgencmd_flags`).
    """
    flags = firmware_flags(root)
    if flags is None:
        flags = ask_firmware()
    if flags is not None:
        return Throttling.of(flags)
    alarm = _voltage_alarm(root)
    return None if alarm is None else Throttling(under_voltage=alarm, under_voltage_since_boot=alarm or None)


def firmware_flags(root: Path) -> int | None:
    """Return the firmware's bits from /sys, None where they are missing."""
    return _flags(read_text(root / THROTTLED))


def vcgencmd_flags(path: str | None = None) -> int | None:
    """Return the firmware's bits by `vcgencmd`; None without an answer in 5 s.

    Args:
        path: folders to search for it; None for the environment's PATH.
    """
    command = shutil.which("vcgencmd", path=path)
    if command is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - Raspberry Pi OS's own command, with constant words
            [command, "get_throttled"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VCGENCMD_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_vcgencmd(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else None


def parse_vcgencmd(text: str) -> int | None:
    """Return the bits in `throttled=0x50005`, None for other text."""
    key, _, value = text.strip().partition("=")
    return _flags(value) if key == "throttled" else None


def _flags(text: str) -> int | None:
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,8}", text.strip()) else None


def _voltage_alarm(root: Path) -> bool | None:
    """Return the kernel's voltage alarm: too low within the last two seconds."""
    for sensor in sorted(_folders(root / HWMON)):
        if read_text(sensor / "name") == VOLTAGE_SENSOR:
            alarm = read_text(sensor / "in0_lcrit_alarm")
            return {"0": False, "1": True}.get(alarm)
    return None


def _folders(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []
