"""How often frames come, and which constant rate a file of them should have."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_FPS", "FrameRate"]

DEFAULT_FPS = 25.0
WINDOW = 51
FASTEST_FPS = 120.0
SLOWEST_FPS = 1.0
COMMON_FPS = np.array([5, 8, 10, 12, 15, 20, 25, 30, 50, 60])
"""Of live cameras; film has 24, but its files are steady."""
NEAR = 0.1
STEADY = 0.01
"""Intervals that differ by less are a recording's own rate, such as 29.97, not a camera's jitter."""


class FrameRate:
    """Measures over the last 51 frames: capture times in seconds, on the camera's own clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, float]] = deque(maxlen=WINDOW)

    def add(self, index: int, time_s: float) -> None:
        """Take the number and the capture time of a frame; when either goes back, measuring begins anew."""
        if self._seen and not (index > self._seen[-1][0] and time_s > self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((index, time_s))

    @property
    def mean_fps(self) -> float | None:
        """Frames per second as they came, drops and gaps included; None before the second frame."""
        if len(self._seen) < 2:
            return None
        return (len(self._seen) - 1) / (self._seen[-1][1] - self._seen[0][1])

    @property
    def constant_fps(self) -> float | None:
        """The rate of the source, to which dropped frames count too; None before the second frame.

        Gaps while the camera was away are left out. Where times are rounded (a GIF knows 10 ms) or jitter, it is
        a common rate that is near, or else a whole number. Kept between 1 and 120.
        """
        if len(self._seen) < 2:
            return None
        frames, seconds = np.diff(np.array(self._seen), axis=0).T  # (frames - 1,) each
        return float(np.clip(_rate(frames, seconds), SLOWEST_FPS, FASTEST_FPS))


def _rate(frames: NDArray[np.float64], seconds: NDArray[np.float64]) -> float:
    periods_s = seconds / frames
    middle_s = float(np.median(periods_s))
    usual = (periods_s > middle_s / 2) & (periods_s < middle_s * 2)
    fps = float(frames[usual].sum() / seconds[usual].sum())
    if np.ptp(periods_s[usual]) < STEADY * middle_s:
        return round(fps, 2)
    common = float(COMMON_FPS[np.abs(COMMON_FPS - fps).argmin()])
    return common if abs(common - fps) < NEAR * fps else round(fps)
