"""What happened lately: percentiles of the last values."""

import math

import numpy as np

__all__ = ["Rolling"]


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
