"""Measures all figures of a model card, and writes them into it.

    python -m tools.evaluate.card MODEL.tflite --images FOLDER --annotations FILE [--float FILE] [--write]
                               [--against MODEL[@HxW]] … [--frames N] [--card FILE] [--json]

The figures, in Markdown: COCO's on the annotated images, who is found by height, what the product would report; people
found and PCK on the synthetic scene; the same of the float model that the int8 one was made from (--float); the time
per frame beside other models of the same input size, in one run; what the file is, and what an Edge TPU would take of
it. --write puts them into the card between its two marker lines; the rest of the card is a person's.

It is compared with the manifest's default model and with Google's Lightning int8, derived for many people at the same
size; one that cannot be had is left out, with a line that says why. --against names other models instead, by file or
name; those must be there.

exit codes: 64 unknown or bad flag, or a size that a model cannot have; 66 no such file, images missing from the folder,
annotations that cannot be used, a card without a place for figures; 69 a model asked for by name cannot be had, the
card cannot be written, or pycocotools is not installed; 78 a model file that cannot be run.
"""

import argparse
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2

from edge.config import load
from edge.host.board import describe_machine
from edge.models.files import resolve_file
from edge.tflite.runtime import RUNTIME
from tools.command_line import Parser, run
from tools.evaluate.annotations import Annotations, load_annotations, require_images
from tools.evaluate.candidates import Candidate, pictures, split_size
from tools.evaluate.card.accuracy import accuracy
from tools.evaluate.card.baselines import Baselines, default_baselines, requested_baselines
from tools.evaluate.card.facts import facts
from tools.evaluate.card.markdown import markdown
from tools.evaluate.card.page import put_figures, require_place
from tools.evaluate.card.speed import speed

FRAMES = 300


def main() -> None:
    """Measure, print, and write the card if requested. Raises EdgeError."""
    options = _options()
    if options.write:
        require_place(options.card)
    cv2.setNumThreads(1)  # as the product has it
    with tempfile.TemporaryDirectory(prefix="model_card_") as folder:
        figures = measure(options, Path(folder))
    text = markdown(figures)
    try:
        if options.write:
            put_figures(options.card, text)
    finally:  # what took minutes is not lost where the card cannot be written
        print(json.dumps(figures, indent=2) if options.json else text)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return all figures of the card. Raises EdgeError before long work.

    Args:
        options: of the command line.
        folder: for models that are made to compare with.
    """
    machine = {**describe_machine(), "runtime": f"{RUNTIME} {version(RUNTIME)}"}
    annotations = load_annotations(options.annotations)
    require_images(annotations, options.images)
    pictures_px = pictures(annotations, options.images)
    model, size = _fixed(options.model)
    float_model = _fixed(options.float)[0] if options.float else None
    baselines = _baselines(options, size, folder)
    return {
        "annotations": f"{options.annotations.absolute().parent.name}/{options.annotations.name}",
        "machine": machine,
        "facts": facts(model.path),
        "speed": speed(model, baselines.models, pictures_px),
        "left_out": sorted(baselines.left_out),
        "int8": _accuracy(model, annotations, options),
        "float": _accuracy(float_model, annotations, options) if float_model else None,
    }


def _fixed(path: Path) -> tuple[Candidate, tuple[int, int]]:
    """Return a model by its file, and its input's (width, height)."""
    found = resolve_file(path)
    engine = Candidate(found.name, path, None).engine(1)
    size = engine.spec.input_size
    engine.close()
    return Candidate(found.name, path, size), size


def _baselines(options: argparse.Namespace, size: tuple[int, int], folder: Path) -> Baselines:
    baselines = requested_baselines(options.against, size) if options.against else default_baselines(size, folder)
    for why in baselines.left_out.values():
        print(f"model_card: not compared: {why}", file=sys.stderr)
    return baselines


def _accuracy(model: Candidate, annotations: Annotations, options: argparse.Namespace) -> dict[str, Any]:
    min_score = load().poses.min_score
    return accuracy(model, annotations, options.images, frames=options.frames, min_score=min_score)


def _options() -> argparse.Namespace:
    parser = Parser("evaluate.card", __doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER", help="the annotated images")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="in COCO's format")
    parser.add_argument("--float", type=Path, metavar="FILE", help="the same model before it was quantized")
    parser.add_argument(
        "--against", type=split_size, action="append", metavar="MODEL[@HxW]", help="compare times with this one"
    )
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"of the scene (default: {FRAMES})")
    parser.add_argument("--write", action="store_true", help="put the figures into the card")
    parser.add_argument("--card", type=Path, metavar="FILE", help="default: beside the model, MODEL.md")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.frames < 1:
        parser.error("--frames takes a number from 1 on")
    options.card = options.card or options.model.with_suffix(".md")
    return options


if __name__ == "__main__":
    run("model_card", main)
