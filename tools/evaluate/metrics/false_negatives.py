"""Pictures of false negatives, the largest first, and of false positives."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.errors import UnavailableError
from edge.frame import Image
from edge.poses.drawing import draw_poses, draw_text_lines
from edge.poses.pose import Pose
from tools.evaluate.annotations import AnnotatedImage, Annotations
from tools.evaluate.crop import cut_frame
from tools.evaluate.metrics.coco import Outcome
from tools.evaluate.prediction import Prediction, read_image

__all__ = ["Miss", "draw_miss", "require_writable", "worst", "write_worst"]

MISSED, FALSE, KEYPOINT = (230, 60, 60), (255, 220, 0), (255, 120, 120)
"""RGB."""


@dataclass(frozen=True, slots=True)
class Miss:
    """What went wrong in one image.

    Attributes:
        image: the image.
        poses: from the least score on.
        missed: annotations of people on whom no pose lies, the largest first.
        heights_px: their heights in the model's input.
        false: poses matched with no person, the surest first.
    """

    image: AnnotatedImage
    poses: tuple[Pose, ...]
    missed: tuple[dict[str, Any], ...]
    heights_px: tuple[float, ...]
    false: tuple[Pose, ...]

    @property
    def weight(self) -> tuple[float, float]:
        """Sort key, the worst first.

        A false pose stands for a person of as many pixels as its score has per cent.
        """
        false = 100 * self.false[0].score if self.false else 0.0
        largest = self.heights_px[0] if self.heights_px else 0.0
        return max(largest, false), largest + false


def worst(
    annotations: Annotations, prediction: Prediction, outcome: Outcome, *, min_score: float, count: int
) -> list[Miss]:
    """Return the images with the worst errors, the worst first.

    Args:
        annotations: the truth.
        prediction: the model's poses.
        outcome: of the poses from `min_score` on.
        min_score: poses below this score are not looked at.
        count: of images, at most.
    """
    misses, first = [], 0
    false = set(outcome.false)
    for image, found in zip(annotations.images, prediction.poses, strict=True):
        poses = tuple(pose for pose in found if pose.score >= min_score)
        here = [pose for at, pose in enumerate(poses, first) if at in false]
        first += len(poses)
        missed = sorted(
            (person for person in image.wanted if person["id"] not in outcome.found), key=lambda each: -each["bbox"][3]
        )
        heights = tuple(prediction.height_px(image, person["bbox"][3]) for person in missed)
        if missed or here:
            surest = tuple(sorted(here, key=lambda pose: -pose.score))
            misses.append(Miss(image, poses, tuple(missed), heights, surest))
    return sorted(misses, key=lambda miss: miss.weight, reverse=True)[:count]


def require_writable(folder: Path) -> None:
    """Check that `write_worst` can write to this folder.

    It need not exist yet, and is not made.

    Raises:
        UnavailableError: something else is there, or in the way to it.
    """
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnavailableError(f"{folder}: cannot be written to: {error.strerror}") from error
    if not is_folder:
        raise UnavailableError(f"{folder}: cannot be written to: it is no folder")


def write_worst(misses: Sequence[Miss], images: Path, folder: Path) -> list[Path]:
    """Write one picture per miss, the worst first by name.

    Raises:
        UnavailableError: the folder cannot be written to.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, miss in enumerate(misses, 1):
            frame = read_image(images / miss.image.file_name)
            if frame is not None:
                path = folder / f"{place:02}_{Path(miss.image.file_name).stem}.jpg"
                _write(path, draw_miss(cut_frame(frame, miss.image).image, miss))
                written.append(path)
    except OSError as error:
        raise UnavailableError(f"{folder}: cannot be written to: {error.strerror}") from error
    return written


def draw_miss(image: Image, miss: Miss) -> Image:
    """Draw poses, missed people (red) and false poses (yellow) on a copy.

    The image is RGB.
    """
    picture = np.ascontiguousarray(image).copy()
    size = (picture.shape[1], picture.shape[0])
    draw_poses(picture, miss.poses)
    for pose in miss.false:
        _box(picture, pose.box_xyxy * (*size, *size), FALSE)
    scale = np.array(size) / miss.image.size  # a copy of another size keeps its annotations
    for person in miss.missed:
        x, y, width, height = person["bbox"]
        _box(picture, np.array([x, y, x + width, y + height]) * (*scale, *scale), MISSED)
        for point in np.reshape(person["keypoints"], (17, 3)):
            if point[2] > 0:
                cv2.circle(picture, _pixel(point[:2] * scale), 2, KEYPOINT, cv2.FILLED, cv2.LINE_AA)
    draw_text_lines(picture, _lines(miss))
    return picture


def _lines(miss: Miss) -> list[str]:
    lines = []
    if miss.missed:
        heights = ", ".join(f"{height:.0f}" for height in miss.heights_px[:6])
        more = ", ..." if len(miss.heights_px) > 6 else ""
        lines.append(f"{len(miss.missed)} missed: {heights}{more} px high in the input")
    if miss.false:
        lines.append(f"{len(miss.false)} false: " + ", ".join(f"{pose.score:.0%}" for pose in miss.false[:6]))
    return lines


def _box(picture: Image, corners: Any, colour: tuple[int, int, int]) -> None:
    cv2.rectangle(picture, _pixel(corners[:2]), _pixel(corners[2:]), colour, 2)


def _pixel(point: Any) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _write(path: Path, picture: Image) -> None:
    """Write a picture whole or not at all."""
    encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(encoded.tobytes())
        os.replace(part, path)  # noqa: PTH105  (the one call that replaces)
    finally:
        part.unlink(missing_ok=True)
