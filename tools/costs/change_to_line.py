"""Measures from a picture's change at a network camera to the line with its poses.

    python -m tools.costs.change_to_line [--model FILE] [--size HxW] [--threads 1] [--seconds 10] [--busy 2]

A motion-JPEG camera on this machine (720p, 25 fps) shows nobody and people in turn. A loop that only reads, resizes and
invokes is measured in turn with the agent, which decodes, tracks, smooths and writes JSON besides. --busy N keeps N
other processes busy. The figures are worth something on an idle machine only.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge.engine.litert import LiteRtEngine
from edge.errors import UnavailableError
from tools.command_line import Parser, default_model, parse_size, run

__all__ = ["delays_ms", "main"]

Line = tuple[float, bool]
"""Monotonic time in s, and whether people are on the picture."""

LEFT_OUT = 2
"""Changes at the start: the tracker and the caches are cold."""
BUSY = "while True: sum(range(10000))"


def main() -> None:
    """Measure and print one line for each of the two."""
    options = _options()
    model = options.model or default_model()
    if model is None:
        raise UnavailableError("no model: give --model FILE, or put the default one into the mirror or the cache")
    height, width = _input_size(model, options.size)
    commands = {
        "bare loop": lambda url: ["-m", "tools.costs.bare_loop", url, str(model), f"{height}x{width}", options.threads],
        "edge-pose": lambda url: [
            *("-m", "edge", "run", "--camera", url, "--model", str(model), "--jsonl", "-"),
            *("--set", f"model.threads={options.threads}", "--set", f"model.size={height}x{width}"),
        ],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    with ExitStack() as stack:
        for _ in range(options.busy):
            stack.enter_context(_process([sys.executable, "-c", BUSY]))
        for _ in range(options.rounds):
            for name, command in commands.items():
                found[name] += _measure(command, options.seconds)
    print(f"{'from change to line, ms':24}{'p50':>8}{'p90':>8}{'changes':>9}")
    for name, delays in found.items():
        if not delays:
            raise UnavailableError(f"{name}: no line came within {options.seconds:g} s; try a larger --seconds")
        print(f"{name:24}{statistics.median(delays):8.1f}{_p90(delays):8.1f}{len(delays):9}")


def delays_ms(changes: Sequence[Line], lines: Sequence[Line]) -> list[float]:
    """Return, for each change, the time until the line that shows it first.

    The lines may come later than the next change. A change that no line shows is left out.
    """
    shown = [line for before, line in itertools.pairwise(lines) if line[1] is not before[1]]
    found: list[float] = []
    last_s = 0.0
    for change_s, people in changes:
        first_s = next((time_s for time_s, now in shown if time_s > max(change_s, last_s) and now is people), None)
        if first_s is not None:
            found.append((first_s - change_s) * 1e3)
            last_s = first_s
    return found


def _measure(command: Callable[[str], list[str]], seconds: float) -> list[float]:
    changes: list[Line] = []
    lines: list[Line] = []
    with _process([sys.executable, "-m", "tools.costs.mjpeg_camera"]) as camera:
        assert camera.stdout is not None
        url = camera.stdout.readline().strip()
        with _process([sys.executable, *command(url)]) as reader:
            _collect(camera, changes, lambda line: (float(line.split()[0]), line.split()[1] == "1"))
            _collect(reader, lines, lambda line: (time.monotonic(), bool(json.loads(line)["poses"])))
            time.sleep(seconds)
            if reader.poll() is not None:
                raise UnavailableError(f"ended with code {reader.returncode}: try {' '.join(command(url))}")
    begun_s = lines[0][0] if lines else float("inf")
    return delays_ms([change for change in changes if change[0] > begun_s][LEFT_OUT:], lines)


def _collect(process: "subprocess.Popen[str]", into: list[Line], parse: Callable[[str], Line]) -> None:
    """Append what a process prints, each line at the time when it comes."""
    assert process.stdout is not None
    output = process.stdout

    def read() -> None:
        into.extend(map(parse, output))

    threading.Thread(target=read, daemon=True).start()


@contextmanager
def _process(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield child
    finally:
        child.kill()  # it writes nothing that must be finished
        child.wait()


def _input_size(model: Path, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return (height, width) as the agent would choose it for this camera."""
    engine = LiteRtEngine(model, name=model.stem, input_size=size)
    width, height = engine.size_for((1280, 720)).input_size
    engine.close()
    return height, width


def _p90(delays: Sequence[float]) -> float:
    return sorted(delays)[int(0.9 * len(delays))]


def _options() -> argparse.Namespace:
    parser = Parser("costs.change_to_line", __doc__)
    parser.add_argument("--model", type=Path, help="a model file (default: ours)")
    parser.add_argument("--size", type=parse_size, help="HxW for a model of dynamic size")
    parser.add_argument("--threads", default="1", help="CPU threads per inference")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="of both in turn")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that keep a core busy meanwhile")
    return parser.parse_args()


if __name__ == "__main__":
    run("change_to_line", main)
