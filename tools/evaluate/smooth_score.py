"""Measures the lag and the jitter of smoothing, on the synthetic scene.

    python -m tools.evaluate.smooth_score [--frames 1500] [--fps 25] [--size 160x256] [--beta 20 …]

The same poses of the real model are measured raw and smoothed. All lengths are in heights of the person.

jitter  root mean square of what the error of a still keypoint does within half a second (its distance from the moving
        mean), in percent: a steady offset is no jitter.
lag     how far a moving keypoint lies behind the drawn one along its way, divided by its speed: the least-squares
        delay. People walk and wave to and fro, so that a steady offset has no part in it.
error   mean distance of moving keypoints from the drawn ones, in percent.

Keypoints count that are in sight, with a score of MIN_SCORE and more, of people higher than a fifth of the image.
"""

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.agent.pipeline import Flow
from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.frame import Frame
from edge.poses.matching import areas_px, assign, oks
from edge.poses.pose import Pose
from edge.poses.smooth import Smoother
from edge.poses.track import Tracker
from edge.scene.scene import Scene
from edge.scene.truth import TruePerson
from tools.command_line import Parser, default_model, parse_size, run
from tools.evaluate.metrics.scene import MIN_HEIGHT, MIN_OKS
from tools.progress import ProgressBar

MIN_SCORE = 0.3
WINDOW_S = 0.5
STILL = 0.05
MOVING = 0.3
"""Heights of the person per second: slower is still, faster is moving."""

GROUPS = {"all": range(17), "trunk": (5, 6, 11, 12), "wrists": (9, 10), "ankles": (15, 16)}
SPEEDS = {"slow, 0.15-0.3 /s": (0.15, 0.3), "0.3-0.6 /s": (0.3, 0.6), "over 0.6 /s": (0.6, math.inf)}
TUNABLES: dict[str, float] = dict(Smoother.__init__.__kwdefaults__ or {})
SIZE = (1280, 720)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame: tracked poses and the truth."""

    time_s: float
    poses: tuple[Pose, ...]
    people: tuple[TruePerson, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One person over all frames, in body heights; NaN where nothing counts.

    Attributes:
        true: (T, 17, 2).
        predicted: (T, 17, 2).
    """

    true: Floats
    predicted: Floats


def main() -> None:
    """Measure and print a table, or JSON."""
    options = _options()
    moments = record(options)
    tuning = {name: getattr(options, name) for name in TUNABLES}
    figures = {
        "off": figures_of(follow(moments, None), options.fps),
        "on": figures_of(follow(moments, Smoother(**tuning)), options.fps),
    }
    print(json.dumps(figures, indent=2) if options.json else table(figures))


def record(options: argparse.Namespace) -> list[Moment]:
    """Run the product's flow, tracking included, over the scene."""
    scene = Scene(size=SIZE, fps=options.fps, seed=options.seed)
    engine = LiteRtEngine(options.model, name=options.model.stem, threads=options.threads, input_size=options.size)
    flow = Flow(estimator=Estimator(engine), tracker=Tracker())
    moments: list[Moment] = []
    progress = ProgressBar("scene")
    for index in range(options.frames):
        image, people = scene.draw(index)
        time_s = index / options.fps
        result = flow.step(Frame(image, index, time_s, time_s, time_s))
        moments.append(Moment(time_s, result.poses, people))
        progress(index + 1, options.frames)
    engine.close()
    return moments


def follow(moments: Sequence[Moment], smoother: Smoother | None) -> list[Series]:
    """Return one series per true person, of smoothed or raw poses.

    People are matched with the unsmoothed poses.
    """
    count = len(moments)
    series: dict[int, Series] = {}
    for at, moment in enumerate(moments):
        predicted = moment.poses if smoother is None else smoother.update(moment.poses, moment.time_s, SIZE)
        for row, column in _pairs(moment):
            person, pose = moment.people[row], predicted[column]
            mine = series.setdefault(
                person.id, Series(np.full((count, 17, 2), np.nan), np.full((count, 17, 2), np.nan))
            )
            height = float(person.box_xyxy[3] - person.box_xyxy[1])
            counts = (person.keypoints[:, 2] == 2) & (pose.keypoints[:, 2] >= MIN_SCORE)
            per_height = np.array([SIZE[0] / (SIZE[1] * height), 1 / height])
            mine.true[at] = person.keypoints[:, :2] * per_height
            mine.predicted[at] = np.where(counts[:, None], pose.keypoints[:, :2] * per_height, np.nan)
    return list(series.values())


