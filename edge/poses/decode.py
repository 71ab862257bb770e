"""Decodes a model's outputs into poses.

The only module that turns the models' (y, x) into (x, y).
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.poses.head_maps import HeadsSpec
from edge.poses.heads import MIN_BOX_KEYPOINT_SCORE, HeadsDecoder
from edge.poses.letterbox import Letterbox
from edge.poses.pose import MAX_PEOPLE, Pose

__all__ = ["Decoder"]

MAX_OUTSIDE = 10.0
"""Sides of the image by which a keypoint may lie outside; what is farther comes from a damaged model."""


class Outputs(Protocol):
    """What a decoder needs to know of a model; `edge.ports.ModelSpec` fits."""

    @property
    def kind(self) -> str:
        """`multipose`, `singlepose` or `heads`."""

    @property
    def heads(self) -> HeadsSpec | None:
        """Size and quantization of the maps, for the kind `heads`."""


class Decoder:
    """Decodes outputs of models; keeps work arrays between frames."""

    def __init__(self) -> None:
        self._heads: HeadsDecoder | None = None

    def decode(
        self, model: Outputs, outputs: Sequence[NDArray[Any]], box: Letterbox, *, min_score: float = 0.2
    ) -> tuple[Pose, ...]:
        """Return the people in the outputs, best score first.

        Args:
            model: that made the outputs; it may change between calls.
            outputs: of the engine.
            box: the letterbox that made the input.
            min_score: people below this score are not reported.

        Numbers that are not finite never leave: neither NaN nor infinity is JSON.
        """
        with np.errstate(all="ignore"):  # a damaged model's
            poses = self._poses(model, outputs, box, min_score)
        good = (pose for pose in poses if pose.score >= min_score and _is_plausible(pose))
        return tuple(sorted(good, key=lambda pose: -pose.score))

    def _poses(self, model: Outputs, outputs: Sequence[NDArray[Any]], box: Letterbox, min_score: float) -> list[Pose]:
        if model.heads is not None:
            rows = self._heads_of(model.heads).rows(outputs, min_score=min_score, max_people=MAX_PEOPLE)
            return _decode_multipose(rows, box)
        return (_decode_multipose if model.kind == "multipose" else _decode_singlepose)(outputs[0], box)

    def _heads_of(self, spec: HeadsSpec) -> HeadsDecoder:
        if self._heads is None or self._heads.spec is not spec:
            self._heads = HeadsDecoder(spec)
        return self._heads


def _is_plausible(pose: Pose) -> bool:
    """Return whether all numbers are finite, and the keypoints in or near the image."""
    outside = np.abs(pose.keypoints[:, :2] - 0.5) - 0.5  # NaN compares as false
    return bool(
        (outside <= MAX_OUTSIDE).all() and np.isfinite(pose.keypoints[:, 2]).all() and np.isfinite(pose.box_xyxy).all()
    )


def _decode_multipose(output: NDArray[np.float32], box: Letterbox) -> list[Pose]:
    """Decode MoveNet MultiPose.

    Args:
        output: float32 (1, 6, 56), a row is 17 x (y, x, score), ymin, xmin, ymax, xmax, score.
        box: the letterbox that made the input.
    """
    rows = output[0]  # (P, 56)
    keypoints = _to_image(rows[:, :51].reshape(-1, 17, 3), box)  # (P, 17, [y, x, score]) in
    corners = box.to_image(rows[:, 51:55].reshape(-1, 2, 2)[..., ::-1])  # (P, [min, max], [x, y])
    boxes = np.clip(corners, 0, 1).reshape(-1, 4)  # (P, [x0, y0, x1, y1])
    scores = np.clip(rows[:, 55], 0, 1)
    return [Pose(keypoints[i], boxes[i], float(scores[i])) for i in range(len(rows))]


def _decode_singlepose(output: NDArray[np.float32], box: Letterbox) -> list[Pose]:
    """Decode MoveNet Lightning or Thunder.

    The model has neither a box nor a score of the person: the score is the mean of the keypoints' (as in Google's
    samples), the box is that of the keypoints with a sufficient score.

    Args:
        output: float32 (1, 1, 17, 3), rows of y, x, score.
        box: the letterbox that made the input.
    """
    keypoints = _to_image(output[0], box)[0]  # (17, [x, y, score])
    trusted = keypoints[keypoints[:, 2] >= MIN_BOX_KEYPOINT_SCORE, :2]
    if len(trusted) == 0:
        return []
    bounds = np.concatenate([trusted.min(0), trusted.max(0)])  # x0, y0, x1, y1
    return [Pose(keypoints, np.clip(bounds, 0, 1), float(keypoints[:, 2].mean()))]


def _to_image(keypoints: NDArray[np.float32], box: Letterbox) -> NDArray[np.float32]:
    """Map (P, 17, [y, x, score]) normalized to the input to (P, 17, [x, y, score]) normalized to the image."""
    mapped = np.empty_like(keypoints)
    mapped[..., :2] = box.to_image(keypoints[..., 1::-1])
    mapped[..., 2] = np.clip(keypoints[..., 2], 0, 1)
    return mapped
