"""Runs one benchmark task: `python -m edge.commands.bench.task JSON`.

A process per task: none inherits another's memory or warm caches, and a model that crashes its runtime ends only its
own figure.
"""

# Each task imports only what it needs, so that the memory peak is its own.
# ruff: noqa: PLC0415

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edge.commands.bench.figures import bare_loop, engine_alone, latency, stages, throughput
from edge.commands.bench.job import Job
from edge.errors import EdgeError, InputError, UnavailableError

__all__ = ["main"]

SCENE_SIZE = (1280, 720)
SCENE_FPS = 25.0

Figures = dict[str, Any]


def main(text: str) -> Figures:
    """Run one job; an expected error is returned as `error` and `exit_code`."""
    job = msgspec.json.decode(text, type=Job)
    try:
        return TASKS[job.task](job)
    except EdgeError as error:
        return {"error": str(error), "exit_code": error.exit_code}


def _render(job: Job) -> Figures:
    """Write the scene as a video."""
    import cv2

    from edge.scene.scene import Scene

    scene = Scene(size=SCENE_SIZE, fps=SCENE_FPS)
    writer = cv2.VideoWriter(job.video, cv2.VideoWriter.fourcc(*"mp4v"), SCENE_FPS, SCENE_SIZE)
    if not writer.isOpened():
        raise UnavailableError(f"{job.video}: OpenCV cannot write MPEG-4 here: give --video FILE")
    for index in range(job.frames):
        writer.write(cv2.cvtColor(scene.draw(index)[0], cv2.COLOR_RGB2BGR))
    writer.release()
    return {}


def _video(job: Job) -> Figures:
    """Return size and frame rate of the video."""
    import cv2

    from edge.camera.video import VideoCamera

    camera = VideoCamera(Path(job.video), paced=False)
    camera.open()
    if camera.read() is None:
        raise InputError(f"{job.video}: not one frame of this video can be read")
    size = camera.size
    camera.close()
    fps = float(cv2.VideoCapture(job.video).get(cv2.CAP_PROP_FPS))
    return {"size": list(size), "fps": round(fps, 2) if 0 < fps < 1000 else SCENE_FPS}


def _model(job: Job) -> Figures:
    """Return kind, data type and input size of the model.

    A size that can be chosen is the largest for the scene, on every machine: figures are to be compared.
    """
    from edge.engine.litert import LiteRtEngine

    engine = LiteRtEngine(Path(job.model), name=Path(job.model).name)
    dynamic, spec = engine.is_dynamic, engine.size_for(SCENE_SIZE)
    return {"kind": spec.kind, "dtype": spec.input_dtype, "input_size": list(spec.input_size), "dynamic": dynamic}


def _libraries(job: Job) -> Figures:  # noqa: ARG001 - every task has this signature
    """Return the versions of runtime, NumPy and OpenCV."""
    from importlib.metadata import version

    import cv2
    import numpy as np

    from edge.tflite.runtime import RUNTIME

    return {RUNTIME: version(RUNTIME.replace("-", "_")), "numpy": np.__version__, "opencv": cv2.__version__}


TASKS: dict[str, Callable[[Job], Figures]] = {
    "render": _render,
    "video": _video,
    "model": _model,
    "libraries": _libraries,
    "engine": engine_alone,
    "bare": bare_loop,
    "flow": throughput,
    "paced": latency,
    "stages": stages,
}

if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(main(sys.argv[1])).decode() + "\n")
