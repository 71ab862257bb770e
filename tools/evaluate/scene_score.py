"""Measures the share of the scene's people that a model finds.

    python -m tools.evaluate.scene_score [--model FILE] [--size 256x448 --size 160x256] [--frames 300] [--save FOLDER]

Who counts, and when they are found: tools/evaluate/metrics/scene.py.
"""

import argparse
import json
import sys
from pathlib import Path

from tools.command_line import Parser, default_model, parse_size, run
from tools.evaluate.metrics.scene import score_scene


def main() -> None:
    """Score the model at every size; print a table or JSON."""
    options = _options()
    figures = [
        score_scene(
            options.model,
            size,
            frames=options.frames,
            seed=options.seed,
            min_score=options.min_score,
            save=options.save,
        )
        for size in options.size
    ]
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for figure in figures:
            print("  ".join(f"{name} {value}" for name, value in figure.items()))
    for figure, least in zip(figures, options.min_found or (), strict=False):
        if figure["found"] is None or figure["found"] * 100 < least:
            sys.exit(f"{figure['size']}: less than {least:g} % are found")


def _options() -> argparse.Namespace:
    parser = Parser("evaluate.scene_score", __doc__)
    parser.add_argument("--model", type=Path, default=default_model(), help="default: the manifest's default")
    parser.add_argument("--size", type=parse_size, action="append", metavar="HxW", help="height first; may be repeated")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-score", type=float, default=0.2, help="of a pose to count (default: 0.2, as published)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write every frame with what was found in it")
    parser.add_argument(
        "--min-found", type=float, action="append", metavar="PERCENT", help="one per size: fail when fewer are found"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.size = options.size or [(448, 256), (256, 160)]
    if options.model is None:
        parser.error("the default model is not on this machine: give --model FILE")
    return options


if __name__ == "__main__":
    run("scene_score", main)
