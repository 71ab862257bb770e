"""Compares models in a table for models/README.md: size, AP, time.

    python -m tools.evaluate.model_table --images FOLDER --annotations FILE MODEL[@HxW] …

MODEL is a file or a name of `edge-pose models list`; @HxW is the input's size, height first, where that is open
(256x256 otherwise). A model by name is fetched or made if need be. Times are from pixels to poses of at least 0.2,
medians over rounds in which every model runs once, so that whatever else the machine does hits all alike; the ratio is
to the first model of the list. AP is that of `python -m tools.evaluate`.

exit codes: as `python -m tools.evaluate`; 64 also for a size that a model cannot have
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from edge.tflite.file import load
from tools.command_line import Parser, run
from tools.evaluate.annotations import Annotations, load_annotations, require_images
from tools.evaluate.candidates import THREADS, Candidate, find_candidate, pictures, race, split_size
from tools.evaluate.metrics.coco import average_precision
from tools.evaluate.prediction import predict
from tools.progress import ProgressBar


def main() -> None:
    """Measure all models and print the table."""
    options = _options()
    cv2.setNumThreads(1)  # as the product has it
    annotations = load_annotations(options.annotations)
    require_images(annotations, options.images)
    candidates = [find_candidate(name, size) for name, size in options.models]
    for candidate in candidates:
        candidate.engine(threads=1).close()  # fails here, before anything takes time
    rows = [_facts(candidate, annotations, options.images) for candidate in candidates]
    frames = pictures(annotations, options.images)
    for threads in THREADS:
        for row, (ms, ratio) in zip(rows, race(candidates, threads, frames), strict=True):
            row[f"ms_{threads}"], row[f"ratio_{threads}"] = round(ms, 2), round(ratio, 2)
    print(json.dumps(rows, indent=2) if options.json else markdown(rows))


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Lay the figures out as a Markdown table."""
    head = "| model | input | MB | ops | AP | AP50 | APm | APl | ms, 1 thread | ms, 2 threads |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        points = " | ".join(_points(row[name]) for name in ("AP", "AP50", "APm", "APl"))
        times = " | ".join(f"{row[f'ms_{threads}']:.1f} ({row[f'ratio_{threads}']:.2f})" for threads in THREADS)
        lines.append(
            f"| `{row['model']}` | {row['size']} | {row['bytes'] / 1e6:.2f} | {row['ops']} | {points} | {times} |"
        )
    return "\n".join(lines)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"  # None: no person of that size is annotated


def _facts(candidate: Candidate, annotations: Annotations, folder: Path) -> dict[str, Any]:
    engine = candidate.engine(threads=2)
    width, height = engine.spec.input_size
    progress = ProgressBar(f"{candidate.name} {height}x{width}")
    prediction = predict(engine, annotations, folder, on_progress=progress)
    figures = average_precision(prediction.detections(annotations), annotations)
    engine.close()
    return {
        "model": candidate.name,
        "size": f"{height}x{width}",
        "bytes": candidate.path.stat().st_size,
        "ops": len(load(candidate.path).graph.operators),
        **{name: None if value is None else round(value, 4) for name, value in figures.items()},
    }


def _options() -> argparse.Namespace:
    parser = Parser("evaluate.model_table", __doc__)
    parser.add_argument(
        "models",
        nargs="+",
        type=split_size,
        metavar="MODEL[@HxW]",
        help="the first is what the others are compared with",
    )
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="in COCO's format")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    run("model_table", main)
