"""Deadlines of camera and model."""

from edge.errors import StuckError
from edge.payload import Origin

__all__ = ["MAX_BUSY_S", "MAX_SILENCE_S", "max_silence_s", "raise_if_stuck"]

MAX_BUSY_S = 30.0
"""A thread that is inside a driver or the model for longer is taken to hang for ever."""
MAX_SILENCE_S = 5.0
"""A live camera without a frame for longer is reported as silent, even if its driver reports no error."""


def raise_if_stuck(origin: Origin, now_s: float, *, reading_since_s: float | None, busy_since_s: float | None) -> None:
    """Raise StuckError if a thread hangs; only a new process gets rid of it.

    Args:
        origin: names camera and model.
        now_s: the monotonic clock.
        reading_since_s: when the camera's thread entered its driver; None: it is not inside.
        busy_since_s: when the flow's thread entered the model; None: it is not inside.

    Raises:
        StuckError: one of them is inside for more than `MAX_BUSY_S`.
    """
    if reading_since_s is not None and now_s - reading_since_s > MAX_BUSY_S:
        raise StuckError(f"camera {origin.camera}: hangs in its driver for {MAX_BUSY_S:g} s")
    if busy_since_s is not None and now_s - busy_since_s > MAX_BUSY_S:
        raise StuckError(f"model {origin.model}: inference hangs for {MAX_BUSY_S:g} s")


def max_silence_s(fps: float | None) -> float:
    """Return how long a live camera may deliver no frame: at least the time of three.

    Args:
        fps: from the config; None: the camera's own.
    """
    return max(MAX_SILENCE_S, 3 / fps) if fps else MAX_SILENCE_S
