"""How well people keep their ids at fewer frames per second.

    python -m tools.evaluate.ids street.mp4 [--size 256x448] [--poses poses.npz] [--step 1 --step 2 …]

The poses of every frame are found once. The ids of the product's tracker on all frames are the reference. Then trackers
get every second, third, … frame, from each first frame in turn: the product's, and one in the way of ByteTrack.
--poses keeps the poses in a file, or takes them from it.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from edge.poses.track import MIN_UNSURE_SCORE, Tracker
from tools.command_line import Parser, default_model, parse_size, run
from tools.evaluate.ids.baseline import BaselineTracker
from tools.evaluate.ids.comparison import Figures, Updates, compare, reference_ids
from tools.evaluate.ids.detections import Clip, detect, load_clip, save_clip
from tools.progress import ProgressBar

STEPS = (2, 3, 4, 5, 6, 8, 12)
SURE_SCORE = 0.2
"""Of the people who count: the default of `poses.min_score`."""


def main() -> None:
    """Measure; print a table, or JSON."""
    options = _options()
    clip = _clip(options)
    reference = reference_ids(Tracker(), clip, min_score=SURE_SCORE)
    trackers: dict[str, Callable[[], Updates]] = {"product": Tracker, "baseline": BaselineTracker}
    figures = {
        name: [compare(make, clip, reference, step) for step in options.step or STEPS]
        for name, make in trackers.items()
    }
    if options.json:
        print(json.dumps({name: [asdict(row) for row in rows] for name, rows in figures.items()}, indent=2))
    else:
        print(table(figures))


def table(figures: dict[str, list[Figures]]) -> str:
    """Lay the figures out, a frame rate per line."""
    lines = ["fps    " + "".join(f"{name + ': coverage, switches, stolen':>44}" for name in figures)]
    for rows in zip(*figures.values(), strict=True):
        cells = "".join(f"{f'{100 * row.coverage:.0f} % {row.switches:6.2f} {row.stolen:6.2f}':>44}" for row in rows)
        lines.append(f"{rows[0].fps:<7.1f}{cells}")
    return "\n".join(lines)


def _clip(options: argparse.Namespace) -> Clip:
    if options.poses is not None and options.poses.exists():
        return load_clip(options.poses)
    progress = ProgressBar("poses")
    clip = detect(
        options.video,
        options.model,
        input_size=options.size,
        min_score=MIN_UNSURE_SCORE,
        threads=options.threads,
        on_progress=progress,
    )
    if options.poses is not None:
        save_clip(clip, options.poses)
    return clip


def _options() -> argparse.Namespace:
    parser = Parser("evaluate.ids", __doc__)
    parser.add_argument("video", type=Path, help="with people who stay and walk; without cuts")
    parser.add_argument("--model", type=Path, default=default_model(), help="default: the manifest's default")
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="height first (default: as the product chooses)")
    parser.add_argument("--poses", type=Path, metavar="FILE.npz", help="keep the poses here, or take them from here")
    parser.add_argument("--step", type=int, action="append", metavar="N", help="every N-th frame; may be repeated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.model is None:
        parser.error("the default model is not on this machine: give --model FILE")
    if any(step < 1 for step in options.step or ()):
        parser.error("--step: must be 1 or more")
    return options


if __name__ == "__main__":
    run("ids", main)
