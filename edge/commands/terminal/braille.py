"""Draws skeletons as Braille text, which works over ssh."""

import numpy as np
from numpy.typing import NDArray

from edge.payload import PersonPose
from edge.poses.pose import EDGES

__all__ = ["columns_within", "draw_people"]

# A Braille character is 2 dots wide and 4 high; bit values by [row][column] (Unicode 15, block U+2800).
BRAILLE = 0x2800
DOT_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
PALETTE = (36, 33, 32, 35, 34, 31)
"""ANSI foreground colours; the track id chooses one."""
MIN_SCORE = 0.3
MAX_ASPECT = 4.0
"""Of a drawing, either way; bounds its number of lines whatever size a message has."""
FAR = 2.0
"""In image sizes: a limb to a keypoint farther away is not drawn."""


def draw_people(
    people: list[PersonPose], *, columns: int, size: tuple[int, int] = (16, 9), colour: bool = False
) -> list[str]:
    """Draw skeletons into lines of `columns` characters.

    The number of lines follows from the image's aspect.

    Args:
        people: poses of one message; keypoints below a score of 0.3 are left out.
        columns: width in characters.
        size: (width, height) of the camera image; only its aspect counts, and of that no more than 4:1.
        colour: with ANSI colours, one per person.
    """
    rows = _rows(columns, size)
    bits = np.zeros((rows, columns), np.int64)
    colours = np.zeros((rows, columns), np.int64)
    for at, person in enumerate(people):
        code = PALETTE[(at if person.id is None else person.id) % len(PALETTE)]
        for x, y in _dots(person, columns * 2, rows * 4):
            bits[y // 4, x // 2] |= DOT_BITS[y % 4, x % 2]
            colours[y // 4, x // 2] = code
    return [_line(*row, colour=colour) for row in zip(bits, colours, strict=True)]


def columns_within(size: tuple[int, int], *, columns: int, rows: int) -> int:
    """Return the width in characters of the largest drawing that fits.

    Args:
        size: (width, height) of the camera image.
        columns: available characters per line.
        rows: available lines.

    Returns:
        At most `columns`; 0 if none fits.
    """
    while columns > 0 and _rows(columns, size) > rows:
        columns -= 1
    return max(columns, 0) if rows > 0 else 0


def _rows(columns: int, size: tuple[int, int]) -> int:
    # A character has twice as many dots in height as in width.
    height_per_width = min(max(size[1] / size[0], 1 / MAX_ASPECT), MAX_ASPECT)
    return max(round(columns * 2 * height_per_width / 4), 1)


def _dots(person: PersonPose, width: int, height: int) -> list[tuple[int, int]]:
    """Return the dots (x, y) of a skeleton inside width x height dots."""
    found: list[tuple[int, int]] = []
    for a, b in EDGES:
        (x0, y0, score0), (x1, y1, score1) = person.keypoints[a], person.keypoints[b]
        if min(score0, score1) < MIN_SCORE or max(map(abs, (x0, y0, x1, y1))) > FAR:
            continue
        steps = int(max(abs(x1 - x0) * width, abs(y1 - y0) * height)) + 1
        xs = np.floor(np.linspace(x0 * width, x1 * width, steps + 1)).astype(int)
        ys = np.floor(np.linspace(y0 * height, y1 * height, steps + 1)).astype(int)
        found += [(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True) if 0 <= x < width and 0 <= y < height]
    return found


def _line(bits: NDArray[np.int64], colours: NDArray[np.int64], *, colour: bool) -> str:
    if not colour:
        return "".join(chr(BRAILLE + dots) for dots in bits.tolist())
    cells = zip(bits.tolist(), colours.tolist(), strict=True)
    return "".join(f"\x1b[{code}m{chr(BRAILLE + dots)}" if dots else " " for dots, code in cells) + "\x1b[0m"
