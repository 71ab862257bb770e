"""Labels people by a larger model, box by box.

Each box is cut out, enlarged, and run upright and mirrored.

Close up even a small model for one person sees far more than it would in the whole picture. What both views agree on
becomes a label; the rest stays unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.frame import Image
from edge.poses.heads import HeadsDecoder
from edge.poses.matching import areas_px, iou, oks
from tools.train.data.augment import MIRRORED
from tools.train.data.picture import Floats, bounds

__all__ = ["Labelled", "Teacher"]

MARGIN = 1.25
"""Side of the square that is cut out, in longer sides of the box."""
CENTRED = 0.25
"""Of the people in a cut-out the one near its middle is meant: scores fall by exp(-(d / CENTRED)^2), d in sides."""
MIN_SCORE = 0.25
"""Mean score from which on a keypoint is labelled."""
AGREE = 0.08
"""Greatest distance of the two views' keypoints, in sides of the cut-out."""
MIN_KEYPOINTS = 5
MIN_BOX_SCORE = 0.4
"""Boxes below are empty, or people too unclear to learn from: they are ignored."""
SAME_OKS, SAME_BOX = 0.6, 0.5
"""From here on two labels are of one person."""
MIN_FOUND_SCORE = 0.1
"""People found in a whole picture with less do not count."""
SURER = 2.0
"""A person found there with half of MIN_BOX_SCORE is as sure as a detector's box."""
MAX_FOUND = 30


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labels of a picture: people (P, 17, 3), boxes (P, 4), scores (P,).

    The scores are means; `ignored` has the boxes (Q, 4) of others.
    """

    people: Floats
    boxes: Floats
    scores: Floats
    ignored: Floats


class Teacher:
    """Labels people by a model of kind `heads` with a square input.

    Args:
        engine: the model, its input fixed (see `tools.train.teacher.heads_model.load_heads`).
    """

    def __init__(self, engine: LiteRtEngine) -> None:
        assert engine.spec.heads is not None
        self._engine = engine
        self._estimator = Estimator(engine, min_score=MIN_FOUND_SCORE, max_people=MAX_FOUND)
        self._side = engine.spec.input_size[0]
        self._decoder = HeadsDecoder(engine.spec.heads)

    def find(self, image: Image) -> tuple[Floats, Floats]:
        """Find people in a whole picture, RGB uint8 (h, w, 3).

        For pictures without boxes.

        Returns:
            Boxes (B, 4), x0, y0, x1, y1 in pixels, and their scores (B,), on the scale of a detector's.
        """
        poses = self._estimator.poses(image)
        size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
        boxes = np.array([pose.box_xyxy for pose in poses], np.float32).reshape(-1, 4) * size
        return boxes, np.minimum(SURER * np.array([pose.score for pose in poses], np.float32), 1)

    def label(self, image: Image, boxes: Floats, scores: Floats) -> Labelled:
        """Label the people of a picture.

        Args:
            image: RGB uint8 (h, w, 3).
            boxes: (B, 4), x0, y0, x1, y1 in pixels.
            scores: (B,), of the boxes.
        """
        people: list[Floats] = []
        whole: list[Floats] = []
        marks: list[float] = []
        ignored: list[Floats] = []
        for at in np.argsort(-scores, kind="stable"):
            found, score = self._person(image, boxes[at]) if scores[at] >= MIN_BOX_SCORE else (None, 0.0)
            if found is None:
                ignored.append(boxes[at])
            elif not _known(found, people, image):
                people.append(found)
                whole.append(boxes[at])
                marks.append(score)
        known = np.array(people, np.float32).reshape(-1, 17, 3)
        left = np.array(ignored, np.float32).reshape(-1, 4)
        if len(known) and len(left):
            left = left[iou(left, bounds(known)).max(axis=1) < SAME_BOX]
        return Labelled(known, np.array(whole, np.float32).reshape(-1, 4), np.array(marks, np.float32), left)

    def _person(self, image: Image, box: Floats) -> tuple[Floats | None, float]:
        """Return a box's person (17, 3) and mean score, or (None, 0).

        None where the two views disagree.
        """
        side = max(float((box[2:] - box[:2]).max()) * MARGIN, 8.0)
        corner = (box[:2] + box[2:]) / 2 - side / 2
        cut = _cut(image, corner, side, self._side)
        upright, mirrored = self._look(cut), self._look(np.ascontiguousarray(cut[:, ::-1]))
        mirrored = mirrored[MIRRORED]
        mirrored[:, 0] = 1 - mirrored[:, 0]
        both = (upright + mirrored) / 2  # x, y, score
        apart = np.linalg.norm(upright[:, :2] - mirrored[:, :2], axis=1)
        xy = corner + both[:, :2] * side
        inside = ((xy >= 0) & (xy < image.shape[1::-1])).all(axis=1)
        sure = (both[:, 2] >= MIN_SCORE) & (apart <= AGREE) & inside
        if sure.sum() < MIN_KEYPOINTS:
            return None, 0.0
        return np.column_stack([xy, np.where(sure, 2, 0)]).astype(np.float32), float(both[sure, 2].mean())

    def _look(self, cut: Image) -> Floats:
        """Return the person in the middle of a cut-out, (17, 3).

        x, y in sides of the cut-out, and score.
        """
        rows = self._decoder.rows(self._run(cut), max_people=6)[0]
        trios = rows[:, :51].reshape(-1, 17, 3)
        middles = (trios[..., :2].min(axis=1) + trios[..., :2].max(axis=1)) / 2
        meant = rows[:, 55] * np.exp(-((np.linalg.norm(middles - 0.5, axis=1) / CENTRED) ** 2))
        return np.asarray(trios[meant.argmax()][:, [1, 0, 2]])

    def _run(self, image: Image) -> tuple[NDArray[Any], ...]:
        """Return the heads of a picture of the model's size."""
        spec = self._engine.spec
        pixels = image if spec.input_codes is None else spec.input_codes[image]
        return self._engine.run(pixels[None].astype(spec.input_dtype, copy=False))


def _cut(image: Image, corner: Floats, side: float, size: int) -> Image:
    """Return a square cut-out, `size` pixels a side, black outside the picture."""
    scale = size / side
    if scale < 0.7:
        shape = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        corner, side = corner * (np.array(shape) / image.shape[1::-1]), float(size)
        image, scale = np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), np.uint8), 1.0
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    matrix[:, 2] += 0.5 * scale - 0.5
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR), np.uint8)


def _known(found: Floats, people: Sequence[Floats], image: Image) -> bool:
    """Return whether a person is labelled already."""
    if not people:
        return False
    size = (image.shape[1], image.shape[0])
    scale = np.array([*size, 1], np.float32)
    others = np.stack(people) / scale
    one = (found / scale)[None]
    boxes = bounds(np.concatenate([one, others])) / 1.0
    areas = areas_px(boxes, size)
    alike = oks(one, others, np.minimum(areas[:1, None], areas[None, 1:]), size, min_score=1, min_keypoints=1)
    return bool(alike.max() >= SAME_OKS)
