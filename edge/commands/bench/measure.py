"""Runs the measurements of `edge-pose bench` for one model: rounds of tasks, each in a process of its own."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.commands.bench.job import Job
from edge.errors import EdgeError, UnavailableError

__all__ = ["Plan", "do", "measure", "prefixed", "thread_counts"]

MAX_THREADS = 4
MIN_FRAMES = 20
TASK_TIMEOUT_S = 600.0
STOP_S = 5.0

Figures = dict[str, Any]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often and for how long each figure is measured.

    Attributes:
        rounds: figures are the medians over so many.
        threads: numbers of inference threads.
        engine_s: how long the bare model runs.
        flow_s: how long the flow runs, at most `frames` of the video.
        frames: at most so many.
        fps: of the video.
    """

    rounds: int
    threads: Sequence[int]
    engine_s: float
    flow_s: float
    frames: int
    fps: float

    def frames_for(self, frame_ms: float, *, paced: bool = False) -> int:
        """Return how many frames a flow has time for, but enough for a figure in any case."""
        fps = min(1e3 / frame_ms, self.fps) if paced else 1e3 / frame_ms
        return int(min(max(self.flow_s * fps, MIN_FRAMES), self.frames))


def thread_counts() -> tuple[int, ...]:
    """Return the numbers of threads that are worth a measurement here: 1, 2, 4, and all cores up to 4."""
    most = min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return tuple(count for count in range(1, most + 1) if count in {1, 2, most})


def do(job: Job, task: str) -> Figures:
    """Do one task in a process of its own and return its figures.

    Raises:
        EdgeError: with the words and the exit code of the task's own.
        UnavailableError: it crashed, or did not end.
    """
    command = [sys.executable, "-m", "edge.commands.bench.task", msgspec.json.encode(replace(job, task=task)).decode()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TASK_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"measuring '{task}' did not end within {TASK_TIMEOUT_S:g} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        raise UnavailableError(f"measuring '{task}' ended with code {done.returncode}: {last}")
    found: Figures = msgspec.json.decode(done.stdout.splitlines()[-1])
    if "error" in found:
        error = EdgeError(found["error"])
        error.exit_code = found["exit_code"]
        raise error
    return found


def measure(job: Job, plan: Plan, tell: Tell) -> Figures:
    """Return the figures of one model: medians over the rounds, ratios taken within each."""
    numbers = range(1, plan.rounds + 1)
    rounds = [_round(job, plan, prefixed(tell, f"round {number} of {plan.rounds}")) for number in numbers]
    figures = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    # Names such as `flow_ms 2` and `decode ms` are only this module's.
    by_threads = ("engine_ms", "flow_ms", "throughput_ratio")
    return {
        "threads": [
            {"threads": count, **{name: _rounded(figures.pop(f"{name} {count}")) for name in by_threads}}
            for count in plan.threads
        ],
        "stages_ms": {name[6:]: _rounded(figures.pop(name)) for name in list(figures) if name.startswith("stage ")},
        **{name: _rounded(value) for name, value in figures.items()},
    }


def prefixed(tell: Tell, prefix: str) -> Tell:
    """Return what takes lines and tells them behind a prefix."""
    return lambda text: tell(f"{prefix}: {text}")


def _round(job: Job, plan: Plan, tell: Tell) -> dict[str, float]:
    """Take every figure once; the two sides of a ratio in turn."""
    figures: dict[str, float] = {}
    for count in plan.threads:
        tell(f"{count} thread{'s'[: count > 1]}")
        mine = replace(job, threads=count)
        engine_ms = do(replace(mine, seconds=plan.engine_s), "engine")["ms"]
        flow = do(replace(mine, frames=plan.frames_for(engine_ms)), "flow")
        figures[f"engine_ms {count}"], figures[f"flow_ms {count}"] = engine_ms, flow["ms"]
        figures[f"throughput_ratio {count}"] = engine_ms / flow["ms"]
    tell("memory, latency, start, stages")
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
    command = [sys.executable, "-m", "edge", "run", "--camera", job.video, "--model", job.model, "--jsonl", "-"]
    start_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:  # noqa: S603
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            elapsed_s = time.perf_counter() - start_s
        finally:
            child.kill()  # it has nothing to lose, and its reader is gone
    if not line:
        raise UnavailableError(f"edge-pose run ended without a message: try {' '.join(command[1:])}")
    return elapsed_s * 1e3


def _rounded(value: float) -> float:
    return round(value, 3)
