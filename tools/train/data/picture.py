"""A picture to learn from, with its annotated people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.frame import Image

__all__ = ["LESS_SURE", "OUTSIDE", "Floats", "Picture", "bounds", "labelled_enough"]

Floats = NDArray[np.floating]
"""float32 where it matters; NumPy has float64 intermediates."""
MIN_LABELLED = 3
"""People with fewer labelled keypoints in view are not learned from, nor taken for background."""
LESS_SURE = 0.5
"""v of a keypoint that a model labelled without being sure: what it counts beside a sure one."""
OUTSIDE = -1.0
"""v of a keypoint that is known to be outside of the view."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        image: uint8 (h, w, 3), RGB.
        people: (P, 17, 3), rows of x, y, v: pixels of the image; v is 0 for a keypoint of which nothing is known,
            1 (hidden) or 2 (visible) as COCO has it, LESS_SURE, or OUTSIDE: known not to be in the picture.
        boxes: (P, 4) x0, y0, x1, y1 in pixels: where all of each person is, unknown keypoints included.
        ignored: (Q, 4) x0, y0, x1, y1 in pixels: in there may be people of whom nothing more is known.
        name: what to call it in a message.
    """

    image: Image
    people: Floats
    boxes: Floats
    ignored: Floats
    name: str


def bounds(people: Floats) -> Floats:
    """Return boxes (P, 4) around the labelled keypoints of people (P, 17, 3).

    x0, y0, x1, y1.

    A person without any gets a box of zeros.
    """
    known = people[..., 2:] > 0
    low = np.where(known, people[..., :2], np.inf).min(axis=1)
    high = np.where(known, people[..., :2], -np.inf).max(axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(boxes), boxes, 0).astype(np.float32)


def labelled_enough(people: Floats) -> NDArray[np.bool_]:
    """Return which people (P, 17, 3) have enough labelled keypoints, (P,)."""
    return np.asarray((people[..., 2] > 0).sum(axis=1) >= MIN_LABELLED)
