"""Damages inputs at random and reads them, to find crashes, hangs and waste of memory.

    python -m tools.fuzz [TARGET …] [--seconds 60] [--seed 1]

First every input of the corpus as it is, then mutations for --seconds per target. An unexpected error, more than 10 s
for one input, or 300 MB more memory ends it with 70, and the input is written to fuzz-TARGET.bin. Put it into
tools/fuzz/corpus/TARGET once it is mended.
"""

import argparse
import contextlib
import logging
import random
import resource
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from edge.errors import EdgeError
from tools.command_line import Parser, run
from tools.fuzz.targets import TARGETS, Target

MAX_INPUT_S = 10
MAX_GROWTH_BYTES = 300_000_000


class FoundError(EdgeError):
    """A fuzzer found something; the text says what, and where the input is."""


class TooSlowError(BaseException):
    """One input took too long; no reader may catch it."""


def main() -> None:
    """Fuzz; print a line per target."""
    options = _options()
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, _too_slow)
    for target in TARGETS:
        if not options.target or target.name in options.target:
            count = fuzz(target, seconds=options.seconds, seed=options.seed)
            print(f"{target.name:10}{count:9} inputs, nothing found", flush=True)


def fuzz(target: Target, *, seconds: float, seed: int, keep: Path = Path()) -> int:
    """Read inputs of a target; return how many.

    Args:
        target: what to fuzz.
        seconds: how long mutations are made; the corpus is read in any case.
        seed: of the mutations.
        keep: folder for an input that breaks something.

    Raises:
        FoundError: one does.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    inputs = target.inputs()
    end_s = time.monotonic() + seconds
    count = 0
    with tempfile.TemporaryDirectory(prefix="edge-pose-fuzz-") as folder:
        for content in _contents(target, rng, inputs, end_s):
            before = _peak_bytes()
            problem = _problem_of(target, content, Path(folder))
            grown = _peak_bytes() - before
            if not problem and grown > MAX_GROWTH_BYTES:
                problem = f"took {grown / 1e6:.0f} MB"
            if problem:
                file = keep / f"fuzz-{target.name}.bin"
                file.write_bytes(content)
                raise FoundError(f"{target.name}: input {count} {problem}: {file}")
            count += 1
    return count


def _contents(target: Target, rng: random.Random, inputs: list[bytes], end_s: float) -> Iterator[bytes]:
    yield from inputs
    while time.monotonic() < end_s:
        yield target.mutant(rng, inputs)


def _problem_of(target: Target, content: bytes, folder: Path) -> str:
    signal.alarm(MAX_INPUT_S)
    try:
        with contextlib.suppress(*target.expected):
            target.read(content, folder)
    except TooSlowError:
        return f"took more than {MAX_INPUT_S} s"
    except Exception as error:  # noqa: BLE001 - what this looks for
        return f"raised {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        signal.alarm(0)
    return ""


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _too_slow(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature is Python's
    raise TooSlowError


def _options() -> argparse.Namespace:
    parser = Parser("fuzz", __doc__)
    parser.add_argument("target", nargs="*", metavar="TARGET", choices=[*(target.name for target in TARGETS), []])
    parser.add_argument("--seconds", type=float, default=60.0, help="per target (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (default: 1)")
    return parser.parse_args()


if __name__ == "__main__":
    run("fuzz", main)
