"""Checks a driver's capture times against the monotonic clock."""

__all__ = ["capture_time_s"]

MAX_AGE_S = 10.0
"""An older stamp is of another clock."""


def capture_time_s(stamp_s: float | None, last_s: float, now_s: float) -> float:
    """Return a picture's capture time: its stamp if plausible, else now.

    Args:
        stamp_s: the driver's stamp on the monotonic clock, None without one; it is wrong where a driver stamps with
            the wall clock or with 0.
        last_s: capture time of the previous picture.
        now_s: when the picture arrived, on the monotonic clock.
    """
    if stamp_s is None:
        return now_s
    return stamp_s if max(last_s, now_s - MAX_AGE_S) < stamp_s <= now_s else now_s
