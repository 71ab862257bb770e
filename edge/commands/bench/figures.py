"""The measurements of `edge-pose bench`, one function each.

Each runs in a separate process (see `task`).
"""

# Each function imports only what it measures, so that the memory peak is that of the task.
# ruff: noqa: PLC0415

import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge.commands.bench.job import Job
from edge.errors import InputError, UnavailableError

__all__ = ["bare_loop", "engine_alone", "latency", "stages", "throughput"]

WARM_UP = 5
"""Frames left out at the start: the first of a process are slower."""

Figures = dict[str, Any]


def engine_alone(job: Job) -> Figures:
    """Measure the runtime alone, on the same input repeatedly."""
    import numpy as np

    interpreter = _bare_interpreter(job)
    source = interpreter.get_input_details()[0]
    interpreter.set_tensor(source["index"], np.full(source["shape"], 90, source["dtype"]))
    for _ in range(WARM_UP):
        interpreter.invoke()
    count, start_s, now_s = 0, time.perf_counter(), 0.0
    while now_s - start_s < job.seconds:
        interpreter.invoke()
        count, now_s = count + 1, time.perf_counter()
    return {"ms": (now_s - start_s) * 1e3 / count}


def bare_loop(job: Job) -> Figures:
    """Measure the simplest loop: read, resize, invoke."""
    import cv2

    interpreter = _bare_interpreter(job)
    source, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]["index"]
    _, height, width, _ = source["shape"]
    capture = cv2.VideoCapture(job.video)
    count, start_s = 0, time.perf_counter()
    while count < job.frames:
        ok, image = capture.read()
        if not ok:
            break
        rgb = cv2.cvtColor(cv2.resize(image, (int(width), int(height))), cv2.COLOR_BGR2RGB)
        interpreter.set_tensor(source["index"], rgb[None].astype(source["dtype"], copy=False))
        interpreter.invoke()
        interpreter.get_tensor(output)
        count += 1
    return {"ms": (time.perf_counter() - start_s) * 1e3 / max(count, 1), "rss_mb": _peak_rss_mb()}


def throughput(job: Job) -> Figures:
    """Measure a whole run: video to JSONL, every frame."""
    stamps = _run_agent(job, paced=False)
    rss_mb = _peak_rss_mb()
    steady_s = [stamp_s for _, stamp_s, _ in stamps[WARM_UP:]]
    return {"ms": (steady_s[-1] - steady_s[0]) * 1e3 / (len(steady_s) - 1), "rss_mb": rss_mb}


def latency(job: Job) -> Figures:
    """Measure the latency besides inference, at the video's own pace.

    It is the age of a message minus its inference time.
    """
    stamps = _run_agent(job, paced=True)
    lines = (Path(job.folder) / "poses.jsonl").read_bytes().splitlines()
    ages_ms = {message["seq"]: message["age_ms"] for message in map(msgspec.json.decode, lines)}
    added = sorted(ages_ms[seq] - inference_ms for seq, _, inference_ms in stamps[WARM_UP:] if seq in ages_ms)
    if not added:
        raise InputError(f"{job.video}: too short to be measured")
    return {"added_p50_ms": added[len(added) // 2], "added_p95_ms": added[int(len(added) * 0.95)]}


def _run_agent(job: Job, *, paced: bool) -> list[tuple[int, float, float]]:
    """Run the agent as the command does.

    Returns:
        (frame index, time in s at the end of the flow, inference in ms) of every frame.
    """
    from edge.agent.run import Run, RunOptions
    from edge.config import load
    from edge.ports import PoseFrame

    stamps: list[tuple[int, float, float]] = []

    class Watched(Run):
        def _on_result(self, result: PoseFrame) -> None:
            super()._on_result(result)
            stamps.append((result.frame.index, time.perf_counter(), result.inference_ms))

    sets = [f"model.threads={job.threads}"]
    if job.input_size:
        sets.append("model.size={1}x{0}".format(*job.input_size))
    poses = Path(job.folder) / "poses.jsonl"
    poses.unlink(missing_ok=True)
    config = load(None, {"camera.source": job.video, "model.file": job.model, "output.jsonl": str(poses)}, sets)
    Watched(config, RunOptions(paced=paced, loop=True, max_frames=job.frames)).run()
    if len(stamps) < WARM_UP + 2:
        raise InputError(f"{job.video}: too short to be measured")
    return stamps


def stages(job: Job) -> Figures:
    """Measure each stage of the flow, in ms: medians over the frames."""
    laps = list(_laps(job))[WARM_UP:]
    if not laps:
        raise InputError(f"{job.video}: too short to be measured")
    return {name: statistics.median(lap[name] for lap in laps) for name in laps[0]}


def _laps(job: Job) -> Iterator[dict[str, float]]:
    """Yield the time of each stage in ms, for every frame."""
    import cv2

    from edge.camera.video import VideoCamera
    from edge.engine.litert import LiteRtEngine
    from edge.estimator import Estimator
    from edge.payload import Origin, encode, pose_message
    from edge.ports import PoseFrame
    from edge.poses.smooth import Smoother
    from edge.poses.track import Tracker

    cv2.setNumThreads(1)  # as in a run
    camera = VideoCamera(Path(job.video), paced=False, loop=True)
    camera.open()
    engine = LiteRtEngine(Path(job.model), name="model", threads=job.threads, input_size=job.input_size)
    estimator, tracker, smoother = Estimator(engine), Tracker(), Smoother()
    origin = Origin("bench", "bench", "bench", "model")
    for _ in range(job.frames):
        watch = _Stopwatch()
        frame = camera.read()
        if frame is None:
            break
        watch.lap("read")
        item = estimator.input_of(frame)
        watch.lap("letterbox")
        estimate = estimator.estimate(item)
        watch.lap("decode")
        watch.move("decode", "inference", estimate.inference_ms)
        poses = tracker.update(estimate.poses, frame.media_time_s, frame.size)
        watch.lap("track")
        poses = smoother.update(poses, frame.media_time_s, frame.size)
        watch.lap("smooth")
        encode(pose_message(PoseFrame(frame, poses, 0.0), origin, frame.time_s))
        watch.lap("encode")
        yield watch.laps_ms
    camera.close()


class _Stopwatch:
    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def lap(self, name: str) -> None:
        now_s = time.perf_counter()
        self.laps_ms[name] = (now_s - self._last_s) * 1e3
        self._last_s = now_s

    def move(self, lap: str, to: str, ms: float) -> None:
        """Move `ms` of a lap to another one that was measured inside it."""
        self.laps_ms[lap] -= ms
        self.laps_ms[to] = ms


def _bare_interpreter(job: Job) -> Any:
    from edge.tflite.runtime import Interpreter

    interpreter = Interpreter(model_path=job.model, num_threads=job.threads)
    if job.input_size:
        width, height = job.input_size
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [1, height, width, 3])
    interpreter.allocate_tensors()
    return interpreter


def _peak_rss_mb() -> float:
    """Return the peak memory of this program in MiB.

    From /proc, because getrusage includes what the parent had before exec.
    """
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if match is None:
        raise UnavailableError("/proc/self/status has no peak of memory (VmHWM): this needs Linux")
    return int(match[1]) / 1024
