"""PCK (percentage of correct keypoints), on the scene and on images.

PCK@a is the percentage of correct keypoints: those predicted within `a` times the size of the torso from where they are
(Yang and Ramanan, "Articulated human detection with flexible mixtures of parts", 2013, with the torso instead of the
box; from shoulder to opposite hip, as for LSP and FLIC, the longer of the two). The keypoints that can be seen count,
of people of whom at least half can be seen and whose boxes are higher than a fifth of the image; those of a person
whom no pose lies on are all wrong.

On annotated images it is that of the largest person of each, by the area of the box, among those with a labelled torso.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.agent.loading import LoadedEngine
from edge.estimator import Estimator
from edge.poses.matching import areas_px, assign, oks
from edge.poses.pose import Pose
from edge.scene.scene import Scene
from edge.scene.truth import TruePerson
from tools.evaluate.annotations import AnnotatedImage, Annotations
from tools.evaluate.metrics.scene import FRAME_STEP, MIN_HEIGHT
from tools.evaluate.prediction import Prediction

__all__ = ["pck", "pck_on_images", "pck_on_scene"]

PARTS = (0.1, 0.2)
"""Of the torso."""
MIN_OKS = 0.1
"""From here on a pose is taken for a person's, well placed or not."""
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 5, 6, 11, 12
LABELLED, VISIBLE = 1, 2
"""COCO's v: from 1 on a place is annotated, at 2 it is visible."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """One person: distances of visible keypoints in torsos, and whether largest."""

    distances: NDArray[np.float64]
    is_largest: bool


def pck_on_scene(
    engine: LoadedEngine,
    *,
    frames: int,
    min_score: float,
    max_people: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run a model over the scene and return its PCK.

    Args:
        engine: fits its input to the scene, unless that is fixed.
        frames: how many frames, every seventh of the scene.
        min_score: people below this score are not reported.
        max_people: per frame, the best; None for all.
        seed: of the scene.
        on_progress: called with (frames done, all frames).

    Returns:
        see `pck`, and `frames`, `size` (HxW of the input).
    """
    scene = Scene(seed=seed)
    estimator = Estimator(engine, min_score=min_score, max_people=max_people)
    seen: list[tuple[Sequence[TruePerson], Sequence[Pose]]] = []
    for done in range(frames):
        image, people = scene.draw(done * FRAME_STEP)
        seen.append((people, estimator.poses(image)))
        if on_progress:
            on_progress(done + 1, frames)
    width, height = engine.size_for(scene.size).input_size
    return {"frames": frames, "size": f"{height}x{width}", **pck(seen, scene.size)}


def pck(seen: Sequence[tuple[Sequence[TruePerson], Sequence[Pose]]], size: tuple[int, int]) -> dict[str, Any]:
    """Return PCK over frames of people and their predicted poses.

    Args:
        seen: per frame the people and the poses.
        size: (width, height) of the image in pixels.

    Returns:
        `people`, `PCK@0.1` and `PCK@0.2` of everybody, `largest` with the same of the largest person of every image;
        0..1, None without any.
    """
    people = [person for truth, poses in seen for person in _measure(truth, poses, size)]
    return {**_figures(people), "largest": _figures([person for person in people if person.is_largest])}


def pck_on_images(annotations: Annotations, prediction: Prediction, *, min_score: float) -> dict[str, Any]:
    """Return PCK of the largest person of every annotated image.

    Args:
        annotations: the people.
        prediction: the poses.
        min_score: people below this score are not reported.

    Returns:
        `people` (at most one per image), `PCK@0.1` and `PCK@0.2`, 0..1, None without any.
    """
    people: list[_Measured] = []
    for image, poses in zip(annotations.images, prediction.poses, strict=True):
        people += _measure_largest(image, [pose for pose in poses if pose.score >= min_score])
    return _figures(people)


def _figures(people: Sequence[_Measured]) -> dict[str, Any]:
    distances = np.concatenate([person.distances for person in people]) if people else np.empty(0)
    shares = {f"PCK@{part}": round(float((distances <= part).mean()), 4) if len(distances) else None for part in PARTS}
    return {"people": len(people), **shares}


