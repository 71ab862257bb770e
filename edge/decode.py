"""From a model's outputs to poses. The only place where the model's (y, x) becomes (x, y)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.geometry import Letterbox
from edge.pose import Pose

__all__ = ["decode", "decode_multipose", "decode_singlepose"]

# A keypoint below this says nothing about where the person ends (the score at which MoveNet's own crop
# algorithm starts to trust a keypoint, TF Hub's MoveNet tutorial).
MIN_BOX_KEYPOINT_SCORE = 0.2


def decode(
    kind: str,
    outputs: Sequence[NDArray[Any]],
    box: Letterbox,
    *,
    min_score: float = 0.2,
) -> tuple[Pose, ...]:
    """Decode the outputs of a model of `kind` into poses on the camera image, best score first.

    Args:
        kind: `multipose` or `singlepose`.
        outputs: what the engine returned for this kind.
        box: the letterbox that made the input.
        min_score: people below this score are not reported.
    """
    poses = (decode_multipose if kind == "multipose" else decode_singlepose)(outputs[0], box)
    return tuple(sorted((pose for pose in poses if pose.score >= min_score), key=lambda pose: -pose.score))


def decode_multipose(output: NDArray[np.float32], box: Letterbox) -> list[Pose]:
    """Decode MoveNet MultiPose: float32 (1, 6, 56), a row is 17 x (y, x, score), ymin, xmin, ymax, xmax, score."""
    rows = output[0]  # (P, 56)
    keypoints = _to_image(rows[:, :51].reshape(-1, 17, 3), box)  # (P, 17, [y, x, score]) in
    corners = box.to_image(rows[:, 51:55].reshape(-1, 2, 2)[..., ::-1])  # (P, [min, max], [x, y])
    boxes = np.clip(corners, 0, 1).reshape(-1, 4)  # (P, [x0, y0, x1, y1])
    scores = np.clip(rows[:, 55], 0, 1)
    return [Pose(keypoints[i], boxes[i], float(scores[i])) for i in range(len(rows))]


def decode_singlepose(output: NDArray[np.float32], box: Letterbox) -> list[Pose]:
    """Decode MoveNet Lightning or Thunder: float32 (1, 1, 17, 3), rows of y, x, score.

    The model gives neither box nor score of the person: the score is the mean of the keypoints' (as in Google's
    own samples), the box that of the keypoints it trusts.
    """
    keypoints = _to_image(output[0], box)[0]  # (17, [x, y, score])
    trusted = keypoints[keypoints[:, 2] >= MIN_BOX_KEYPOINT_SCORE, :2]
    if len(trusted) == 0:
        return []
    bounds = np.concatenate([trusted.min(0), trusted.max(0)])  # x0, y0, x1, y1
    return [Pose(keypoints, np.clip(bounds, 0, 1), float(keypoints[:, 2].mean()))]


def _to_image(keypoints: NDArray[np.float32], box: Letterbox) -> NDArray[np.float32]:
    """(P, 17, [y, x, score]) normalized to the input -> (P, 17, [x, y, score]) normalized to the image."""
    mapped = np.empty_like(keypoints)
    mapped[..., :2] = box.to_image(keypoints[..., 1::-1])
    mapped[..., 2] = np.clip(keypoints[..., 2], 0, 1)
    return mapped
