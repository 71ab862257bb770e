"""Looks of a synthetic person (body, skin, hair, clothes) from a seed."""

from dataclasses import dataclass

import numpy as np

from edge.scene.skeleton import Build

__all__ = ["Colour", "Look", "dress"]

Colour = tuple[float, float, float]
"""RGB, 0..255."""

_SKIN = ((236, 196, 170), (224, 178, 146), (205, 155, 120), (176, 124, 90), (146, 100, 72), (118, 80, 58))
_HAIR = ((34, 26, 24), (50, 36, 28), (108, 106, 104), (84, 56, 36), (72, 34, 22), (150, 112, 66))
_DARK_HAIR = 3  # the first three go with all skins
_TOPS = (
    (196, 52, 46), (40, 84, 164), (238, 236, 230), (48, 50, 58), (50, 122, 72), (222, 160, 44), (118, 64, 128),
    (64, 150, 186), (236, 206, 88), (206, 92, 60),
)  # fmt: skip
_BOTTOMS = ((40, 50, 84), (52, 72, 118), (42, 42, 46), (72, 54, 44), (58, 64, 70), (36, 58, 52))
_SHOES = ((40, 36, 36), (222, 220, 214), (104, 66, 44), (60, 64, 84))


@dataclass(frozen=True, slots=True)
class Look:
    """Body, colours and clothes of a person.

    Attributes:
        build: shape of the body.
        skin, hair, top, bottom, shoes: colours.
        hair_style: `short`, `long`, `bun` or `bald`.
        sleeves: length in upper arms: 0.55 (T-shirt) to 2 (long).
        legs: `trousers`, `shorts` or `skirt`.
    """

    build: Build
    skin: Colour
    hair: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    hair_style: str
    sleeves: float
    legs: str


def dress(seed: tuple[int, ...]) -> Look:
    """Return the look of a seed."""
    rng = np.random.default_rng((*seed, 7))

    def colour(palette: tuple[tuple[int, int, int], ...]) -> Colour:
        shade = rng.normal(1, 0.06) + rng.normal(0, 0.012, 3)
        red, green, blue = np.clip(palette[rng.integers(len(palette))] * shade, 12, 245).tolist()
        return red, green, blue

    woman = rng.random() < 0.5
    build = Build(
        height_m=float(np.clip(rng.normal(1.66 if woman else 1.78, 0.06), 1.52, 1.94)),
        shoulders=float((0.93 if woman else 1.04) + rng.normal(0, 0.03)),
        hips=float((1.05 if woman else 0.97) + rng.normal(0, 0.03)),
        girth=float(np.clip(rng.normal(1.0, 0.08), 0.86, 1.2)),
    )
    styles = ("long", "long", "bun", "short") if woman else ("short", "short", "short", "bald")
    legs = ("trousers", "trousers", "skirt") if woman else ("trousers", "trousers", "trousers", "shorts")
    skin = int(rng.integers(len(_SKIN)))
    return Look(
        build,
        skin=colour(_SKIN[skin : skin + 1]),
        hair=colour(_HAIR if skin < 3 else _HAIR[:_DARK_HAIR]),
        top=colour(_TOPS),
        bottom=colour(_BOTTOMS),
        shoes=colour(_SHOES),
        hair_style=str(rng.choice(styles)),
        sleeves=float(rng.choice((0.55, 0.6, 2.0, 2.0))),
        legs=str(rng.choice(legs)),
    )