def _pairs(moment: Moment) -> Iterable[tuple[int, int]]:
    """Match the people who count with tracked poses."""
    if not moment.people or not moment.poses:
        return []
    truth = np.stack([person.keypoints for person in moment.people])
    boxes = np.stack([person.box_xyxy for person in moment.people])
    predicted = np.stack([pose.keypoints for pose in moment.poses])
    alike = oks(truth, predicted, areas_px(boxes, SIZE)[:, None], SIZE)
    alike[boxes[:, 3] - boxes[:, 1] <= MIN_HEIGHT] = 0
    alike[:, [pose.id is None for pose in moment.poses]] = 0
    return assign(alike, MIN_OKS)


def figures_of(series: Sequence[Series], fps: float) -> dict[str, dict[str, float]]:
    """Return jitter, lag and error by group, lag and error by speed."""
    figures = {}
    for name, keypoints in GROUPS.items():
        chosen = [_only(each, keypoints) for each in series]
        figures[name] = {**_jitter(chosen, fps), **_lag(chosen, fps, MOVING, math.inf)}
    return figures | {name: _lag(series, fps, *speeds) for name, speeds in SPEEDS.items()}


def _only(series: Series, keypoints: Iterable[int]) -> Series:
    chosen = list(keypoints)
    return Series(series.true[:, chosen], series.predicted[:, chosen])


def _jitter(series: Sequence[Series], fps: float) -> dict[str, float]:
    half = max(1, round(WINDOW_S * fps / 2))
    residuals = []
    for each in series:
        error = each.predicted - each.true
        residual = error - _over_window(error, half, np.mean)
        still = _over_window(_speed(each, fps), half, np.max) < STILL
        residuals.append(residual[still & np.isfinite(residual[..., 0])])
    found = np.concatenate(residuals)  # (N, [x, y])
    return {"jitter_percent": round(100 * float(np.sqrt((found**2).sum(1).mean())), 3), "still_samples": len(found)}


def _lag(series: Sequence[Series], fps: float, slowest: float, fastest: float) -> dict[str, float]:
    errors, velocities = [], []
    for each in series:
        error, speed = each.predicted - each.true, _speed(each, fps)
        moves = (speed > slowest) & (speed <= fastest) & np.isfinite(error[..., 0])
        errors.append(error[moves])
        velocities.append(_velocity(each.true, fps)[moves])
    error, velocity = np.concatenate(errors), np.concatenate(velocities)  # (N, [x, y])
    return {
        "lag_ms": round(-1e3 * float((error * velocity).sum() / (velocity**2).sum()), 1),
        "error_percent": round(100 * float(np.hypot(*error.T).mean()), 2),
        "moving_samples": len(error),
    }


def _speed(series: Series, fps: float) -> Floats:
    velocity = _velocity(series.true, fps)
    return np.asarray(np.hypot(velocity[..., 0], velocity[..., 1]))


def _velocity(points: Floats, fps: float) -> Floats:
    velocity = np.full_like(points, np.nan)
    velocity[1:-1] = (points[2:] - points[:-2]) * (fps / 2)
    return velocity


def _over_window(values: Floats, half: int, what: Any) -> Floats:
    """Apply `what` over centered windows of 2 * `half` + 1 frames.

    NaN where a window is not full.
    """
    out = np.full_like(values, np.nan)
    if len(values) > 2 * half:
        windows = np.lib.stride_tricks.sliding_window_view(values, 2 * half + 1, axis=0)
        out[half:-half] = what(windows, axis=-1)
    return out


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """Lay the figures out side by side."""
    lines = [f"{'':18} {'jitter, % of height':>22} {'lag, ms':>16} {'error, % of height':>19}"]
    for name, off in figures["off"].items():
        on, jitter = figures["on"][name], ""
        if "jitter_percent" in off:
            calmer = 100 * (on["jitter_percent"] / off["jitter_percent"] - 1)
            jitter = f"{off['jitter_percent']:.2f} -> {on['jitter_percent']:.2f} ({calmer:+.0f} %)"
        lag = f"{off['lag_ms']:.0f} -> {on['lag_ms']:.0f} ({on['lag_ms'] - off['lag_ms']:+.0f})"
        error = f"{off['error_percent']:.2f} -> {on['error_percent']:.2f}"
        lines.append(f"{name:18} {jitter:>22} {lag:>16} {error:>19}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = Parser("evaluate.smooth_score", __doc__)
    parser.add_argument("--model", type=Path, default=default_model(), help="default: the manifest's default")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="height first (default: as the product chooses)")
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    for name, value in TUNABLES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value, help=f"default {value:g}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.model is None:
        parser.error("give --model FILE")
    return options


if __name__ == "__main__":
    run("smooth_score", main)
