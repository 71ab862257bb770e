"""libcamera's clock, CLOCK_BOOTTIME, and its conversion to the monotonic clock."""

import time

__all__ = ["boot_clock", "to_monotonic_s"]


def boot_clock() -> float:
    """Return CLOCK_BOOTTIME in seconds: the monotonic clock plus the time asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def to_monotonic_s(sensor_s: float | None, now_s: float, boot_s: float) -> float | None:
    """Convert a SensorTimestamp to the monotonic clock; None without one.

    Args:
        sensor_s: in seconds of CLOCK_BOOTTIME, which also counts the time asleep.
        now_s: the monotonic clock.
        boot_s: CLOCK_BOOTTIME at the same instant.
    """
    return None if sensor_s is None else sensor_s - (boot_s - now_s)
