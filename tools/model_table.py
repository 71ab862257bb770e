"""Compares models: size, operators, COCO AP, time with decoding, as a table for models/README.md.

    python tools/model_table.py --images FOLDER --annotations FILE MODEL[@HxW] …

MODEL is a file or a name of `edge-pose models list`; @HxW is the input's size, height first, where that is open
(256x256 otherwise). A model by name is fetched or made if need be. Times are from pixels to poses of at least 0.2,
medians over rounds in which every model runs once, so that whatever else the machine does hits all alike; the ratio is
to the first model of the list. AP is that of tools/evaluate.py.

exit codes: as tools/evaluate.py; 64 also for a size that a model cannot have
"""

import argparse
import itertools
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from at_hand import parse_size, show_progress
from command_line import Parser, run
from evaluation.annotations import Annotations, load_annotations, require_images
from evaluation.coco import average_precision
from evaluation.prediction import predict, read_image

from edge.download.progress import ConsoleProgress
from edge.engine.litert import LiteRtEngine
from edge.errors import InputError, UsageError
from edge.frame import Frame
from edge.models.fetch import Fetcher
from edge.models.files import is_path, places, resolve, resolve_file
from edge.models.mirror import known_models
from edge.poses.decode import Decoder
from edge.poses.model_input import InputMaker, ModelInput
from edge.tflite.file import load

DEFAULT_SIZE = (256, 256)
THREADS = (1, 2)
PICTURES = 8
ROUNDS = 40
WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to be compared: its name, its file, and (width, height) where its size is open."""

    name: str
    path: Path
    size: tuple[int, int] | None

    def engine(self, threads: int) -> LiteRtEngine:
        """Load it, its size fixed.

        Raises:
            UsageError: a size is asked for, and the model has another, once and for all.
        """
        engine = LiteRtEngine(self.path, name=self.name, threads=threads)
        if engine.is_dynamic:
            engine.close()
            return LiteRtEngine(self.path, name=self.name, threads=threads, input_size=self.size or DEFAULT_SIZE)
        if self.size not in (None, engine.spec.input_size):
            width, height = engine.spec.input_size
            raise UsageError(f"{self.path}: its size is fixed, {height}x{width}: leave @HxW out")
        return engine


class Racer:
    """A model with its inputs made, ready to run on one picture after the other."""

    def __init__(self, candidate: Candidate, threads: int, frames: Sequence[Frame]) -> None:
        self._engine = candidate.engine(threads)
        self._decoder = Decoder()
        spec = self._engine.spec
        maker = InputMaker(spec.input_size, spec.input_dtype, spec.input_codes)
        self._inputs: list[ModelInput] = [maker.make(frame) for frame in frames]

    def run_ms(self, number: int) -> float:
        """Run on one of the pictures, from pixels to poses."""
        item = self._inputs[number % len(self._inputs)]
        start_s = time.perf_counter()
        self._decoder.decode(self._engine.spec, self._engine.run(item.tensor), item.letterbox)
        return (time.perf_counter() - start_s) * 1e3


def main() -> None:
    """Measure all models and print the table."""
    options = _options()
    cv2.setNumThreads(1)  # as the product has it
    annotations = load_annotations(options.annotations)
    require_images(annotations, options.images)
    candidates = [find_candidate(name, size) for name, size in options.models]
    for candidate in candidates:
        candidate.engine(threads=1).close()  # what cannot be compared is told before anything takes time
    rows = [_facts(candidate, annotations, options.images) for candidate in candidates]
    frames = pictures(annotations, options.images)
    for threads in THREADS:
        for row, (ms, ratio) in zip(rows, race(candidates, threads, frames), strict=True):
            row[f"ms_{threads}"], row[f"ratio_{threads}"] = round(ms, 2), round(ratio, 2)
    print(json.dumps(rows, indent=2) if options.json else markdown(rows))


def pictures(annotations: Annotations, folder: Path) -> list[Frame]:
    """Return the first pictures that can be read, to run models on. Raises InputError when none can."""
    read = (read_image(folder / image.file_name) for image in annotations.images)
    frames = list(itertools.islice((frame for frame in read if frame is not None), PICTURES))
    if not frames:
        raise InputError(
            f"{folder}: none of the {len(annotations.images)} images of {annotations.path.name} can be read"
        )
    return frames


def race(candidates: Sequence[Candidate], threads: int, frames: Sequence[Frame]) -> list[tuple[float, float]]:
    """Run all in turn, round by round; return each one's median time in ms and its ratio to the first's."""
    times = rounds_ms(candidates, threads, frames)
    return [
        (statistics.median(mine), statistics.median(a / b for a, b in zip(mine, times[0], strict=True)))
        for mine in times
    ]


def rounds_ms(
    candidates: Sequence[Candidate], threads: int, frames: Sequence[Frame], *, rounds: int = ROUNDS
) -> list[tuple[float, ...]]:
    """Run all in turn, round by round; return each one's times in ms, one per round.

    The order changes from round to round: who runs after a large model finds the caches empty.
    """
    racers = [Racer(candidate, threads, frames) for candidate in candidates]
    times: list[list[float]] = []
    random = np.random.default_rng(0)
    for number in range(rounds + WARM_UP):
        took_ms = {int(at): racers[at].run_ms(number) for at in random.permutation(len(racers))}
        times.append([took_ms[at] for at in range(len(racers))])
        show_progress(number + 1, rounds + WARM_UP, f"time, {threads} thread{'s'[: threads > 1]}")
    return list(zip(*times[WARM_UP:], strict=True))


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


def split_size(text: str) -> tuple[str, tuple[int, int] | None]:
    """Return a model and its (width, height), None where none is told; an @ in a path is part of the path.

    Raises:
        argparse.ArgumentTypeError: the size is none.
    """
    name, at, size = text.rpartition("@")
    if at and re.fullmatch("[0-9xX]*", size):
        return name, parse_size(size)
    return text, None


def find_candidate(name: str | None, size: tuple[int, int] | None) -> Candidate:
    """Return a model by its file or name, None for the manifest's default; it is fetched or made if need be.

    Raises:
        EdgeError: it cannot be had.
    """
    if name is not None and is_path(name):
        found = resolve_file(Path(name))
    else:
        where = places(os.environ)
        fetch = Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch
        found = resolve(name, known_models(where), where, fetch=fetch)
    return Candidate(found.name, found.path, size)


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"  # None: nobody of that size is annotated


def _facts(candidate: Candidate, annotations: Annotations, folder: Path) -> dict[str, Any]:
    engine = candidate.engine(threads=2)
    width, height = engine.spec.input_size

    def progress(done: int, total: int) -> None:
        show_progress(done, total, f"{candidate.name} {height}x{width}")

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
    parser = Parser(__doc__)
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
