"""Ground truth of one synthetic image: keypoints, boxes, visibility."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.poses.pose import LEFT, RIGHT
from edge.scene.person import Person
from edge.scene.skeleton import Points

__all__ = ["TruePerson", "mirrored", "true_people", "turned"]

MIN_VISIBLE = 0.5
_BODY_M = 0.09  # a part of the own body hides a keypoint only if it is this far in front of it


@dataclass(frozen=True, slots=True)
class TruePerson:
    """Ground truth of one drawn person.

    Attributes:
        id: of the person; never reused.
        keypoints: float32 (17, 3), rows of x, y, v; x and y normalized to the image, not clipped; v is 0 outside
            the image, 1 hidden by another person or the own body, 2 visible (as COCO marks them).
        box_xyxy: float32 (4,), x0, y0, x1, y1 around the whole person, hidden parts included; normalized, clipped
            to 0..1.
        visible_fraction: share of the 17 keypoints inside the image and not hidden by another person.
    """

    id: int
    keypoints: NDArray[np.float32]
    box_xyxy: NDArray[np.float32]
    visible_fraction: float

    @property
    def visible(self) -> bool:
        """Whether half of the keypoints can be seen: enough to expect a pose."""
        return self.visible_fraction >= MIN_VISIBLE


def true_people(people: Sequence[tuple[int, Person]], size: tuple[int, int]) -> tuple[TruePerson, ...]:
    """Return the truth about placed people (id, person), by id.

    People outside the image are left out.
    """
    if not people:
        return ()
    by_others, by_self = _hidden([person for _, person in people])
    found = []
    for (person_id, person), other, own in zip(people, by_others, by_self, strict=True):
        box = np.clip(np.array(person.box_px) / (size * 2), 0, 1)
        if box[2] <= box[0] or box[3] <= box[1]:
            continue
        xy = person.xy_px[:17] / size
        inside = ((xy >= 0) & (xy < 1)).all(1)
        keypoints = np.column_stack([xy, np.where(inside, np.where(other | own, 1, 2), 0)])
        seen = float((inside & ~other).mean())
        found.append(TruePerson(person_id, keypoints.astype(np.float32), box.astype(np.float32), seen))
    return tuple(sorted(found, key=lambda person: person.id))


def _hidden(people: Sequence[Person]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which keypoints other people hide, and which the own body: (P, 17) each.

    A keypoint is hidden where a capsule covers it in the image and is nearer to the camera.
    """
    points = np.concatenate([person.xy_px[:17] for person in people])[:, None]  # (P * 17, 1, 2)
    z_m = np.concatenate([person.z_m[:17] for person in people])[:, None]
    capsules = np.concatenate([person.capsules for person in people])  # (C, 7)
    owners = np.repeat(np.arange(len(people)), [len(person.capsules) for person in people])
    own = np.repeat(np.arange(len(people)), 17)[:, None] == owners
    # Distance of each keypoint from each capsule's axis, at the nearest point of it.
    start, along = capsules[:, :2], capsules[:, 2:4] - capsules[:, :2]
    squared = np.maximum((along**2).sum(1), 1e-9)
    part = np.clip(((points - start) * along).sum(2) / squared, 0, 1)  # (P * 17, C)
    away = points - start - part[..., None] * along
    covers = (away**2).sum(2) < capsules[:, 4] ** 2
    covers &= capsules[:, 5] + part * (capsules[:, 6] - capsules[:, 5]) < z_m - np.where(own, _BODY_M, 0)
    by_others = (covers & ~own).any(1).reshape(-1, 17)
    by_self = (covers & own).any(1).reshape(-1, 17)
    for person, hidden in zip(people, by_self, strict=True):
        hidden[:5] |= _turned_away(person.z_m)
    return by_others, by_self


def _turned_away(z_m: Points) -> NDArray[np.bool_]:
    """Return which of nose, eyes and ears the own head hides, (5,)."""
    return np.asarray(z_m[:5] - z_m[19] > (0.0, -0.01, -0.01, 0.03, 0.03))


def mirrored(person: TruePerson, *, hflip: bool, vflip: bool) -> TruePerson:
    """Return the truth for an image that was mirrored left to right, top to bottom, or both.

    Mirrored once, a left hand looks like a right one, and counts as one.
    """
    keypoints, box = person.keypoints.copy(), person.box_xyxy.copy()
    for axis, flips in ((0, hflip), (1, vflip)):
        if flips:
            keypoints[:, axis] = 1 - keypoints[:, axis]
            box[[axis, axis + 2]] = 1 - box[[axis + 2, axis]]
    if hflip != vflip:
        keypoints[[*LEFT, *RIGHT]] = keypoints[[*RIGHT, *LEFT]]
    return TruePerson(person.id, keypoints, box, person.visible_fraction)


def turned(person: TruePerson, degrees: int) -> TruePerson:
    """Return the truth for an image rotated clockwise by 0, 90, 180 or 270."""
    if degrees == 0:
        return person
    keypoints = person.keypoints.copy()
    keypoints[:, :2] = _turn(person.keypoints[:, :2], degrees)
    corners = _turn(person.box_xyxy.reshape(2, 2), degrees)
    box = np.concatenate([corners.min(0), corners.max(0)])
    return TruePerson(person.id, keypoints, box, person.visible_fraction)


def _turn(xy: NDArray[np.float32], degrees: int) -> NDArray[np.float32]:
    x, y = xy[:, 0], xy[:, 1]
    return np.stack({90: (1 - y, x), 180: (1 - x, 1 - y), 270: (y, 1 - x)}[degrees], 1)