def _measure(truth: Sequence[TruePerson], poses: Sequence[Pose], size: tuple[int, int]) -> list[_Measured]:
    matched = _matched(truth, poses, size)
    heights = [float(person.box_xyxy[3] - person.box_xyxy[1]) for person in truth]
    counting = [at for at, person in enumerate(truth) if person.visible and heights[at] > MIN_HEIGHT]
    largest = max(counting, key=heights.__getitem__, default=None)
    return [
        _Measured(_distances(truth[at], matched.get(at), size, _torso_px(truth[at], size)), at == largest)
        for at in counting
    ]


def _measure_largest(image: AnnotatedImage, poses: Sequence[Pose]) -> list[_Measured]:
    """Measure the largest person, none where no torso is labelled."""
    truth = [_annotated(person, image.size) for person in image.wanted]
    torsos_px = [_torso_px(person, image.size, min_v=LABELLED) for person in truth]
    areas = [float(np.prod(person.box_xyxy[2:] - person.box_xyxy[:2])) for person in truth]
    counting = [at for at, torso_px in enumerate(torsos_px) if torso_px > 0]
    if not counting:
        return []
    largest = max(counting, key=areas.__getitem__)
    pose = _matched(truth, poses, image.size).get(largest)
    return [_Measured(_distances(truth[largest], pose, image.size, torsos_px[largest]), is_largest=True)]


def _annotated(person: dict[str, Any], size: tuple[int, int]) -> TruePerson:
    """Return a COCO person as one of the scene.

    From pixels of an image of `size` to shares of its sides.
    """
    keypoints = np.array(person["keypoints"], np.float32).reshape(-1, 3) / (*size, 1)  # (17, [x, y, v])
    x, y, width, height = person["bbox"]
    box = np.array([x, y, x + width, y + height], np.float32) / (size * 2)
    seen = float((keypoints[:, 2] == VISIBLE).mean())
    return TruePerson(person["id"], keypoints.astype(np.float32), box.astype(np.float32), seen)


def _matched(truth: Sequence[TruePerson], poses: Sequence[Pose], size: tuple[int, int]) -> dict[int, Pose]:
    """Return the matched pose by the index of its person."""
    if not truth or not poses:
        return {}
    keypoints = np.stack([person.keypoints for person in truth])  # (P, 17, [x, y, v])
    predicted = np.stack([pose.keypoints for pose in poses])
    predicted[..., 2] = VISIBLE  # all keypoints count, whatever score the model gave them
    areas = areas_px(np.stack([person.box_xyxy for person in truth]), size)
    alike = oks(keypoints, predicted, areas[:, None], size, min_score=1, min_keypoints=1)
    return {row: poses[column] for row, column in assign(alike, MIN_OKS)}


def _distances(person: TruePerson, pose: Pose | None, size: tuple[int, int], torso_px: float) -> NDArray[np.float64]:
    """Return the errors of visible keypoints in torsos, (K,).

    Infinite without a pose.
    """
    visible = person.keypoints[:, 2] == VISIBLE
    if pose is None:
        return np.full(int(visible.sum()), np.inf)
    off = np.linalg.norm(pose.keypoints[:, :2] * size - person.keypoints[:, :2].astype(np.float64) * size, axis=1)
    return np.asarray(off[visible] / torso_px, np.float64)


def _torso_px(person: TruePerson, size: tuple[int, int], *, min_v: int = 0) -> float:
    """Return the longer shoulder-hip diagonal in pixels, 0 without one.

    Its ends are marked at least `min_v`.
    """
    true = person.keypoints[:, :2].astype(np.float64) * size
    return max(
        float(np.linalg.norm(true[a] - true[b])) if person.keypoints[[a, b], 2].min() >= min_v else 0.0
        for a, b in ((LEFT_SHOULDER, RIGHT_HIP), (RIGHT_SHOULDER, LEFT_HIP))
    )
