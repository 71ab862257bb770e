"""Measures how many of the scene's people a model finds: the same path as the product's, against the drawn truth.

    python -m tools.evaluate.scene_score [--model FILE] [--size 256x448 --size 160x256] [--frames 300] [--save FOLDER]

A person counts when at least half of the keypoints are in the image and not hidden by somebody else, and the box is
higher than a fifth of the image. They are found when a pose that the product would publish (score >= --min-score)
lies on them with OKS >= 0.5, as COCO counts it: over the labelled keypoints (v > 0), with the area inside a person's
outline, for which 0.53 of the box is taken (the median of 222 annotated people of COCO). A pose can find one person
only.
"""

import argparse
import itertools
import json
import sys
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
from tools.command_line import Parser, default_model, parse_size, run
from tools.progress import ProgressBar

MIN_HEIGHT = 0.2
MIN_OKS = 0.5
AREA_OF_BOX = 0.53
STEP = 7
"""Only every so manyth frame is looked at: neighbours are all but the same picture."""
HEIGHTS = (0.2, 0.35, 0.5, 0.65, 1.01)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One person in one frame who had to be found."""

    height: float
    found: bool


def main() -> None:
    """Score the model at every size and print a table, or JSON."""
    options = _options()
    figures = [
        score(
            options.model,
            size,
            frames=options.frames,
            seed=options.seed,
            min_score=options.min_score,
            save=options.save,
        )
        for size in options.size
    ]
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for figure in figures:
            print("  ".join(f"{name} {value}" for name, value in figure.items()))
    for figure, least in zip(figures, options.min_found or (), strict=False):
        if figure["found"] is None or figure["found"] * 100 < least:
            sys.exit(f"{figure['size']}: less than {least:g} % are found")


def score(
    model: Path,
    size: tuple[int, int],
    *,
    frames: int,
    seed: int = 0,
    min_score: float = 0.2,
    save: Path | None = None,
) -> dict[str, Any]:
    """Run a model with an input of `size` (width, height) over the scene. Raises EdgeError.

    Args:
        model: the file.
        size: of the input; a model of fixed size has to have it.
        frames: how many frames, every seventh of the scene.
        seed: of the scene.
        min_score: of a pose to count.
        save: folder for every frame with what was found in it.

    Returns:
        `size` (HxW), `people` who count, `found` of them (0..1, None when nobody counts), the same `by_height` in
        parts of the frame, and `poses_per_frame`.
    """
    scene = Scene(seed=seed)
    engine = LiteRtEngine(model, name=model.stem, threads=2, input_size=size)
    estimator = Estimator(engine, min_score=min_score)
    sightings: list[Sighting] = []
    published, progress = 0, ProgressBar(f"{size[1]}x{size[0]}")
    for done in range(frames):
        image, people = scene.draw(done * STEP)
        poses = estimator.poses(image)
        seen = _sightings(people, poses, scene.size)
        sightings += seen
        published += len(poses)
        if save:
            _save(save / f"{size[1]}x{size[0]}_{done * STEP:06}.png", image, people, poses)
        progress(done + 1, frames)
    engine.close()
    return {
        "size": f"{size[1]}x{size[0]}",
        **_summary(sightings),
        "poses_per_frame": round(published / frames, 2),
    }


def _sightings(people: Sequence[TruePerson], poses: Sequence[Pose], size: tuple[int, int]) -> list[Sighting]:
    """Say for each person who counts whether one of the poses is theirs."""
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
    """Return (people, poses) OKS; all labelled keypoints count, whatever score the model gave them."""
    truth = np.stack([person.keypoints for person in people])  # (P, 17, [x, y, v])
    told = np.stack([pose.keypoints for pose in poses])
    told[..., 2] = 2
    boxes = np.stack([person.box_xyxy for person in people])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * (AREA_OF_BOX * size[0] * size[1])
    return oks(truth, told, areas[:, None], size, min_score=1, min_keypoints=1)


def _summary(sightings: Sequence[Sighting]) -> dict[str, Any]:
    def share(chosen: Sequence[Sighting]) -> float | None:
        return round(sum(sighting.found for sighting in chosen) / len(chosen), 3) if chosen else None

    by_height = {
        f"{low:.2f}-{min(high, 1.0):.2f}": share([each for each in sightings if low < each.height <= high])
        for low, high in itertools.pairwise(HEIGHTS)
    }
    return {"people": len(sightings), "found": share(sightings), "by_height": by_height}


def _save(path: Path, image: Image, people: Sequence[TruePerson], poses: Sequence[Pose]) -> None:
    """Write a picture: the poses as skeletons, the true keypoints as dots, hidden ones dark."""
    picture = image.copy()
    draw_poses(picture, poses)
    for x, y, v in np.concatenate([person.keypoints for person in people]):
        centre = (round(float(x) * image.shape[1]), round(float(y) * image.shape[0]))
        cv2.circle(picture, centre, 3, (255, 0, 0) if v == 2 else (120, 0, 0), cv2.FILLED)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def _options() -> argparse.Namespace:
    parser = Parser("evaluate.scene_score", __doc__)
    parser.add_argument("--model", type=Path, default=default_model(), help="default: the manifest's default")
    parser.add_argument("--size", type=parse_size, action="append", metavar="HxW", help="height first; may be repeated")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-score", type=float, default=0.2, help="of a pose to count (default: 0.2, as published)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write every frame with what was found in it")
    parser.add_argument(
        "--min-found", type=float, action="append", metavar="PERCENT", help="one per size: fail when fewer are found"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.size = options.size or [(448, 256), (256, 160)]
    if options.model is None:
        parser.error("the default model is not on this machine: give --model FILE")
    return options


if __name__ == "__main__":
    run("scene_score", main)
