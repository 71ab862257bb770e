"""Targets of the heads for a picture, in cells.

The inverse of `edge.poses.heads`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.poses.pose import KEYPOINTS
from tools.train.data.picture import LESS_SURE, Floats, Picture, bounds, labelled_enough

__all__ = ["MIN_WEIGHED_EXTENT", "STRIDE", "Targets", "make_targets"]

STRIDE = 4
"""Pixels of the input per cell of the maps."""
HEAT_SIGMA = 0.035
"""Of a keypoint's Gaussian, as a share of the person's extent ..."""
MIN_HEAT_SIGMA, MAX_HEAT_SIGMA = 0.75, 2.2
"""... within these, in cells."""
CENTER_SIGMA = 0.09
MIN_CENTER_SIGMA, MAX_CENTER_SIGMA = 0.9, 4.5
"""In cells. Where people are cut off their middle is not exact: close ones are not to lose their score for it."""
CENTER_REACH = (1, 2)
"""Cells around a center that learn the regression: of small people, of those larger than LARGE cells."""
LARGE = 16.0
MIN_SEED_EXTENT = 6.0
"""Cells: smaller people show no posture, and train center, heat and offset only."""
MIN_WEIGHED_EXTENT = 12.0
"""Cells: errors are a share of the person's extent, but of no less than this, or small people would have most of the
gradient."""
UNKNOWN_MARGIN = 0.1
"""Where a keypoint of a person is unknown: in the box of all of them, and in that of the known keypoints and this share
of its extent around it."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of one picture; maps are of h x w cells.

    S cells learn the regression, T the offset.

    Attributes:
        center: float32 (h, w), 1 at every center.
        heat: float32 (17, h, w), 1 at every keypoint.
        center_judged: bool (h, w), False where nothing is known.
        heat_judged: float32 (17, h, w), what a cell counts: 0 where nothing is known, less where it is less sure.
        seed_cells: int64 (S, 2), y, x.
        seeds: float32 (S, 34), dy, dx of every keypoint in cells.
        seed_weights: float32 (S, 34): 0 for unknown keypoints, else the inverse of the person's extent in cells, or
            of MIN_WEIGHED_EXTENT; less for a keypoint that is less sure.
        offset_cells: int64 (T, 3): keypoint, y, x.
        offsets: float32 (T, 2): dy, dx in cells.
    """

    center: Floats
    heat: Floats
    center_judged: NDArray[np.bool_]
    heat_judged: Floats
    seed_cells: NDArray[np.int64]
    seeds: Floats
    seed_weights: Floats
    offset_cells: NDArray[np.int64]
    offsets: Floats


def make_targets(picture: Picture) -> Targets:
    """Return a picture's targets; its sides are multiples of STRIDE."""
    height, width = picture.image.shape[0] // STRIDE, picture.image.shape[1] // STRIDE
    people = picture.people.copy()
    people[..., :2] /= STRIDE
    enough = labelled_enough(people)
    boxes = bounds(people)
    center_judged = np.ones((height, width), bool)
    heat_judged = np.ones((KEYPOINTS, height, width), np.float32)
    # Of whom too little is known, or too little is in view: all that is there of them.
    unclear = _around(boxes, picture.boxes / STRIDE)[~enough & (people[..., 2] > 0).any(axis=1)]
    hidden = (picture.boxes / STRIDE)[~enough & ~(people[..., 2] > 0).any(axis=1)]
    for box in [*(picture.ignored / STRIDE), *unclear, *hidden[_areas(hidden) > 0]]:
        part = _cells_in(box, height, width, 0.5)
        center_judged[part] = False
        heat_judged[(slice(None), *part)] = 0
    people, boxes = people[enough], boxes[enough]
    whole = _around(boxes, picture.boxes[enough] / STRIDE)
    extents = (whole[:, 2:] - whole[:, :2]).max(axis=1, initial=1.0)
    for person, box, all_of_them, extent in zip(people, boxes, whole, extents, strict=True):
        unknown = person[:, 2] == 0
        heat_judged[(unknown, *_cells_in(box, height, width, UNKNOWN_MARGIN * extent))] = 0
        heat_judged[(unknown, *_cells_in(all_of_them, height, width, 0.5))] = 0
    # Of the whole person in view: which of the keypoints are known has nothing to do with what can be seen.
    middles = (whole[:, :2] + whole[:, 2:]) / 2
    center, heat = _gaussians(people, middles, extents, height, width)
    # What is known of one person holds where nothing is known of another.
    center_judged |= center > 0.3
    sure = people[..., 2] >= 1
    if not sure[people[..., 2] > 0].all():
        less = _heat(np.where(sure[..., None], 0, people), extents, height, width)
        heat_judged = np.where(less > 0.01, np.minimum(heat_judged, LESS_SURE), heat_judged)
        heat_judged[less > 0.3] = LESS_SURE
        heat_judged[_heat(np.where(sure[..., None], people, 0), extents, height, width) > 0.3] = 1
    heat_judged[(heat > 0.3) & (heat_judged == 0)] = 1
    seeds = _seeds(people, middles, extents, height, width)
    return Targets(center, heat, center_judged, heat_judged, *seeds, *_offsets(people, height, width))


