"""Similarity of poses and boxes (OKS, IoU), and their optimal assignment.

OKS, object keypoint similarity, is COCO's (cocodataset.org, "keypoints-eval"):
`mean over keypoints of exp(-d^2 / (2 * area * (2 * sigma)^2))`, with d in pixels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.poses.pose import SIGMAS, Pose

__all__ = ["areas_px", "assign", "iou", "oks", "pose_nms"]

Floats = NDArray[np.floating]

_VARIANCES = (2 * SIGMAS) ** 2  # (17,)


def areas_px(boxes_xyxy: Floats, size: tuple[int, int]) -> Floats:
    """Return the areas (P,) of persons for OKS, in square pixels.

    COCO takes the area inside a person's outline, which is not known at run time. The box's area is about twice
    that, so this OKS is more tolerant than COCO's. A box counts as at least a quarter as wide as long (people seen
    from the side, or cut by the image's edge, are as large as others), and its sides as at least 2 % of the image's
    longer side (a detector's error does not shrink with the person).

    Args:
        boxes_xyxy: (P, 4), normalized.
        size: (width, height) of the image in pixels.
    """
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0) * np.asarray(size, np.float32)  # (P, [w, h])
    longer = np.maximum(sides.max(axis=1), 0.02 * max(size))
    shorter = np.maximum(sides.min(axis=1), np.maximum(0.25 * longer, 0.02 * max(size)))
    return np.asarray(longer * shorter)


def oks(
    keypoints_a: Floats,
    keypoints_b: Floats,
    areas: Floats,
    size: tuple[int, int],
    *,
    min_score: float = 0.3,
    min_keypoints: int = 4,
    drift_px: Floats | float = 0.0,
) -> Floats:
    """Return the object keypoint similarity of all pairs, (A, B), 0..1.

    Only keypoints with a sufficient score in both poses count.

    Args:
        keypoints_a: (A, 17, 3), rows of x, y, score, normalized.
        keypoints_b: (B, 17, 3), likewise.
        areas: square pixels, (A, B) or broadcastable to it; see `areas_px`.
        size: (width, height) of the image in pixels: distances are measured in square pixels.
        min_score: lowest score of a keypoint that counts.
        min_keypoints: pairs with fewer common keypoints have similarity 0.
        drift_px: how far the whole person may have moved (standard deviation), broadcastable to (A, B); it is added to
            the spread of each keypoint, as variances.
    """
    delta = (keypoints_a[:, None, :, :2] - keypoints_b[None, :, :, :2]) * np.asarray(size, np.float32)
    squared = np.einsum("abkc,abkc->abk", delta, delta)  # (A, B, 17)
    shared = np.minimum(keypoints_a[:, None, :, 2], keypoints_b[None, :, :, 2]) >= min_score
    spread = _VARIANCES * np.asarray(areas)[..., None] + np.square(drift_px)[..., None]
    near = np.exp(squared / (-2 * spread))
    count = shared.sum(axis=2)
    mean = np.where(shared, near, 0).sum(axis=2) / np.maximum(count, 1)
    return np.asarray(np.where(count >= min_keypoints, mean, 0))


def iou(boxes_a: Floats, boxes_b: Floats) -> Floats:
    """Return the intersection over union of all pairs, (A, B).

    The ratio is the same in any coordinate space; a box without area has an IoU of 0.

    Args:
        boxes_a: (A, 4), x0, y0, x1, y1.
        boxes_b: (B, 4), likewise.
    """
    first = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    last = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    common = np.maximum(last - first, 0).prod(axis=2)  # (A, B)
    area_a = np.maximum(boxes_a[:, 2:] - boxes_a[:, :2], 0).prod(axis=1)
    area_b = np.maximum(boxes_b[:, 2:] - boxes_b[:, :2], 0).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - common
    return np.asarray(common / np.where(union > 0, union, 1))


def assign(similarity: Floats, min_similarity: float) -> list[tuple[int, int]]:
    """Assign rows to columns with the greatest total similarity.

    Args:
        similarity: (A, B), not negative.
        min_similarity: pairs below it are never made.

    Returns:
        (row, column) pairs by row; no row and no column occurs twice.
    """
    gain = np.where(similarity >= min_similarity, similarity, 0)
    if not gain.size:
        return []
    columns = gain.argmax(axis=1)
    taken = columns[gain.max(axis=1) > 0]
    # If every row can have its best column, no sum is greater; that is nearly always so.
    if len(set(taken.tolist())) < len(taken):
        columns = _best_columns(gain)
    pairs = enumerate(columns.tolist())
    return [(row, column) for row, column in pairs if column >= 0 and gain[row, column] > 0]


def _best_columns(gain: Floats) -> NDArray[np.intp]:
    """Return the column of each row, (A,), -1 for none, in the assignment with the greatest sum.

    Solves the linear assignment problem by shortest augmenting paths (Edmonds and Karp 1972, Tomizawa 1971): rows are
    added one by one, each along the cheapest chain of columns that change their owners. Prices (dual variables) of the
    columns keep the costs along a chain from being negative, so that Dijkstra's search finds it. One more column of
    zeros per row lets the row stay without a partner.
    """
    rows, columns = gain.shape
    cost = gain.max() - np.hstack([gain, np.zeros((rows, rows))])
    prices = np.zeros(columns + rows)
    owner = np.full(columns + rows, -1)  # the row that has a column
    for row in range(rows):
        column, before = _cheapest_chain(row, cost, prices, owner)
        while column >= 0:
            owner[column] = owner[before[column]] if before[column] >= 0 else row
            column = before[column]
    column_of = np.full(rows, -1)
    taken = np.flatnonzero(owner[:columns] >= 0)
    column_of[owner[taken]] = taken
    return column_of


def _cheapest_chain(row: int, cost: Floats, prices: Floats, owner: NDArray[np.intp]) -> tuple[int, NDArray[np.intp]]:
    """Return the last column of the cheapest chain from `row`, and each column's predecessor.

    Dijkstra's search; it updates `prices`.
    """
    distance = np.full(len(prices), np.inf)
    before = np.full(len(prices), -1)
    done = np.zeros(len(prices), bool)
    reach = cost[row] - prices
    column = -1
    while True:
        better = ~done & (reach < distance)
        distance[better] = reach[better]
        before[better] = column
        column = int(np.where(done, np.inf, distance).argmin())
        done[column] = True
        if owner[column] < 0:
            break
        # The owner of this column would have to take another one: the way on costs the difference.
        reduced = cost[owner[column]] - prices
        reach = distance[column] + reduced - reduced[column]
    prices[done] -= distance[column] - distance[done]
    return column, before


def pose_nms(
    poses: Sequence[Pose], size: tuple[int, int], *, min_oks: float = 0.7, min_score: float = 0.3
) -> list[Pose]:
    """Non-maximum suppression by OKS: of poses of one person only the best; their order stays.

    Args:
        poses: any number of poses of one image.
        size: (width, height) of the image in pixels.
        min_oks: poses this alike are one person. The area is that of the smaller one, so a child in front of
            an adult stays.
        min_score: score from which on a keypoint takes part.
    """
    if len(poses) < 2:
        return list(poses)
    keypoints = np.stack([pose.keypoints for pose in poses])  # (P, 17, 3)
    areas = areas_px(np.stack([pose.box_xyxy for pose in poses]), size)
    alike = oks(keypoints, keypoints, np.minimum(areas[:, None], areas), size, min_score=min_score) >= min_oks
    kept: list[int] = []
    for index in sorted(range(len(poses)), key=lambda index: -poses[index].score):
        if not alike[index, kept].any():
            kept.append(index)
    return [poses[index] for index in sorted(kept)]
