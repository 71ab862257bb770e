"""One-euro filter on the keypoints and the box of every track.

After Casiez, Roussel and Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems" (CHI 2012): a first-order low-pass filter whose cutoff frequency rises with speed. A person who stands still
does not jitter, a person who moves does not lag. With x the measured value, y the filtered value, v its velocity, and
x - y the innovation (Kalman's word for it):

    alpha(f) = 1 / (1 + 1 / (2 pi f dt))
    v <- v + alpha(derivative_cutoff) * ((x - y) / dt - v)
    y <- y + alpha(min_cutoff + beta * |v|) * (x - y)

Speed is measured in lengths of the person per second, so that people near and far are smoothed alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.poses.pose import KEYPOINTS, Pose

__all__ = ["Smoother"]

Floats = NDArray[np.float64]

POINTS = KEYPOINTS + 2
"""The keypoints, then the first and the last corner of the box, which are filtered like keypoints."""
BOX = slice(KEYPOINTS, POINTS)
MIN_STEP_S = 1e-6
"""Times closer than this count as equal: dt divides the innovation."""
MIN_LENGTH = 0.02
"""Shortest length of a person, in parts of the image's longer side, as in `matching.areas_px`."""


@dataclass(frozen=True, slots=True)
class _State:
    """Filter state of one track.

    Attributes:
        points: (19, 2) filtered x, y, normalized to the image, NaN where unknown.
        velocities: (19, 2) per second.
        time_s: of the last update.
    """

    points: Floats
    velocities: Floats
    time_s: float


NO_STATE = _State(np.full((POINTS, 2), np.nan), np.zeros((POINTS, 2)), math.nan)


class Smoother:
    """Smooths poses frame by frame. Not thread-safe.

    Args:
        min_cutoff_hz: cutoff for a person who stands still; faster changes count as noise.
        beta: rise of the cutoff in hertz per length of the person per second.
        derivative_cutoff_hz: cutoff for the velocity.
        min_score: keypoints below it are guesses: they pass unfiltered, and reset the filter of that keypoint.
        max_gap_s: a track that was not seen for longer starts with a new filter state.
    """

    def __init__(
        self,
        *,
        min_cutoff_hz: float = 1.0,
        beta: float = 10.0,
        derivative_cutoff_hz: float = 1.0,
        min_score: float = 0.1,
        max_gap_s: float = 0.5,
    ) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta
        self._derivative_cutoff_hz = derivative_cutoff_hz
        self._min_score = min_score
        self._max_gap_s = max_gap_s
        self._states: dict[int, _State] = {}

    def update(self, poses: Sequence[Pose], time_s: float, size: tuple[int, int]) -> tuple[Pose, ...]:
        """Return the poses in order, with smoothed keypoints and boxes.

        Scores and ids do not change.

        Args:
            poses: the people of one frame, each id once; poses without an id are returned as they are.
            time_s: capture time of the frame on any clock; if it does not advance, all filters are reset.
            size: (width, height) of the image in pixels.
        """
        self._states = {
            track: state
            for track, state in self._states.items()
            if MIN_STEP_S < time_s - state.time_s <= self._max_gap_s
        }
        ids = [pose.id for pose in poses if pose.id is not None]
        if not ids:
            return tuple(poses)
        smoothed = iter(self._smooth([pose for pose in poses if pose.id is not None], ids, time_s, size))
        return tuple(pose if pose.id is None else next(smoothed) for pose in poses)

    def _smooth(self, poses: Sequence[Pose], ids: Sequence[int], time_s: float, size: tuple[int, int]) -> list[Pose]:
        keypoints = np.stack([pose.keypoints for pose in poses])  # (P, 17, [x, y, score])
        boxes = np.stack([pose.box_xyxy for pose in poses])  # (P, 4)
        measured = np.concatenate([keypoints[..., :2], boxes.reshape(-1, 2, 2)], axis=1, dtype=np.float64)  # (P, 19, 2)
        states = [self._states.get(track, NO_STATE) for track in ids]
        # Box corners have no score of their own and are always trusted.
        trusted = np.ones((len(poses), POINTS, 1), np.bool_)
        trusted[:, :KEYPOINTS] = keypoints[..., 2:] >= self._min_score
        points, velocities = self._filter(measured, trusted, states, time_s, _per_length(boxes, size))
        # NaN makes the next innovation of an untrusted keypoint NaN, so that its filter restarts there.
        kept = np.where(trusted, points, np.nan)
        for at, track in enumerate(ids):
            self._states[track] = _State(kept[at], velocities[at], time_s)
        return [_with_points(pose, points[at]) for at, pose in enumerate(poses)]

    def _filter(
        self, measured: Floats, trusted: NDArray[np.bool_], states: Sequence[_State], time_s: float, per_length: Floats
    ) -> tuple[Floats, Floats]:
        """Return the filtered points and their velocities, (P, 19, 2) each, for `measured` (P, 19, 2)."""
        filtered = np.stack([state.points for state in states])
        velocities = np.stack([state.velocities for state in states])
        elapsed_s = time_s - np.array([state.time_s for state in states])[:, None, None]
        innovation = measured - filtered  # NaN where there is no filtered value yet
        known = trusted & np.isfinite(innovation)
        # The velocity is low-passed with a fixed cutoff: it decides on the cutoff of the points below.
        d_velocity = innovation / elapsed_s - velocities
        velocities = np.where(known, velocities + _alpha(self._derivative_cutoff_hz, elapsed_s) * d_velocity, 0)
        # One speed for x and y, so that the direction of a motion does not change its smoothing. One for both corners
        # of a box, else one corner could overtake the other.
        speed = np.sqrt(((velocities * per_length) ** 2).sum(axis=2, keepdims=True))  # (P, 19, 1), lengths per second
        speed[:, BOX] = speed[:, BOX].max(axis=1, keepdims=True)
        alpha = _alpha(self._min_cutoff_hz + self._beta * speed, elapsed_s)
        return np.where(known, filtered + alpha * innovation, measured), velocities


def _alpha(cutoff_hz: Any, elapsed_s: Floats) -> Any:
    """Return the smoothing factor, 0..1, of a first-order low-pass filter.

    The paper's 1 / (1 + tau / dt) with tau = 1 / (2 pi cutoff), rearranged so that a cutoff of 0 gives 0.
    """
    angle = 2 * math.pi * cutoff_hz * elapsed_s
    return angle / (angle + 1)


def _per_length(boxes_xyxy: NDArray[np.float32], size: tuple[int, int]) -> Floats:
    """Return factors (P, 1, 2) from normalized x, y to lengths of the person (its box's longer side)."""
    sides_px = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * size
    length_px = np.maximum(sides_px.max(axis=1), MIN_LENGTH * max(size))
    return np.asarray(size / length_px[:, None, None])


def _with_points(pose: Pose, points: Floats) -> Pose:
    """Return the pose with its keypoints and box corners replaced by `points` (19, 2)."""
    keypoints = pose.keypoints.copy()
    keypoints[:, :2] = points[:KEYPOINTS]
    return replace(pose, keypoints=keypoints, box_xyxy=points[BOX].astype(np.float32).ravel())
