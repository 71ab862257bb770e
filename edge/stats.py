"""What happened lately: percentiles of the last values, events per second."""

import math
from collections import deque

import numpy as np

__all__ = ["Rate", "Rolling"]


class Rolling:
    """The last `capacity` values and their percentiles. Not for several threads."""

    def __init__(self, capacity: int = 512) -> None:
        self._values = np.zeros(capacity)
        self._count = 0

    def add(self, value: float) -> None:
        """Take in a value, in place of the oldest one when full. NaN and infinities are ignored."""
        if math.isfinite(value):
            self._values[self._count % len(self._values)] = value
            self._count += 1

    def percentile(self, percent: float) -> float | None:
        """Return the value that `percent` (0..100) of the values do not exceed; None without values.

        Between two values it is interpolated linearly, as NumPy does by default.
        """
        if not self._count:
            return None
        return float(np.percentile(self._values[: self._count], percent))

    @property
    def p50(self) -> float | None:
        """The median."""
        return self.percentile(50)

    @property
    def p95(self) -> float | None:
        """What 95 % of the values do not exceed."""
        return self.percentile(95)


class Rate:
    """Events per second over the last `window_s`. Not for several threads."""

    def __init__(self, window_s: float = 5.0) -> None:
        self._window_s = window_s
        self._times_s: deque[float] = deque()

    def add(self, time_s: float) -> None:
        """Take in an event. A clock that steps back starts the window anew."""
        if self._times_s and time_s < self._times_s[-1]:
            self._times_s.clear()
        self._times_s.append(time_s)
        self._drop_before(time_s - self._window_s)

    def per_second(self, now_s: float) -> float:
        """Return the intervals between the window's events per second since its oldest; 0 without two.

        The rate sinks while nothing happens, and is 0 once the window has passed.
        """
        self._drop_before(now_s - self._window_s)
        if len(self._times_s) < 2:
            return 0.0
        elapsed_s = max(now_s, self._times_s[-1]) - self._times_s[0]
        return (len(self._times_s) - 1) / elapsed_s if elapsed_s > 0 else 0.0

    def _drop_before(self, time_s: float) -> None:
        while self._times_s and self._times_s[0] < time_s:
            self._times_s.popleft()
