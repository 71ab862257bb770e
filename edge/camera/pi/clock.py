"""libcamera's clock and ours: when a picture was taken."""

import time

__all__ = ["boot_clock", "capture_time_s"]

MAX_AGE_S = 10.0
"""A picture that claims to be older was stamped by another clock."""


def boot_clock() -> float:
    """Return CLOCK_BOOTTIME in seconds: the monotonic clock and the time asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def capture_time_s(sensor_s: float | None, last_s: float, now_s: float, boot_s: float) -> float:
    """Return when a picture was taken, on the monotonic clock.

    Args:
        sensor_s: SensorTimestamp in seconds, of CLOCK_BOOTTIME, which unlike ours runs on while asleep.
        last_s: capture time of the picture before.
        now_s: the monotonic clock.
        boot_s: CLOCK_BOOTTIME at the same instant.
    """
    taken_s = now_s if sensor_s is None else sensor_s - (boot_s - now_s)
    return taken_s if max(last_s, now_s - MAX_AGE_S) < taken_s <= now_s else now_s
