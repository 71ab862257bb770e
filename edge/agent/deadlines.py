"""How long camera and model may take before something is wrong with them."""

from edge.errors import StuckError
from edge.payload import Origin

__all__ = ["MAX_BUSY_S", "MAX_SILENCE_S", "max_silence_s", "raise_if_stuck"]

MAX_BUSY_S = 30.0
"""A thread that is inside a driver or the model for longer will not come back."""
MAX_SILENCE_S = 5.0
"""A live camera that delivers nothing for longer is reported, whatever its driver says."""


def raise_if_stuck(origin: Origin, now_s: float, *, reading_since_s: float | None, busy_since_s: float | None) -> None:
    """End a run in which a thread does not come back; only a new process gets rid of it.

    Args:
        origin: names camera and model.
        now_s: the monotonic clock.
        reading_since_s: since when the camera's thread is inside its driver; None: it is not.
        busy_since_s: since when the flow's thread is inside the model; None: it is not.

    Raises:
        StuckError: one of them is for too long.
    """
    if reading_since_s is not None and now_s - reading_since_s > MAX_BUSY_S:
        raise StuckError(f"camera {origin.camera}: hangs in its driver for {MAX_BUSY_S:g} s")
    if busy_since_s is not None and now_s - busy_since_s > MAX_BUSY_S:
        raise StuckError(f"model {origin.model}: inference hangs for {MAX_BUSY_S:g} s")


def max_silence_s(fps: float | None) -> float:
    """Return how long a live camera may give nothing: a slow one needs its time for a few frames.

    Args:
        fps: asked for; None: the camera's own.
    """
    return max(MAX_SILENCE_S, 3 / fps) if fps else MAX_SILENCE_S
