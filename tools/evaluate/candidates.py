"""Models to compare, by file or name, and their interleaved times."""

import itertools
import os
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.download.progress import ConsoleProgress
from edge.engine.litert import LiteRtEngine
from edge.errors import InputError, UsageError
from edge.estimator import Estimator
from edge.frame import Frame
from edge.models.fetch import Fetcher
from edge.models.files import is_path, resolve, resolve_file
from edge.models.mirror import known_models
from edge.models.places import places
from edge.poses.model_input import ModelInput
from tools.command_line import parse_size
from tools.evaluate.annotations import Annotations
from tools.evaluate.prediction import read_image
from tools.progress import ProgressBar

__all__ = [
    "DEFAULT_SIZE",
    "PICTURES",
    "ROUNDS",
    "THREADS",
    "WARM_UP",
    "Candidate",
    "Contestant",
    "find_candidate",
    "pictures",
    "race",
    "rounds_ms",
    "split_size",
]

DEFAULT_SIZE = (256, 256)
THREADS = (1, 2)
PICTURES = 8
ROUNDS = 40
WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to compare.

    `size` is (width, height), needed where the model's own is open.
    """

    name: str
    path: Path
    size: tuple[int, int] | None

    def engine(self, threads: int) -> LiteRtEngine:
        """Load it, its size fixed.

        Raises:
            UsageError: the model has another, fixed size.
        """
        engine = LiteRtEngine(self.path, name=self.name, threads=threads)
        if engine.is_dynamic:
            engine.close()
            size = self.size or engine.own_size or DEFAULT_SIZE
            return LiteRtEngine(self.path, name=self.name, threads=threads, input_size=size)
        if self.size not in (None, engine.spec.input_size):
            width, height = engine.spec.input_size
            raise UsageError(f"{self.path}: its size is fixed, {height}x{width}: leave @HxW out")
        return engine


class Contestant:
    """A loaded model with its inputs made, for an interleaved benchmark."""

    def __init__(self, candidate: Candidate, threads: int, frames: Sequence[Frame]) -> None:
        self._estimator = Estimator(candidate.engine(threads))
        self._inputs: list[ModelInput] = [self._estimator.input_of(frame) for frame in frames]

    def run_ms(self, number: int) -> float:
        """Run on one of the pictures, from pixels to poses."""
        item = self._inputs[number % len(self._inputs)]
        start_s = time.perf_counter()
        self._estimator.estimate(item)
        return (time.perf_counter() - start_s) * 1e3


def pictures(annotations: Annotations, folder: Path) -> list[Frame]:
    """Return the first pictures that can be read. Raises InputError if none."""
    read = (read_image(folder / image.file_name) for image in annotations.images)
    frames = list(itertools.islice((frame for frame in read if frame is not None), PICTURES))
    if not frames:
        raise InputError(
            f"{folder}: none of the {len(annotations.images)} images of {annotations.path.name} can be read"
        )
    return frames


def race(candidates: Sequence[Candidate], threads: int, frames: Sequence[Frame]) -> list[tuple[float, float]]:
    """Run all candidates interleaved; return (median ms, ratio to the first)."""
    times = rounds_ms(candidates, threads, frames)
    return [
        (statistics.median(mine), statistics.median(a / b for a, b in zip(mine, times[0], strict=True)))
        for mine in times
    ]


def rounds_ms(
    candidates: Sequence[Candidate], threads: int, frames: Sequence[Frame], *, rounds: int = ROUNDS
) -> list[tuple[float, ...]]:
    """Run all candidates interleaved; return each one's times in ms.

    The order changes from round to round: who runs after a large model finds the caches empty.
    """
    contestants = [Contestant(candidate, threads, frames) for candidate in candidates]
    times: list[list[float]] = []
    random, progress = np.random.default_rng(0), ProgressBar(f"time, {threads} thread{'s'[: threads > 1]}")
    for number in range(rounds + WARM_UP):
        took_ms = {int(at): contestants[at].run_ms(number) for at in random.permutation(len(contestants))}
        times.append([took_ms[at] for at in range(len(contestants))])
        progress(number + 1, rounds + WARM_UP)
    return list(zip(*times[WARM_UP:], strict=True))


def split_size(text: str) -> tuple[str, tuple[int, int] | None]:
    """Split MODEL[@HxW] into a model and its (width, height) or None.

    An @ in a path is part of the path.

    Raises:
        argparse.ArgumentTypeError: the size is none.
    """
    name, at, size = text.rpartition("@")
    if at and re.fullmatch("[0-9xX]*", size):
        return name, parse_size(size)
    return text, None


def find_candidate(name: str | None, size: tuple[int, int] | None) -> Candidate:
    """Return a model by file or name, fetched or made if needed.

    None is the manifest's default.

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
