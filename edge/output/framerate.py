"""Measures frame rates, and chooses a constant one for a file."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_FPS", "FrameRate"]

DEFAULT_FPS = 25.0
WINDOW = 51
FASTEST_FPS = 120.0
SLOWEST_FPS = 1.0
COMMON_FPS = np.array([5, 8, 10, 12, 15, 20, 25, 30, 50, 60])
"""Rates of live cameras; film has 24, but its files are steady."""
NEAR = 0.1
"""A common rate within this share of the measured one is taken."""
STEADY = 0.01
"""Intervals that differ by less than this share are a recording's rate, such as 29.97, without a camera's jitter."""


class FrameRate:
    """Frame rate over the last 51 frames, by capture times in seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, float]] = deque(maxlen=WINDOW)

    def add(self, index: int, time_s: float) -> None:
        """Add a frame's index and capture time; restart if either goes back."""
        if self._seen and not (index > self._seen[-1][0] and time_s > self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((index, time_s))

    @property
    def mean_fps(self) -> float | None:
        """Received frames per second, gaps included; None before the second frame."""
        if len(self._seen) < 2:
            return None
        return (len(self._seen) - 1) / (self._seen[-1][1] - self._seen[0][1])

    @property
    def constant_fps(self) -> float | None:
        """The source's rate, dropped frames included; None before the second frame.

        Gaps while the camera was away are left out. Where times are rounded (a GIF has steps of 10 ms) or jitter, it
        is a common rate nearby, or else a whole number. Limited to 1..120.
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
