"""The losses of a training as a picture."""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from edge.frame import Image
from tools.train.run.history import Row

__all__ = ["draw_curve"]

SIZE = (960, 540)
LEFT, RIGHT, TOP, BOTTOM = 70, 930, 50, 490
GREY, FAINT = (120, 120, 120), (225, 225, 225)
LINES = {
    "loss": ((40, 40, 40), 2),
    "center": ((40, 40, 200), 1),
    "heatmap": ((200, 90, 20), 1),
    "regression": ((40, 150, 40), 1),
    "offset": ((170, 50, 170), 1),
    "soft": ((20, 150, 190), 1),
}
"""Colour (BGR) and thickness."""
STEPS = (1, 2, 5)
GAP = 24
FONT = cv2.FONT_HERSHEY_SIMPLEX

Scale = Callable[[float], int]


def draw_curve(rows: Sequence[Row]) -> Image:
    """Return the losses over the steps, logarithmic: BGR uint8 (540, 960, 3)."""
    image = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    values = [row[name] for row in rows for name in LINES if row.get(name, 0) > 0]
    low, high = min(values, default=0.1), max(values, default=1.0)
    low, high = low / 1.1, high * 1.1
    end = max([row["step"] for row in rows], default=1)
    x = _scale(0, end, LEFT, RIGHT)
    log_y = _scale(math.log(low), math.log(high), BOTTOM, TOP)
    _draw_values(image, log_y, _log_ticks(low, high))
    _draw_steps(image, x, _ticks(end))
    names = [name for name in LINES if any(row.get(name, 0) > 0 for row in rows)]
    left = LEFT
    for name in names:
        colour, thickness = LINES[name]
        points = [(x(row["step"]), log_y(math.log(row[name]))) for row in rows if row.get(name, 0) > 0]
        # A training that has only begun is a dot.
        cv2.circle(image, points[-1], thickness + 1, colour, cv2.FILLED, cv2.LINE_AA)
        cv2.polylines(image, [np.array(points, np.int32)], isClosed=False, color=colour, thickness=thickness)
        last = next(row[name] for row in reversed(rows) if name in row)
        left += _write(image, f"{name} {last:.3g}", left, colour)
    return image


def _draw_values(image: Image, log_y: Scale, ticks: Sequence[float]) -> None:
    for value in ticks:
        y = log_y(math.log(value))
        cv2.line(image, (LEFT, y), (RIGHT, y), FAINT, 1)
        _label(image, f"{value:g}", (LEFT - 8, y + 4), is_right=True)
    cv2.line(image, (LEFT, TOP), (LEFT, BOTTOM), GREY, 1)


def _draw_steps(image: Image, x: Scale, ticks: Sequence[float]) -> None:
    for value in ticks:
        cv2.line(image, (x(value), TOP), (x(value), BOTTOM), FAINT, 1)
        _label(image, f"{value:g}", (x(value) - 10, BOTTOM + 20))
    cv2.line(image, (LEFT, BOTTOM), (RIGHT, BOTTOM), GREY, 1)
    _label(image, "steps", (RIGHT - 40, BOTTOM + 40))


def _scale(low: float, high: float, first: int, last: int) -> Scale:
    """Return the map of low..high to pixels first..last."""
    return lambda value: round(first + (value - low) / max(high - low, 1e-9) * (last - first))


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten within bounds."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for power in powers for step in STEPS if low <= (value := step * 10.0**power) <= high]


def _ticks(end: float) -> list[float]:
    """Return about six round numbers from 0 to `end`."""
    rough = 10.0 ** math.floor(math.log10(max(end, 1) / 6))
    step = next((rough * each for each in (*STEPS, 10) if end / (rough * each) <= 7), rough * 10)
    return [step * number for number in range(int(end / step) + 1)]


def _label(image: Image, text: str, corner: tuple[int, int], *, is_right: bool = False) -> None:
    width = cv2.getTextSize(text, FONT, 0.4, 1)[0][0] if is_right else 0
    cv2.putText(image, text, (corner[0] - width, corner[1]), FONT, 0.4, GREY, 1, cv2.LINE_AA)


def _write(image: Image, text: str, left: int, colour: tuple[int, int, int]) -> int:
    """Write a line's name and value; return the room that it takes."""
    cv2.putText(image, text, (left, 30), FONT, 0.5, colour, 1, cv2.LINE_AA)
    return int(cv2.getTextSize(text, FONT, 0.5, 1)[0][0]) + GAP
