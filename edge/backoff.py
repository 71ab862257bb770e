"""Exponential back-off with jitter."""

import random
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Waits that grow from `min_s` to `max_s`, until `reset`.

    Args:
        min_s: shortest wait in seconds.
        max_s: longest wait in seconds.
        growth: factor from one wait to the next; with 1.5 a reconnect is late by at most about half of the outage.
        draw: random numbers 0 .. 1 for the jitter, which keeps the devices of a fleet from reconnecting all at once:
            each wait is drawn from the upper half of its range. None for no jitter: the waits are then `min_s`,
            `growth` times that, and so on.
    """

    def __init__(
        self,
        *,
        min_s: float = 1.0,
        max_s: float = 60.0,
        growth: float = 1.5,
        draw: Callable[[], float] | None = random.random,
    ) -> None:
        self._first_s = min_s if draw is None else 2 * min_s
        self._max_s = max_s
        self._growth = growth
        self._draw = draw
        self._top_s = 0.0

    def next_s(self) -> float:
        """Return the next wait in seconds, `min_s` .. `max_s`."""
        # Kept as a value that stops growing: a power of a counter would overflow after a night of failures.
        self._top_s = min(self._max_s, max(self._first_s, self._growth * self._top_s))
        return self._top_s if self._draw is None else self._top_s * (1 + self._draw()) / 2

    def longest_s(self) -> float:
        """Return a wait from the longest range; the next ones stay there until `reset`."""
        self._top_s = self._max_s
        return self.next_s()

    def reset(self) -> None:
        """Start again at `min_s`."""
        self._top_s = 0.0
