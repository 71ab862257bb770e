"""Time per picture, decoding included, beside the whole graph in fp16."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.convert.checks.pictures import Picture
from tools.convert.checks.runners import FileRunner

__all__ = ["Speed", "measure"]

ROUNDS = 30
WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over interleaved rounds, one thread each.

    Attributes:
        ms: of the file, from pixels to poses.
        whole_ms: of the whole graph in fp16.
        ratio: median of the rounds' ratios, which other work on the machine hardly touches.
    """

    ms: float
    whole_ms: float
    ratio: float


def measure(candidate: FileRunner, whole: FileRunner, pictures: Sequence[Picture], rounds: int = ROUNDS) -> Speed:
    """Run both on the same pictures, in turn."""
    chosen = [pictures[place % len(pictures)] for place in range(WARM_UP + rounds)]
    times = [(_run_ms(candidate, picture), _run_ms(whole, picture)) for picture in chosen][WARM_UP:]
    ms, whole_ms = (statistics.median(column) for column in zip(*times, strict=True))
    return Speed(ms, whole_ms, statistics.median(first / second for first, second in times))


def _run_ms(runner: FileRunner, picture: Picture) -> float:
    tensor = runner.encoded(picture.pixels)
    start = time.perf_counter()
    runner.poses(tensor, picture.letterbox)
    return (time.perf_counter() - start) * 1000
