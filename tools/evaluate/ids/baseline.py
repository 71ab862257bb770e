"""A tracker to compare with: boxes predicted by a Kalman filter, matched by IoU in two passes.

The method is that of ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box",
ECCV 2022): sure detections are matched first, then the unsure ones with what is left of the tracks. Written from the
paper; its constants are those of the paper's text and of the filter in SORT (Bewley et al., 2016): position noise of
1/20, velocity noise of 1/160 of the height, per frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge.poses.matching import assign, iou
from edge.poses.pose import Pose

__all__ = ["BaselineTracker"]

HIGH_SCORE = 0.2
"""Of MoveNet's people; `poses.min_score`."""
MIN_IOU, MIN_IOU_LOW = 0.2, 0.5
LOST_S = 2.0
POSITION_NOISE, VELOCITY_NOISE = 1 / 20, 1 / 160
FRAME_S = 1 / 30
"""The frame of the noise's constants."""

Array = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class _Box:
    """A box as the state of a Kalman filter.

    Attributes:
        mean: (8,) center x, center y, width, height and their velocities per second; pixels.
        covariance: (8, 8).
        seen_s: when it was last seen.
        id: None until it was seen twice.
    """

    mean: Array
    covariance: Array
    seen_s: float
    id: int | None = None
    sightings: int = 1

    def predict(self, seconds: float) -> None:
        height = max(self.mean[3], 1.0)
        steps = seconds / FRAME_S
        move = np.eye(8)
        move[:4, 4:] = np.eye(4) * seconds
        noise = np.concatenate([np.full(4, POSITION_NOISE * height), np.full(4, VELOCITY_NOISE * height / FRAME_S)])
        self.mean = move @ self.mean
        self.covariance = move @ self.covariance @ move.T + np.diag(noise**2) * steps

    def correct(self, measured: Array, now_s: float) -> None:
        height = max(self.mean[3], 1.0)
        noise = np.eye(4) * (POSITION_NOISE * height) ** 2
        gain = np.linalg.solve((self.covariance[:4, :4] + noise).T, self.covariance[:, :4].T).T
        self.mean = self.mean + gain @ (measured - self.mean[:4])
        self.covariance = self.covariance - gain @ self.covariance[:4]
        self.seen_s = now_s
        self.sightings += 1

    @property
    def corners(self) -> Array:
        x, y, width, height = self.mean[:4]
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


@dataclass
class BaselineTracker:
    """Takes the calls of `edge.poses.track.Tracker`."""

    _boxes: list[_Box] = field(default_factory=list)
    _last_id: int = 0
    _time_s: float | None = None

    def update(self, poses: Sequence[Pose], time_s: float, size: tuple[int, int]) -> tuple[Pose, ...]:
        """Return the poses in order, with the ids of their tracks; see `Tracker.update`."""
        seconds = 0.0 if self._time_s is None else max(time_s - self._time_s, 0.0)
        is_first = self._time_s is None
        self._time_s = time_s
        self._boxes = [box for box in self._boxes if time_s - box.seen_s <= (LOST_S if box.id else 1.5 * seconds)]
        for box in self._boxes:
            box.predict(seconds)
        measured = [_measured(pose, size) for pose in poses]
        high = [at for at, pose in enumerate(poses) if pose.score >= HIGH_SCORE]
        low = [at for at, pose in enumerate(poses) if pose.score < HIGH_SCORE]
        owners = _match({at: measured[at] for at in high}, self._boxes, MIN_IOU)
        recent = [box for box in self._boxes if box not in owners.values() and time_s - box.seen_s <= 1.5 * seconds]
        owners |= _match({at: measured[at] for at in low}, recent, MIN_IOU_LOW)
        for at, box in owners.items():
            box.correct(measured[at], time_s)
        for at, pose in enumerate(poses):
            if at not in owners and pose.score >= HIGH_SCORE:
                owners[at] = _new(measured[at], time_s)
                self._boxes.append(owners[at])
        for box in owners.values():
            if box.id is None and (box.sightings > 1 or is_first):
                self._last_id += 1
                box.id = self._last_id
        return tuple(replace(pose, id=owners[at].id if at in owners else None) for at, pose in enumerate(poses))


def _match(measured: Mapping[int, Array], boxes: Sequence[_Box], min_iou: float) -> dict[int, _Box]:
    """Return the boxes that detections continue, by the detections' indices."""
    if not measured or not boxes:
        return {}
    chosen = list(measured)
    corners = np.array([_corners(measured[at]) for at in chosen])
    pairs = assign(iou(corners, np.array([box.corners for box in boxes])), min_iou)
    return {chosen[row]: boxes[column] for row, column in pairs}


def _measured(pose: Pose, size: tuple[int, int]) -> Array:
    x0, y0, x1, y1 = pose.box_xyxy * np.array([*size, *size])
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], np.float64)


def _corners(box: Array) -> Array:
    x, y, width, height = box
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def _new(measured: Array, now_s: float) -> _Box:
    height = max(measured[3], 1.0)
    spread = np.concatenate(
        [np.full(4, 2 * POSITION_NOISE * height), np.full(4, 10 * VELOCITY_NOISE * height / FRAME_S)]
    )
    return _Box(np.concatenate([measured, np.zeros(4)]), np.diag(spread**2), now_s)
