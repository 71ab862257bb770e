"""Interleaved times of a model and its baselines, with ratios per round."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from edge.frame import Frame
from tools.evaluate.candidates import THREADS, Candidate, rounds_ms

__all__ = ["speed"]

ROUNDS = 200
"""Many, since a card is often measured on a machine that has other things to do."""


def speed(model: Candidate, baselines: Mapping[str, Candidate], frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Measure a model and its baselines in one run.

    Returns:
        a row per model, the measured one first: `what` (as in `baselines`; None for the measured one), `model`, `size`
        (HxW) and, by the number of threads as text, `ms` (median per frame) and `ratio`: the median over the rounds of
        the measured model's time to this one's in the same round.
    """
    models = [(None, model), *baselines.items()]
    rows: list[dict[str, Any]] = [
        {"what": what, "model": each.name, "size": _size(each), "ms": {}, "ratio": {}} for what, each in models
    ]
    for threads in THREADS:
        times = rounds_ms([each for _, each in models], threads, frames, rounds=ROUNDS)
        for row, theirs in zip(rows, times, strict=True):
            row["ms"][str(threads)] = round(statistics.median(theirs), 2)
            ratios = [ours / other for ours, other in zip(times[0], theirs, strict=True)]
            row["ratio"][str(threads)] = round(statistics.median(ratios), 3)
    return rows


def _size(model: Candidate) -> str:
    engine = model.engine(1)
    width, height = engine.spec.input_size
    engine.close()
    return f"{height}x{width}"
