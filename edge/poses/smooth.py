"""Smoothing: the one-euro filter on the keypoints and the box of every track.

After Casiez, Roussel and Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems" (CHI 2012): a low-pass filter of the first order whose cutoff rises with speed. What stands still does not
tremble, what moves does not lag. With x as seen, y as told and v its velocity:

    alpha(f) = 1 / (1 + 1 / (2 pi f dt))
    v <- v + alpha(derivative_cutoff) * ((x - y) / dt - v)
    y <- y + alpha(min_cutoff + beta * |v|) * (x - y)

Speed is counted in lengths of the person per second, so that people near and far are treated alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.poses.pose import Pose

__all__ = ["Smoother"]

Floats = NDArray[np.float64]

_BOX = slice(17, 19)  # after the keypoints, the first and the last corner of the box are points like any other
_MIN_STEP_S = 1e-6  # less is no time, and would make any step infinitely fast
_MIN_LENGTH = 0.02  # of the image's longer side, as in `matching.areas_px`


@dataclass(frozen=True, slots=True)
class _Past:
    """What was told last of one track: points (19, 2), normalized, NaN where unknown; velocities (19, 2) per s."""

    points: Floats
    velocities: Floats
    time_s: float


_NO_PAST = _Past(np.full((19, 2), np.nan), np.zeros((19, 2)), math.nan)


class Smoother:
    """Smooths the poses of one camera, frame after frame. Not for several threads.

    Args:
        min_cutoff_hz: on a person who stands still, what changes faster is taken for noise.
        beta: by how many hertz the cutoff rises with a speed of one length of the person per second.
        derivative_cutoff_hz: what changes faster in a velocity is taken for noise.
        min_score: keypoints below are guesses: they are told as they come, and the filter begins anew after them.
            Above, the lower the score the more they tremble, and the more the filter gives.
        max_gap_s: a track that was not seen for longer begins anew.
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
        self._pasts: dict[int, _Past] = {}

    def update(self, poses: Sequence[Pose], time_s: float, size: tuple[int, int]) -> tuple[Pose, ...]:
        """Return the poses in their order, keypoints and boxes smoothed, scores and ids as they are.

        Args:
            poses: the people of one frame, each id once; who has none is returned as is.
            time_s: capture time of the frame on any clock; where it stands still or steps back, all begin anew.
            size: (width, height) of the image in pixels.
        """
        self._pasts = {
            each: past for each, past in self._pasts.items() if _MIN_STEP_S < time_s - past.time_s <= self._max_gap_s
        }
        ids = [pose.id for pose in poses if pose.id is not None]
        if not ids:
            return tuple(poses)
        smoothed = iter(self._smooth([pose for pose in poses if pose.id is not None], ids, time_s, size))
        return tuple(pose if pose.id is None else next(smoothed) for pose in poses)

    def _smooth(self, poses: Sequence[Pose], ids: Sequence[int], time_s: float, size: tuple[int, int]) -> list[Pose]:
        keypoints = np.stack([pose.keypoints for pose in poses])  # (P, 17, [x, y, score])
        boxes = np.stack([pose.box_xyxy for pose in poses])  # (P, 4)
        seen = np.concatenate([keypoints[..., :2], boxes.reshape(-1, 2, 2)], axis=1, dtype=np.float64)  # (P, 19, 2)
        pasts = [self._pasts.get(each, _NO_PAST) for each in ids]
        trusted = np.ones((len(poses), 19, 1), np.bool_)
        trusted[:, :17] = keypoints[..., 2:] >= self._min_score
        points, velocities = self._filter(seen, trusted, pasts, time_s, _per_length(boxes, size))
        kept = np.where(trusted, points, np.nan)
        for at, each in enumerate(ids):
            self._pasts[each] = _Past(kept[at], velocities[at], time_s)
        return [_moved(pose, points[at]) for at, pose in enumerate(poses)]

    def _filter(
        self, seen: Floats, trusted: NDArray[np.bool_], pasts: Sequence[_Past], time_s: float, per_length: Floats
    ) -> tuple[Floats, Floats]:
        """Return the points and velocities to tell, (P, 19, 2) each, of what is seen, (P, 19, 2)."""
        told = np.stack([past.points for past in pasts])
        velocities = np.stack([past.velocities for past in pasts])
        elapsed_s = time_s - np.array([past.time_s for past in pasts])[:, None, None]
        step = seen - told  # NaN where nothing was told
        known = trusted & np.isfinite(step)
        bend = step / elapsed_s - velocities
        velocities = np.where(known, velocities + _alpha(self._derivative_cutoff_hz, elapsed_s) * bend, 0)
        speed = np.sqrt(((velocities * per_length) ** 2).sum(axis=2, keepdims=True))  # (P, 19, 1), lengths per second
        speed[:, _BOX] = speed[:, _BOX].max(axis=1, keepdims=True)  # else one corner could overtake the other
        part = _alpha(self._min_cutoff_hz + self._beta * speed, elapsed_s)
        return np.where(known, told + part * step, seen), velocities


def _alpha(cutoff_hz: Any, elapsed_s: Floats) -> Any:
    """Return the weight of what is new, 0 .. 1, in a low-pass filter of the first order."""
    turn = 2 * math.pi * cutoff_hz * elapsed_s
    return turn / (turn + 1)


def _per_length(boxes_xyxy: NDArray[np.float32], size: tuple[int, int]) -> Floats:
    """Return (P, 1, 2) by which normalized x and y become lengths of the person, the box's longer side in pixels."""
    sides_px = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * size
    length_px = np.maximum(sides_px.max(axis=1), _MIN_LENGTH * max(size))
    return np.asarray(size / length_px[:, None, None])


def _moved(pose: Pose, points: Floats) -> Pose:
    """Return the pose with its keypoints and the corners of its box at the points (19, 2)."""
    keypoints = pose.keypoints.copy()
    keypoints[:, :2] = points[:17]
    return replace(pose, keypoints=keypoints, box_xyxy=points[_BOX].astype(np.float32).ravel())