def _areas(boxes: Floats) -> Floats:
    """Return the areas (P,) of boxes (P, 4)."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _around(boxes: Floats, others: Floats) -> Floats:
    """Return the boxes (P, 4) around two boxes each."""
    return np.hstack([np.minimum(boxes[:, :2], others[:, :2]), np.maximum(boxes[:, 2:], others[:, 2:])])


def _cells_in(box: Floats, height: int, width: int, margin: float) -> tuple[slice, slice]:
    x0, y0 = np.maximum(np.floor(box[:2] - margin), 0).astype(int).tolist()
    x1, y1 = np.ceil(box[2:] + margin).astype(int).tolist()
    return slice(y0, max(min(y1, height), 0)), slice(x0, max(min(x1, width), 0))


def _gaussians(people: Floats, middles: Floats, extents: Floats, height: int, width: int) -> tuple[Floats, Floats]:
    """Return center (h, w) and heat (17, h, w); the nearer keypoint counts."""
    center = np.zeros((height, width), np.float32)
    # A keypoint within cell i (i <= x < i + 1) has its peak there.
    ys, xs = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    for middle, extent in zip(middles, extents, strict=True):
        sigma = float(np.clip(CENTER_SIGMA * extent, MIN_CENTER_SIGMA, MAX_CENTER_SIGMA))
        x, y = np.floor(middle)
        np.maximum(center, _bell(ys - y, sigma)[:, None] * _bell(xs - x, sigma), out=center)
    return center, _heat(people, extents, height, width)


def _heat(people: Floats, extents: Floats, height: int, width: int) -> Floats:
    """Return the heat (17, h, w) of the keypoints whose v is above 0."""
    heat = np.zeros((KEYPOINTS, height, width), np.float32)
    ys, xs = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    for person, extent in zip(people, extents, strict=True):
        sigma = float(np.clip(HEAT_SIGMA * extent, MIN_HEAT_SIGMA, MAX_HEAT_SIGMA))
        cells = np.floor(person[:, :2])
        rows, columns = _bell(ys - cells[:, 1:], sigma), _bell(xs - cells[:, :1], sigma)
        rows = rows * (person[:, 2:] > 0)
        np.maximum(heat, rows[:, :, None] * columns[:, None], out=heat)
    return heat


def _bell(away: Floats, sigma: float) -> Floats:
    return np.asarray(np.exp(-np.square(away) / (2 * sigma**2)), np.float32)


def _seeds(
    people: Floats, middles: Floats, extents: Floats, height: int, width: int
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return the cells around every center, and their keypoint offsets."""
    cells, values, weights = [], [], []
    for person, middle, extent in zip(people, middles, extents, strict=True):
        if extent < MIN_SEED_EXTENT:
            continue
        reach = CENTER_REACH[int(extent > LARGE)]
        around = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T  # y, x
        at = around + np.floor(middle[::-1]).astype(int)
        at = at[((at >= 0) & (at < (height, width))).all(axis=1)]
        # The decode compares seeds with the numbers of cells: a keypoint in the middle of a cell is at its number.
        away = person[None, :, 1::-1] - 0.5 - at[:, None]  # (S, 17, [y, x])
        known = np.repeat(np.clip(person[:, 2], 0, 1), 2) / max(extent, MIN_WEIGHED_EXTENT)
        cells.append(at)
        values.append(away.reshape(len(at), -1))
        weights.append(np.broadcast_to(known, (len(at), 2 * KEYPOINTS)))
    if not cells:
        none = np.empty((0, 2 * KEYPOINTS), np.float32)
        return np.empty((0, 2), np.int64), none, none
    return (
        np.concatenate(cells).astype(np.int64),
        np.concatenate(values).astype(np.float32),
        np.concatenate(weights).astype(np.float32),
    )


def _offsets(people: Floats, height: int, width: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the cells around every sure keypoint, and its offset from them."""
    who, which = np.nonzero(people[..., 2] >= 1)
    points = people[who, which, 1::-1]  # (K, [y, x])
    around = np.mgrid[-1:2, -1:2].reshape(2, -1).T
    at = np.floor(points)[:, None] + around  # (K, 9, 2)
    away = points[:, None] - at
    cells = np.concatenate([np.broadcast_to(which[:, None, None], (*at.shape[:2], 1)), at], axis=2)
    inside = ((at >= 0) & (at < (height, width))).all(axis=2)
    return cells[inside].astype(np.int64), away[inside].astype(np.float32)
