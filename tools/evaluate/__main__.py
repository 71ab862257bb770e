"""Measures how well a model or a configuration finds people: AP and PCK.

    python -m tools.evaluate --model FILE|NAME --images FOLDER --annotations FILE [--size HxW] [--crop W:H] [--json]
    python -m tools.evaluate --config FILE --scene [FRAMES]

Images go the product's own way: letterbox, inference, decoding, no duplicates. AP and AR are COCO's for keypoints, by
pycocotools, over all poses (--min-score 0). "reported" are those from the configuration's poses.min_score on, or from
--min-score where that is higher. "ran" is what ran at the end: the requested model, or its twin on the CPU. The
time is the median of inference, decoding and the search for duplicates; it is worth something on an idle machine only.
--crop 16:9 evaluates the middle of the images that are wider than high, as a camera of that shape would see it.
PCK@0.1 and PCK@0.2 on the synthetic scene are in torsos, from shoulder to opposite hip, of visible keypoints.

A model whose input may have any size gets the largest of a run's sizes for the shape of each image, unless --size or
the configuration says otherwise.

exit codes: 64 unknown or bad flag; 66 no such file, images missing from the folder, annotations that cannot be used; 69
no such model by name, --worst cannot be written to, or pycocotools is not installed; 78 a bad configuration,
or a model file that cannot be run.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from edge.agent.loading import LoadedEngine, load_engine
from edge.config import Config, load
from edge.models.files import is_path
from tools.command_line import Parser, run
from tools.evaluate.annotations import Annotations, load_annotations, require_images
from tools.evaluate.crop import cut_annotations, parse_shape
from tools.evaluate.metrics.coco import match_detections
from tools.evaluate.metrics.false_negatives import require_writable, worst, write_worst
from tools.evaluate.metrics.figures import figures_of
from tools.evaluate.metrics.pck import pck_on_scene
from tools.evaluate.prediction import predict
from tools.evaluate.table import table
from tools.progress import ProgressBar

SCENE_FRAMES = 120
WORST_COUNT = 20


def main() -> None:
    """Evaluate and print the figures. Raises EdgeError."""
    options = _options()
    figures = evaluate(options)
    print(json.dumps(figures, indent=2) if options.json else table(figures))


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Return the requested figures. Raises EdgeError."""
    config = _config(options)
    annotations = load_annotations(options.annotations) if options.images else None
    if annotations:
        require_images(annotations, options.images)
        annotations = cut_annotations(annotations, options.crop) if options.crop else annotations
    if options.worst:
        require_writable(options.worst)
    engine = load_engine(config)
    figures: dict[str, Any] = {"model": engine.name, "threads": config.model.threads}
    if annotations:
        figures |= _on_images(engine, config, annotations, options)
    if options.scene:
        figures["scene"] = pck_on_scene(
            engine,
            frames=options.scene,
            min_score=config.poses.min_score,
            max_people=config.poses.max_people,
            on_progress=ProgressBar("scene"),
        )
    figures["ran"] = {"model": engine.spec.name, "accelerator": engine.spec.accelerator}
    return figures


def _on_images(
    engine: LoadedEngine, config: Config, annotations: Annotations, options: argparse.Namespace
) -> dict[str, Any]:
    prediction = predict(
        engine,
        annotations,
        options.images,
        min_score=options.min_score,
        max_people=config.poses.max_people,
        on_progress=ProgressBar("images"),
    )
    min_score = max(config.poses.min_score, options.min_score)
    figures = figures_of(annotations, prediction, reported_min_score=min_score)
    if options.worst:
        outcome = match_detections(prediction.detections(annotations, min_score=min_score), annotations)
        misses = worst(annotations, prediction, outcome, min_score=min_score, count=WORST_COUNT)
        figures["worst"] = [str(path) for path in write_worst(misses, options.images, options.worst)]
    return figures


def _config(options: argparse.Namespace) -> Config:
    by_path = options.model is not None and is_path(options.model)
    flags = {
        "model.file": options.model if by_path else None,
        "model.name": None if by_path else options.model,
        "model.size": options.size,
        "model.threads": options.threads,
    }
    return load(options.config, flags)


def _options() -> argparse.Namespace:
    parser = Parser("evaluate", __doc__)
    parser.add_argument("--model", metavar="FILE|NAME", help="default: the configuration's, else the manifest's")
    parser.add_argument("--config", type=Path, metavar="FILE", help="of a run: its model, size, threads, poses.*")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the annotated images")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="person keypoints in COCO's format")
    parser.add_argument("--size", metavar="HxW", help="the model's input, height first, multiples of 32")
    parser.add_argument("--crop", metavar="W:H", help="cut the images to this shape, such as 16:9")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores, at most 4")
    parser.add_argument(
        "--min-score", type=float, default=0.0, metavar="S", help="of a pose to count for AP (default: 0)"
    )
    parser.add_argument(
        "--scene",
        type=int,
        nargs="?",
        const=SCENE_FRAMES,
        metavar="FRAMES",
        help="PCK on so many frames (default: 120)",
    )
    parser.add_argument("--worst", type=Path, metavar="FOLDER", help="write pictures of the 20 worst misses")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if (options.images is None) != (options.annotations is None):
        parser.error("--images and --annotations belong together")
    if options.scene is not None and options.scene < 1:
        parser.error("--scene takes a number of frames from 1 on")
    if options.images is None and not options.scene:
        parser.error("give --images and --annotations, or --scene")
    if not 0 <= options.min_score <= 1:  # nan neither
        parser.error(f"--min-score takes a score from 0 to 1, not {options.min_score:g}")
    if options.worst and options.images is None:
        parser.error("--worst needs --images")
    if options.crop is not None:
        if options.images is None:
            parser.error("--crop needs --images")
        options.crop = parse_shape(options.crop)
    return options


if __name__ == "__main__":
    run("evaluate", main)
