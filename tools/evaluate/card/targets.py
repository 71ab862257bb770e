"""Targets of the starter model, beside its figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.evaluate.card.baselines import DEFAULT

__all__ = ["Target", "loss_points", "targets"]

MAX_BYTES = 1_500_000
MIN_FOUND = 0.95
MIN_AP, MIN_AP50 = 0.02, 0.08
MAX_LOSS_POINTS = 1.0
MAX_RATIO = 0.35


@dataclass(frozen=True, slots=True)
class Target:
    """One of them.

    Attributes:
        what: is required.
        wanted: as text.
        reached: as text; empty where it was not measured.
        held: whether it is.
    """

    what: str
    wanted: str
    reached: str
    held: bool


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Compare the figures of a card with the targets."""
    images, found = figures["int8"]["images"], figures["int8"]["scene"]["found"]
    tpu = figures["facts"]["edgetpu"]
    share = tpu["tpu_ops"] / tpu["ops"]
    default = [row for row in figures["speed"] if row["what"] == DEFAULT]
    return [
        _at_least("people of the scene found", MIN_FOUND, found, ".1%"),
        _at_least("AP on the photographs", MIN_AP, images["AP"], ".3f"),
        _at_least("AP50 on the photographs", MIN_AP50, images["AP50"], ".3f"),
        _at_most("points of AP lost to int8", MAX_LOSS_POINTS, loss_points(figures, "AP"), ".2f"),
        _at_most(
            "time to the default model's, 1 thread", MAX_RATIO, default[0]["ratio"]["1"] if default else None, ".2f"
        ),
        _at_least("operators on the Edge TPU, in one piece", 1.0, share if tpu["partitions"] == 1 else 0.0, ".1%"),
        _at_most("bytes", MAX_BYTES, figures["facts"]["bytes"], ",d"),
    ]


def loss_points(figures: Mapping[str, Any], name: str) -> float | None:
    """Return the points (hundredths) that int8 loses to float, or None."""
    if figures["float"] is None:
        return None
    ours, theirs = figures["int8"]["images"][name], figures["float"]["images"][name]
    return None if ours is None or theirs is None else float(100 * (theirs - ours))


def _at_least(what: str, wanted: float, reached: float | None, style: str) -> Target:
    held = reached is not None and reached >= wanted
    return Target(what, f"at least {wanted:{style}}", "" if reached is None else f"{reached:{style}}", held)


def _at_most(what: str, wanted: float, reached: float | None, style: str) -> Target:
    held = reached is not None and reached <= wanted
    return Target(what, f"at most {wanted:{style}}", "" if reached is None else f"{reached:{style}}", held)
