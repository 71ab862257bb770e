"""Which people are in the hall at a time, and what they do."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from edge.scene.person import Tubes, tailor
from edge.scene.skeleton import Stance
from edge.scene.walks import LANES_M, ROUND_S, ROUNDS, Visit, hall_visit, visit_at
from edge.scene.wardrobe import Look, dress

WARM_UP_S = (ROUNDS + 1) * ROUND_S - 3.0
"""The scene starts with all people at their places; three seconds later a round begins."""

__all__ = ["Actor", "Cast", "Hall"]

Actor = tuple[int, Look, Tubes, Stance]
"""Id, look, clothes, what the body does."""


class Cast(Protocol):
    """The people of a scene over time."""

    def at(self, time_s: float) -> list[Actor]:
        """Return the people `time_s` after the start; a pure function of the time."""
        ...


@dataclass(frozen=True, slots=True)
class _Visitor:
    look: Look
    tubes: Tubes
    visit: Visit


class Hall:
    """Six lanes of visitors (see `walks`).

    Args:
        seed: of walks and looks.
        spread: half the image's width per metre of distance.
    """

    def __init__(self, seed: int, spread: float) -> None:
        self._seed = seed
        self._spread = spread
        # Room for the current visitors and for those of another time.
        self._visitor: Callable[[int, int], _Visitor] = lru_cache(maxsize=4 * len(LANES_M))(self._invite)

    def at(self, time_s: float) -> list[Actor]:
        """Return the people in the hall at a time (s, not negative)."""
        return [actor for lane in range(len(LANES_M)) if (actor := self._in_lane(lane, time_s))]

    def _in_lane(self, lane: int, time_s: float) -> Actor | None:
        number, since_s = visit_at(lane, time_s + WARM_UP_S)
        visitor = self._visitor(lane, number)
        if since_s >= visitor.visit.duration_s:
            return None
        return number * len(LANES_M) + lane + 1, visitor.look, visitor.tubes, visitor.visit.stance(since_s)

    def _invite(self, lane: int, number: int) -> _Visitor:
        look = dress((self._seed, lane, number))
        return _Visitor(look, tailor(look), hall_visit(self._seed, lane, number, self._spread))
