"""A soak as a picture: memory over time with every fault, and how long each was felt."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np

from edge.frame import Image
from tools.soak.record import Record

__all__ = ["draw"]

SIZE = (1280, 800)
LEFT, RIGHT, SPLIT, TOP, BOTTOM = 80, 1250, 470, 60, 750
WHITE, GREY, BLACK, FAINT = (255, 255, 255), (120, 120, 120), (0, 0, 0), (225, 225, 225)
AGENT, ENGINE = (180, 90, 20), (150, 150, 150)
COLOURS = {"broker": (40, 40, 200), "camera": (40, 140, 40), "engine": (200, 60, 160)}
"""BGR."""

Scale = Callable[[float], int]


def draw(record: Record) -> Image:
    """Return the picture, BGR uint8 (800, 1280, 3)."""
    image = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    end_s = max([sample.time_s for sample in record.samples], default=1.0)
    x = _scale(0, end_s, LEFT, RIGHT)
    _draw_memory(image, record, x)
    _draw_recoveries(image, record, x)
    _draw_minutes(image, end_s, x)
    return image


def _draw_memory(image: Image, record: Record, x: Scale) -> None:
    engine = [sample.engine_rss_bytes or 0 for sample in record.samples]
    top_mb = 1.15 * max([*(sample.rss_bytes for sample in record.samples), *engine, 1]) / 1e6
    y = _scale(0, top_mb, SPLIT - 40, TOP)
    _draw_axis(image, y, _ticks(top_mb), "memory, MB")
    for fault in record.faults:
        cv2.line(image, (x(fault.time_s), TOP), (x(fault.time_s), SPLIT - 40), _pale(fault.kind), 1)
    times_s = [sample.time_s for sample in record.samples]
    _draw_curve(image, [(x(t), y(value / 1e6)) for t, value in zip(times_s, engine, strict=True) if value], ENGINE)
    _draw_curve(image, [(x(sample.time_s), y(sample.rss_bytes / 1e6)) for sample in record.samples], AGENT)
    _write(image, "agent", (LEFT + 60, TOP - 8), AGENT)
    _write(image, "engine's process", (LEFT + 125, TOP - 8), ENGINE)
    for place, kind in enumerate(record.kinds):
        _write(image, f"| {kind} lost", (LEFT + 310 + 140 * place, TOP - 8), COLOURS[kind])


def _draw_recoveries(image: Image, record: Record, x: Scale) -> None:
    bar_s = record.plan.max_recovery_s
    top_s = 1.2 * max([fault.recovery_s or 0.0 for fault in record.faults] + [bar_s])
    y = _scale(0, top_s, BOTTOM, SPLIT + 20)
    _draw_axis(image, y, _ticks(top_s), "poses back after, s")
    cv2.line(image, (LEFT, y(bar_s)), (RIGHT, y(bar_s)), GREY, 2)
    for fault in record.faults:
        height_s = top_s if fault.recovery_s is None else fault.recovery_s
        cv2.line(image, (x(fault.time_s), BOTTOM), (x(fault.time_s), y(height_s)), COLOURS[fault.kind], 3)
        cv2.circle(image, (x(fault.time_s), y(height_s)), 5, COLOURS[fault.kind], cv2.FILLED, cv2.LINE_AA)


def _draw_minutes(image: Image, end_s: float, x: Scale) -> None:
    for minutes in _ticks(end_s / 60):
        _write(image, f"{minutes:g}", (x(minutes * 60) - 8, BOTTOM + 22))
    _write(image, "minutes", (RIGHT - 65, BOTTOM + 42))


def _draw_axis(image: Image, y: Scale, ticks: Sequence[float], label: str) -> None:
    for value in ticks:
        cv2.line(image, (LEFT, y(value)), (RIGHT, y(value)), FAINT, 1)
        _write(image, f"{value:g}", (LEFT - 45, y(value) + 5))
    _write(image, label, (10, y(ticks[-1]) - 30))


def _draw_curve(image: Image, points: Sequence[tuple[int, int]], colour: tuple[int, int, int]) -> None:
    for one, other in pairwise(points):
        cv2.line(image, one, other, colour, 2, cv2.LINE_AA)


def _pale(kind: str) -> tuple[int, ...]:
    return tuple(round(0.45 * value + 0.55 * 255) for value in COLOURS[kind])


def _write(image: Image, text: str, place: tuple[int, int], colour: tuple[int, int, int] = BLACK) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)


def _scale(low: float, high: float, first_px: int, last_px: int) -> Scale:
    return lambda value: round(first_px + (value - low) / (high - low) * (last_px - first_px))


def _ticks(top: float) -> list[float]:
    """Return round numbers from 0 to below `top`: five to ten of them."""
    step = 10.0 ** np.floor(np.log10(top))
    step = next(part * step for part in (0.1, 0.2, 0.5, 1.0) if top / (part * step) <= 10)
    return [round(number * step, 6) for number in range(int(top / step) + 1)]
