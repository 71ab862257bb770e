"""Pose of a person: COCO's 17 keypoints, edges and sigmas."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGES", "KEYPOINTS", "KEYPOINT_NAMES", "LEFT", "MAX_PEOPLE", "RIGHT", "SIGMAS", "Pose"]

MAX_PEOPLE = 30
"""In one image: where the heads are decoded here; the published graph stops at six."""

KEYPOINT_NAMES = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""Order of the keypoints everywhere in this package. Left and right are the person's."""
KEYPOINTS = len(KEYPOINT_NAMES)

EDGES = (
    (0, 1), (0, 2), (1, 3), (2, 4),
    (0, 5), (0, 6), (5, 6), (5, 11), (6, 12), (11, 12),
    (5, 7), (7, 9), (6, 8), (8, 10),
    (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
"""Pairs of keypoint indices drawn as bones (the 18 edges of TF Hub's MoveNet tutorial)."""

LEFT = (1, 3, 5, 7, 9, 11, 13, 15)
RIGHT = (2, 4, 6, 8, 10, 12, 14, 16)

SIGMAS = np.array(
    [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
     0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089],
    np.float32,
)  # fmt: skip
"""(17,) spread of human annotations per keypoint, relative to sqrt(area) (cocodataset.org, keypoints-eval)."""


@dataclass(frozen=True, slots=True)
class Pose:
    """One person in one frame.

    Attributes:
        keypoints: float32 (17, 3), rows of x, y, score; x and y normalized to the camera image (x right,
            y down), not clipped; score 0..1.
        box_xyxy: float32 (4,), x0, y0, x1, y1, normalized, clipped to 0..1.
        score: score of the person, 0..1.
        id: track id; None if tracking is off or the track is tentative.
    """

    keypoints: NDArray[np.float32]
    box_xyxy: NDArray[np.float32]
    score: float
    id: int | None = None
