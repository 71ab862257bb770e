"""The poses of a model on every frame of a video, kept in a file: a tracker is then measured in seconds."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.camera.video import VideoCamera
from edge.engine.litert import LiteRtEngine
from edge.errors import InputError
from edge.estimator import Estimator
from edge.poses.pose import Pose

__all__ = ["Clip", "detect", "load_clip", "save_clip"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A video's poses.

    Attributes:
        size: (width, height) of its frames in pixels.
        fps: frames per second.
        frames: poses of each frame, best first, without ids.
    """

    size: tuple[int, int]
    fps: float
    frames: tuple[tuple[Pose, ...], ...]


def detect(
    video: Path,
    model: Path,
    *,
    input_size: tuple[int, int] | None,
    min_score: float,
    threads: int,
    on_progress: Callable[[int, int], None],
) -> Clip:
    """Find the poses in every frame of a video.

    Args:
        video: the file.
        model: a .tflite file.
        input_size: (width, height) of the model's input; None: as the product chooses.
        min_score: poses below it are left out.
        threads: of the inference.
        on_progress: called with the frames done, and those done again: the length is not known.

    Raises:
        EdgeError: the video or the model cannot be read.
    """
    engine = LiteRtEngine(model, name=model.stem, threads=threads, input_size=input_size)
    estimator = Estimator(engine, min_score=min_score)
    camera = VideoCamera(video, paced=False)
    camera.open()
    frames: list[tuple[Pose, ...]] = []
    times: list[float] = []
    try:
        while (frame := camera.read()) is not None:
            frames.append(estimator.poses(frame.image))
            times.append(frame.media_time_s)
            size = frame.size
            on_progress(len(frames), len(frames) + 1)
    finally:
        camera.close()
        engine.close()
    if len(frames) < 2:
        raise InputError(f"{video}: has fewer than two frames")
    return Clip(size, (len(times) - 1) / (times[-1] - times[0]), tuple(frames))


def save_clip(clip: Clip, path: Path) -> None:
    """Write a clip as .npz. Raises OSError."""
    poses = [pose for frame in clip.frames for pose in frame]
    np.savez_compressed(
        path,
        size=np.array(clip.size),
        fps=np.array(clip.fps),
        counts=np.array([len(frame) for frame in clip.frames]),
        keypoints=np.array([pose.keypoints for pose in poses], np.float32).reshape(-1, 17, 3),
        boxes=np.array([pose.box_xyxy for pose in poses], np.float32).reshape(-1, 4),
        scores=np.array([pose.score for pose in poses], np.float64),
    )


def load_clip(path: Path) -> Clip:
    """Read a clip that `save_clip` wrote. Raises InputError."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            size, fps, counts = data["size"], float(data["fps"]), data["counts"]
            keypoints, boxes, scores = data["keypoints"], data["boxes"], data["scores"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: holds no poses of a video: {error}") from error
    ends = np.cumsum(counts)
    frames = tuple(
        tuple(Pose(keypoints[at], boxes[at], float(scores[at])) for at in range(end - count, end))
        for end, count in zip(ends.tolist(), counts.tolist(), strict=True)
    )
    return Clip((int(size[0]), int(size[1])), fps, frames)
