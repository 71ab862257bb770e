"""Parity of a converted file with its source graph, on pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.poses.matching import areas_px, oks
from edge.poses.pose import KEYPOINTS
from tools.convert.checks.pictures import Picture
from tools.convert.checks.runners import Rows

__all__ = ["MIN_PUBLISHED_SCORE", "MIN_WITHIN", "TOLERANCE", "Parity", "parity", "rows_of"]

MIN_POSE_SCORE = 0.1
"""Poses of the graph with a lower score do not count."""
TOLERANCE = 1e-3
"""In the frame (0..1) and in the score: float arithmetic in another order differs by less."""
MIN_WITHIN = 0.99
"""The rest may be keypoints where two cells are equally good."""
MIN_PUBLISHED_SCORE = 0.2
"""The mean OKS is that of poses from here on."""
MIN_KEYPOINT_SCORE = 0.2
MIN_SAME_OKS = 0.5
"""From here on two poses are the same person."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Similarity of two models' poses.

    Attributes:
        pictures: how many were looked at.
        poses: of the graph with a score of at least 0.1.
        keypoints: of these poses.
        within: share of the keypoints whose y, x and score are all within 1e-3; 1 where there are none.
        published: poses of the graph with a score of at least 0.2.
        mean_oks: of these with the most similar pose of the file; 1 where there are none.
        lost: of these, how many the file does not have: no pose of 0.1 and more with an OKS of 0.5.
        false: poses of the file with a score of at least 0.2 that are none of the graph's with 0.1 and more.
    """

    pictures: int
    poses: int
    keypoints: int
    within: float
    published: int
    mean_oks: float
    lost: int = 0
    false: int = 0


def rows_of(
    run: Callable[[NDArray[np.uint8]], Rows], pictures: Sequence[Picture], on_progress: Callable[[int, int], None]
) -> list[Rows]:
    """Run a model on every picture."""
    rows = []
    for done, picture in enumerate(pictures, 1):
        rows.append(run(picture.pixels))
        on_progress(done, len(pictures))
    return rows


def parity(pictures: Sequence[Picture], wanted: Sequence[Rows], found: Sequence[Rows]) -> Parity:
    """Compare the poses `found` by a file with those `wanted`, per picture."""
    pairs = list(zip(wanted, found, strict=True))
    within = np.concatenate([np.empty(0, bool), *(_within(*pair) for pair in pairs)])
    sizes = [picture.letterbox.input_size for picture in pictures]
    likeness = np.concatenate([np.empty(0), *(_likeness(*pair, size) for pair, size in zip(pairs, sizes, strict=True))])
    turned = [_likeness(own, other, size) for (other, own), size in zip(pairs, sizes, strict=True)]
    false = np.concatenate([np.empty(0), *turned]) < MIN_SAME_OKS
    return Parity(
        pictures=len(pairs),
        poses=len(within) // KEYPOINTS,
        keypoints=len(within),
        within=float(within.mean()) if len(within) else 1.0,
        published=len(likeness),
        mean_oks=float(likeness.mean()) if len(likeness) else 1.0,
        lost=int(np.count_nonzero(likeness < MIN_SAME_OKS)),
        false=int(np.count_nonzero(false)),
    )


def _within(wanted: Rows, found: Rows) -> NDArray[np.bool_]:
    """Return for every keypoint of the wanted poses whether it is matched, (17 P,).

    It is where the most similar pose has it within TOLERANCE.
    """
    poses = _keypoints(wanted[wanted[:, 55] >= MIN_POSE_SCORE])  # (P, 17, 3)
    near = (np.abs(poses[:, None] - _keypoints(found)[None]) <= TOLERANCE).all(axis=3)  # (P, Q, 17)
    if not near.shape[1]:
        return np.zeros(len(poses) * KEYPOINTS, bool)
    best = near.sum(axis=2).argmax(axis=1)
    return np.asarray(near[np.arange(len(poses)), best]).ravel()


def _likeness(wanted: Rows, found: Rows, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the best OKS of every pose above MIN_PUBLISHED_SCORE, (P,)."""
    wanted = wanted[wanted[:, 55] >= MIN_PUBLISHED_SCORE]
    found = found[found[:, 55] >= MIN_POSE_SCORE]
    if not len(wanted) or not len(found):
        return np.zeros(len(wanted))
    truth, predicted = _keypoints(wanted)[..., [1, 0, 2]], _keypoints(found)[..., [1, 0, 2]]
    predicted[..., 2] = 1  # what counts is where the keypoint is, not how sure the file is of it
    areas = areas_px(wanted[:, [52, 51, 54, 53]], size)[:, None]
    alike = oks(truth, predicted, areas, size, min_score=MIN_KEYPOINT_SCORE, min_keypoints=1)
    return np.asarray(alike.max(axis=1), np.float64)


def _keypoints(rows: Rows) -> Rows:
    return rows[:, :51].reshape(-1, KEYPOINTS, 3).copy()  # (P, 17, [y, x, score])
