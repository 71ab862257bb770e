"""Measures the cost of running a model in another process.

    python -m tools.costs.isolation_cost [--model FILE …] [--size 256x256] [--rounds 300] [--threads 1]

Both engines are loaded at once and infer the same input in turn, so that whatever else the machine does hits both.
What is compared are whole calls of `run`: the input's way to the other process, the inference, the outputs' way back.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engine.isolation.isolated import IsolatedEngine
from edge.engine.isolation.wire import Job
from edge.engine.litert import LiteRtEngine
from edge.errors import UnavailableError
from edge.ports import Engine, ModelSpec
from tools.command_line import Parser, default_model, parse_size, run

WARM_UP = 20


def main() -> None:
    """Measure and print one line per model."""
    options = _options()
    models: list[Path] = options.model or [model for model in [default_model()] if model is not None]
    if not models:
        raise UnavailableError("no model: give --model FILE, or put the default one into the mirror or the cache")
    print(f"{'model':44}{'inside, ms':>12}{'isolated, ms':>14}{'cost, ms':>10}{'p95':>8}")
    for path in models:
        inside, isolated = measure(path, options.size, options.rounds, options.threads)
        costs = sorted(theirs - ours for ours, theirs in zip(inside, isolated, strict=True))
        p95 = costs[int(0.95 * len(costs))]
        print(
            f"{path.stem:44}{statistics.median(inside):12.2f}{statistics.median(isolated):14.2f}"
            f"{statistics.median(costs):10.3f}{p95:8.2f}"
        )


def measure(path: Path, size: tuple[int, int], rounds: int, threads: int) -> tuple[list[float], list[float]]:
    """Return milliseconds per inference inside and isolated, in pairs.

    Args:
        path: the model file.
        size: (width, height) for a model whose input may have any.
        rounds: number of pairs.
        threads: CPU threads per inference.
    """
    inside = LiteRtEngine(path, name=path.stem, threads=threads)
    if inside.is_dynamic:
        inside.close()
        inside = LiteRtEngine(path, name=path.stem, threads=threads, input_size=size)
    spec = inside.spec
    isolated = IsolatedEngine(
        Job(path=str(path.absolute()), name=path.stem, threads=threads, input_size=spec.input_size)
    )
    isolated.start()
    try:
        tensor = _noise(spec)
        pairs = [(_time_ms(inside, tensor), _time_ms(isolated, tensor)) for _ in range(rounds + WARM_UP)][WARM_UP:]
    finally:
        isolated.close()
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


def _noise(spec: ModelSpec) -> NDArray[Any]:
    width, height = spec.input_size
    pixels = np.random.default_rng(3).integers(0, 256, (1, height, width, 3)).astype(np.uint8)
    return pixels if spec.input_codes is None else np.asarray(spec.input_codes[pixels])


def _time_ms(engine: Engine | IsolatedEngine, tensor: NDArray[Any]) -> float:
    start_s = time.perf_counter()
    engine.run(tensor)
    return (time.perf_counter() - start_s) * 1e3


def _options() -> argparse.Namespace:
    parser = Parser("costs.isolation_cost", __doc__)
    parser.add_argument("--model", type=Path, action="append", help="a model file; may be given again (default: ours)")
    parser.add_argument("--size", type=parse_size, default=(256, 256), help="HxW for a model whose input may have any")
    parser.add_argument("--rounds", type=int, default=300, help="pairs of inferences")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads per inference")
    return parser.parse_args()


if __name__ == "__main__":
    run("isolation_cost", main)
