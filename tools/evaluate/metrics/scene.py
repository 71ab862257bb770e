"""Detection rate on the synthetic scene, against the drawn truth.

A person counts when at least half of the keypoints are visible, in the image and not hidden by another person, and the
box is higher than MIN_HEIGHT of the image. They are found when a reported pose lies on them with OKS >= MIN_OKS, as
COCO counts it: over the labelled keypoints (v > 0), with the area inside a person's outline, which is estimated as
AREA_OF_BOX of the box. A pose can find one person only.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.frame import Image
from edge.poses.drawing import draw_poses
from edge.poses.matching import assign, oks
from edge.poses.pose import Pose
from edge.scene.scene import Scene
from edge.scene.truth import TruePerson
from tools.evaluate.annotations import AREA_OF_BOX
from tools.progress import ProgressBar

__all__ = ["FRAME_STEP", "MIN_HEIGHT", "MIN_OKS", "score_scene"]

MIN_HEIGHT = 0.2
"""Of the image; smaller people do not count."""
MIN_OKS = 0.5
FRAME_STEP = 7
"""Every 7th frame is used: neighbours are almost the same picture."""
HEIGHTS = (0.2, 0.35, 0.5, 0.65, 1.01)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One person in one frame who had to be found."""

    height: float
    found: bool


def score_scene(
    model: Path,
    size: tuple[int, int],
    *,
    frames: int,
    seed: int = 0,
    min_score: float = 0.2,
    save: Path | None = None,
) -> dict[str, Any]:
    """Score a model on the scene. Raises EdgeError.

    Args:
        model: the file.
        size: of the input; a model of fixed size has to have it.
        frames: how many frames, every seventh of the scene.
        seed: of the scene.
        min_score: of a pose to count.
        save: folder for every frame with what was found in it.

    Returns:
        `size` (HxW), `people` who count, `found` of them (0..1, None without any), the same `by_height` in
        parts of the frame, and `poses_per_frame`.
    """
    scene = Scene(seed=seed)
    engine = LiteRtEngine(model, name=model.stem, threads=2, input_size=size)
    estimator = Estimator(engine, min_score=min_score)
    sightings: list[Sighting] = []
    published, progress = 0, ProgressBar(f"{size[1]}x{size[0]}")
    for done in range(frames):
        image, people = scene.draw(done * FRAME_STEP)
        poses = estimator.poses(image)
        seen = _sightings(people, poses, scene.size)
        sightings += seen
        published += len(poses)
        if save:
            _save(save / f"{size[1]}x{size[0]}_{done * FRAME_STEP:06}.png", image, people, poses)
        progress(done + 1, frames)
    engine.close()
    return {
        "size": f"{size[1]}x{size[0]}",
        **_summary(sightings),
        "poses_per_frame": round(published / frames, 2),
    }


def _sightings(people: Sequence[TruePerson], poses: Sequence[Pose], size: tuple[int, int]) -> list[Sighting]:
    """Return for each person who counts whether a pose matches."""
    if not people:
        return []
    found = {row for row, _ in assign(_coco_oks(people, poses, size), MIN_OKS)} if poses else set()
    heights = [float(person.box_xyxy[3] - person.box_xyxy[1]) for person in people]
    return [
        Sighting(height, row in found)
        for row, (person, height) in enumerate(zip(people, heights, strict=True))
        if person.visible and height > MIN_HEIGHT
    ]


def _coco_oks(people: Sequence[TruePerson], poses: Sequence[Pose], size: tuple[int, int]) -> NDArray[Any]:
    """Return (people, poses) OKS over all labelled keypoints.

    The model's own keypoint scores do not matter.
    """
    truth = np.stack([person.keypoints for person in people])  # (P, 17, [x, y, v])
    predicted = np.stack([pose.keypoints for pose in poses])
    predicted[..., 2] = 2
    boxes = np.stack([person.box_xyxy for person in people])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * (AREA_OF_BOX * size[0] * size[1])
    return oks(truth, predicted, areas[:, None], size, min_score=1, min_keypoints=1)


def _summary(sightings: Sequence[Sighting]) -> dict[str, Any]:
    def share(chosen: Sequence[Sighting]) -> float | None:
        return round(sum(sighting.found for sighting in chosen) / len(chosen), 3) if chosen else None

    by_height = {
        f"{low:.2f}-{min(high, 1.0):.2f}": share([each for each in sightings if low < each.height <= high])
        for low, high in itertools.pairwise(HEIGHTS)
    }
    return {"people": len(sightings), "found": share(sightings), "by_height": by_height}


def _save(path: Path, image: Image, people: Sequence[TruePerson], poses: Sequence[Pose]) -> None:
    """Write a frame with skeletons and true keypoints, hidden ones dark."""
    picture = image.copy()
    draw_poses(picture, poses)
    for x, y, v in np.concatenate([person.keypoints for person in people]):
        centre = (round(float(x) * image.shape[1]), round(float(y) * image.shape[0]))
        cv2.circle(picture, centre, 3, (255, 0, 0) if v == 2 else (120, 0, 0), cv2.FILLED)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
