"""Measures one model in rounds of tasks, each a separate process."""

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.commands.bench.job import Job
from edge.config.schema import default_threads
from edge.errors import EdgeError, UnavailableError
from edge.host.process import PYTHON

__all__ = ["Plan", "do", "measure", "prefixed", "thread_counts"]

MIN_FRAMES = 20
TASK_TIMEOUT_S = 600.0

Figures = dict[str, Any]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Number and length of the measurements.

    Attributes:
        rounds: number of rounds, of which the medians are taken.
        threads: numbers of inference threads.
        engine_s: duration of the bare model.
        flow_s: duration of the pipeline, at most `frames` of the video.
        frames: maximum number of frames.
        fps: of the video.
    """

    rounds: int
    threads: Sequence[int]
    engine_s: float
    flow_s: float
    frames: int
    fps: float

    def frames_for(self, frame_ms: float, *, paced: bool = False) -> int:
        """Return the number of frames that fit into `flow_s`, at least MIN_FRAMES."""
        fps = min(1e3 / frame_ms, self.fps) if paced else 1e3 / frame_ms
        return int(min(max(self.flow_s * fps, MIN_FRAMES), self.frames))


def thread_counts() -> tuple[int, ...]:
    """Return the thread counts to measure: 1, 2, and all cores up to 4."""
    most = default_threads()
    return tuple(count for count in range(1, most + 1) if count in {1, 2, most})


def do(job: Job, task: str) -> Figures:
    """Run one task in a separate process and return its figures.

    Raises:
        EdgeError: the task's own error, with its text and exit code.
        UnavailableError: it crashed or timed out.
    """
    command = [*PYTHON, "-m", "edge.commands.bench.task", msgspec.json.encode(replace(job, task=task)).decode()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TASK_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"measuring '{task}' did not end within {TASK_TIMEOUT_S:g} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise UnavailableError(f"measuring '{task}' ended with code {done.returncode}: {last}")
    found: Figures = msgspec.json.decode(done.stdout.splitlines()[-1])
    if "error" in found:
        error = EdgeError(found["error"])
        error.exit_code = found["exit_code"]
        raise error
    return found


def measure(job: Job, plan: Plan, report: Report) -> Figures:
    """Return the figures of one model: medians over the rounds.

    Ratios are taken within each round.
    """
    numbers = range(1, plan.rounds + 1)
    rounds = [_round(job, plan, prefixed(report, f"round {number} of {plan.rounds}")) for number in numbers]
    figures = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    # Keys such as `flow_ms 2` and `stage decode` are internal to this module.
    by_threads = ("engine_ms", "flow_ms", "throughput_ratio")
    return {
        "threads": [
            {"threads": count, **{name: _rounded(figures.pop(f"{name} {count}")) for name in by_threads}}
            for count in plan.threads
        ],
        "stages_ms": {name[6:]: _rounded(figures.pop(name)) for name in list(figures) if name.startswith("stage ")},
        **{name: _rounded(value) for name, value in figures.items()},
    }


def prefixed(report: Report, prefix: str) -> Report:
    """Return a function that reports lines with a prefix."""
    return lambda text: report(f"{prefix}: {text}")


def _round(job: Job, plan: Plan, report: Report) -> dict[str, float]:
    """Measure every figure once; the two sides of a ratio one after the other."""
    figures: dict[str, float] = {}
    for count in plan.threads:
        report(f"{count} thread{'s'[: count > 1]}")
        mine = replace(job, threads=count)
        engine_ms = do(replace(mine, seconds=plan.engine_s), "engine")["ms"]
        flow = do(replace(mine, frames=plan.frames_for(engine_ms)), "flow")
        figures[f"engine_ms {count}"], figures[f"flow_ms {count}"] = engine_ms, flow["ms"]
        figures[f"throughput_ratio {count}"] = engine_ms / flow["ms"]
    report("memory, latency, start, stages")
    one = replace(job, frames=plan.frames_for(figures[f"flow_ms {plan.threads[0]}"]))
    bare, flow = do(one, "bare"), do(one, "flow")
    figures |= {"flow_rss_mb": flow["rss_mb"], "bare_rss_mb": bare["rss_mb"]}
    figures |= {"rss_ratio": flow["rss_mb"] / bare["rss_mb"], "bare_loop_ms": bare["ms"]}
    figures |= do(replace(job, frames=plan.frames_for(flow["ms"], paced=True)), "paced")
    figures["first_pose_ms"] = _first_pose_ms(job)
    figures |= {f"stage {name}": ms for name, ms in do(one, "stages").items()}
    return figures


def _first_pose_ms(job: Job) -> float:
    """Measure from the start of the command to the first message on its stdout."""
    command = [*PYTHON, "-m", "edge", "run", "--camera", job.video, "--model", job.model, "--jsonl", "-"]
    start_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:  # noqa: S603
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            elapsed_s = time.perf_counter() - start_s
        finally:
            child.kill()  # it writes nothing that must be finished
    if not line:
        raise UnavailableError(f"edge-pose run ended without a message: try {' '.join(command[1:])}")
    return elapsed_s * 1e3


def _rounded(value: float) -> float:
    """Return four significant digits: a tiny model beside a slow flow has a ratio, not 0."""
    return float(f"{value:.4g}")
