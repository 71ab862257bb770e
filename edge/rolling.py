"""Percentiles over a sliding window."""

import math

import numpy as np

__all__ = ["Rolling"]


class Rolling:
    """The last `capacity` values and their percentiles. Not thread-safe."""

    def __init__(self, capacity: int = 512) -> None:
        self._values = np.zeros(capacity)
        self._count = 0

    def add(self, value: float) -> None:
        """Add a finite value, replacing the oldest one if full."""
        if math.isfinite(value):
            self._values[self._count % len(self._values)] = value
            self._count += 1

    def percentile(self, percent: float) -> float | None:
        """Return the percentile `percent` (0..100); None without values.

        Linear interpolation between values, NumPy's default.
        """
        if not self._count:
            return None
        return float(np.percentile(self._values[: self._count], percent))

    @property
    def p50(self) -> float | None:
        """Median."""
        return self.percentile(50)

    @property
    def p95(self) -> float | None:
        """95th percentile."""
        return self.percentile(95)
