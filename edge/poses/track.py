"""Tracks: the same person keeps one id from frame to frame.

A track is tentative until its person was seen for `min_seen_s`; then it is confirmed and gets the next id.
While a confirmed track goes unseen it moves on as it last moved; it is found again near that place, or
removed after `max_age_s`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.poses.matching import Floats, areas_px, assign, iou, oks
from edge.poses.pose import Pose

__all__ = ["Tracker"]

_MIN_SIMILARITY = {"oks": 0.2, "iou": 0.15}  # what users know from tfjs pose-detection
_PRESENT_S = 1.0  # how long an unseen person counts as there
_MIN_SCORE = 0.3  # keypoints below say nothing about where a person is
_MIN_KEYPOINTS = 4

_VELOCITY_TIME_S = 0.5  # over which a velocity is averaged: less follows turns, more forgives bad keypoints
_COAST_TIME_S = 3.0  # in which the motion of an unseen person dies down
_MEMORY_TIME_S = 1.0  # in which keypoints that are hidden lose their scores
_DOUBT_PER_S = 1.0  # by which OKS forgives more for the place of an unseen person, relative to a seen one's
_TENTATIVE_TRUST = 0.5  # between a person who was missed for a moment and what just appeared there
_CROWDED = 3.0  # an overlap (IoU) with somebody else of 1 / this says nothing about motion any more
_MAX_SPEED = 3.0  # lengths of the person per second: faster is a mistake, not a runner

# Trunk and head move as the person does, arms and legs swing.
_STEADY = np.array([1, 1, 1, 1, 1, 1, 1, 0.3, 0.3, 0.1, 0.1, 1, 1, 0.3, 0.3, 0.1, 0.1], np.float32)


@dataclass(slots=True, eq=False)  # a track is equal to itself only
class _Track:
    """One person over time; times are on the tracker's clock, velocity is per second in normalized units."""

    keypoints: NDArray[np.float32]
    box_xyxy: NDArray[np.float32]
    first_seen_s: float
    last_seen_s: float
    velocity: Floats
    id: int | None = None

    def shift(self, now_s: float) -> Floats:
        """Return how far, (2,), the person has come since they were last seen.

        Velocity that decays as exp(-t / T) covers v * T * (1 - exp(-t / T)).
        """
        unseen_s = now_s - self.last_seen_s
        return self.velocity * (_COAST_TIME_S * -math.expm1(-unseen_s / _COAST_TIME_S))

    def see(self, pose: Pose, now_s: float, size: tuple[int, int], clear: float) -> None:
        """Take over where the person is now; `clear`, 0 .. 1, is how far nobody else is in the way."""
        elapsed_s = now_s - self.last_seen_s
        if elapsed_s > 0:
            self._correct_velocity(pose, elapsed_s, now_s - self.first_seen_s, size, clear)
        self.keypoints = self._remembered(pose, now_s)
        self.box_xyxy, self.last_seen_s = pose.box_xyxy, now_s

    def _remembered(self, pose: Pose, now_s: float) -> NDArray[np.float32]:
        """Return the keypoints seen now; those not seen now go along with the body, and are forgotten slowly."""
        old = self.keypoints.copy()
        old[:, :2] += self.shift(now_s)
        old[:, 2] *= math.exp((self.last_seen_s - now_s) / _MEMORY_TIME_S)
        return np.where(pose.keypoints[:, 2:] >= np.minimum(old[:, 2:], _MIN_SCORE), pose.keypoints, old)

    def _correct_velocity(
        self, pose: Pose, elapsed_s: float, age_s: float, size: tuple[int, int], clear: float
    ) -> None:
        """Correct the velocity by the alpha-beta filter (Kalata 1984) with alpha 1: `v += beta * (seen - v)`.

        beta is 1 - exp(-dt / T), so that a second of frames counts the same at any rate; while the track is
        younger than T it is dt / age, the plain mean.
        """
        weights = _STEADY * (np.minimum(self.keypoints[:, 2], pose.keypoints[:, 2]) >= _MIN_SCORE)
        if np.count_nonzero(weights) < _MIN_KEYPOINTS:
            return
        moved = weights @ (pose.keypoints[:, :2] - self.keypoints[:, :2]) / weights.sum()
        beta = max(-math.expm1(-elapsed_s / _VELOCITY_TIME_S), elapsed_s / age_s)
        velocity = self.velocity + beta * clear * (moved / elapsed_s - self.velocity)
        self.velocity = _limited(velocity, pose.box_xyxy, size)


def _limited(velocity: Floats, box_xyxy: Floats, size: tuple[int, int]) -> Floats:
    """Return the velocity, no faster than a person of this length can be."""
    speed_px_s = math.hypot(velocity[0] * size[0], velocity[1] * size[1])
    length_px = max((box_xyxy[2] - box_xyxy[0]) * size[0], (box_xyxy[3] - box_xyxy[1]) * size[1])
    return np.asarray(velocity * min(1.0, _MAX_SPEED * float(length_px) / max(speed_px_s, 1e-9)))


class Tracker:
    """Gives the poses of one camera their ids, frame after frame. Not for several threads.

    Args:
        metric: `oks` compares keypoints, `iou` boxes.
        min_similarity: least similarity of a pose to where its track is expected; 0.2 for OKS, 0.15 for IoU.
        max_age_s: how long a confirmed track may go unseen.
        min_seen_s: how long a person must be seen before the track is confirmed; 0 confirms at first sight.
        max_tentative_age_s: how long a tentative track may go unseen.
        max_tracks: further people get no id; lost tracks give way to people in sight.
    """

    def __init__(
        self,
        *,
        metric: Literal["oks", "iou"] = "oks",
        min_similarity: float | None = None,
        max_age_s: float = 2.0,
        min_seen_s: float = 0.15,
        max_tentative_age_s: float = 0.1,
        max_tracks: int = 18,
    ) -> None:
        self._metric = metric
        self._min_similarity = _MIN_SIMILARITY[metric] if min_similarity is None else min_similarity
        self._max_age_s = max_age_s
        self._min_seen_s = min_seen_s
        self._max_tentative_age_s = max_tentative_age_s
        self._max_tracks = max_tracks
        self._tracks: list[_Track] = []
        self._last_id = 0
        self._time_s: float | None = None
        self._now_s = 0.0

    def update(self, poses: Sequence[Pose], time_s: float, size: tuple[int, int]) -> tuple[Pose, ...]:
        """Return the poses in their order, with the ids of their tracks.

        Args:
            poses: the people of one frame, each once; their ids are not read.
            time_s: capture time of the frame on any clock; a step back counts as no time at all.
            size: (width, height) of the image in pixels.

        Returns:
            poses with `id` set for confirmed tracks and None for tentative ones.
        """
        self._advance(time_s)
        self._tracks = [track for track in self._tracks if self._unseen_s(track) <= self._max_age_s]
        clear = self._clear()
        pairs = dict(assign(self._similarity(poses, size), 0))
        seen = [self._tracks[pairs[at]] if at in pairs else self._begun(poses[at]) for at in range(len(poses))]
        for at, (pose, track) in enumerate(zip(poses, seen, strict=True)):
            track.see(pose, self._now_s, size, clear[pairs[at]] if at in pairs else 1.0)
        self._keep(seen)
        return tuple(replace(pose, id=track.id) for pose, track in zip(poses, seen, strict=True))

    @property
    def present_ids(self) -> tuple[int, ...]:
        """Ids, ascending, of the confirmed tracks that count as there: a blink of the detector is no departure."""
        recent = [track for track in self._tracks if self._unseen_s(track) <= _PRESENT_S]
        return tuple(sorted(track.id for track in recent if track.id is not None))

    def _advance(self, time_s: float) -> None:
        if self._time_s is not None:
            self._now_s += max(time_s - self._time_s, 0.0)
        self._time_s = time_s

    def _unseen_s(self, track: _Track) -> float:
        return self._now_s - track.last_seen_s

    def _similarity(self, poses: Sequence[Pose], size: tuple[int, int]) -> Floats:
        """Return how alike the poses and the tracks, where they are expected, are: (P, T), 0 if not enough."""
        if not poses or not self._tracks:
            return np.zeros((len(poses), len(self._tracks)))
        shifts = np.stack([track.shift(self._now_s) for track in self._tracks])  # (T, 2)
        boxes = np.stack([track.box_xyxy for track in self._tracks])  # (T, 4)
        if self._metric == "iou":
            alike = iou(np.stack([pose.box_xyxy for pose in poses]), boxes + np.tile(shifts, 2))
        else:
            expected = np.stack([track.keypoints for track in self._tracks])  # (T, 17, 3)
            expected[:, :, :2] += shifts[:, None]
            seen = np.stack([pose.keypoints for pose in poses])  # (P, 17, 3)
            doubts = np.array([1 + _DOUBT_PER_S * self._unseen_s(track) for track in self._tracks])  # (T,)
            alike = oks(seen, expected, areas_px(boxes, size) * doubts**2, size, min_score=_MIN_SCORE)
        trust = np.array([_TENTATIVE_TRUST if track.id is None else 1.0 for track in self._tracks])  # (T,)
        return np.asarray(np.where(alike >= self._min_similarity, alike, 0) * trust)

    def _clear(self) -> Floats:
        """Return (T,) how far each person is expected to be apart from all others, 1 .. 0 at an IoU of a third.

        Where people cross, the detector puts one pose on both, between them: by its motion both would stand still.
        """
        if len(self._tracks) < 2:
            return np.ones(len(self._tracks))
        boxes = np.stack([track.box_xyxy + np.tile(track.shift(self._now_s), 2) for track in self._tracks])
        sure = np.array([track.id is not None for track in self._tracks])
        overlap = np.where(sure, iou(boxes, boxes) - np.eye(len(boxes)), 0).max(axis=1)
        return np.asarray(np.clip(1 - _CROWDED * overlap, 0, 1))

    def _begun(self, pose: Pose) -> _Track:
        return _Track(pose.keypoints, pose.box_xyxy, self._now_s, self._now_s, np.zeros(2))

    def _keep(self, seen: list[_Track]) -> None:
        """Keep the tracks that are seen and those that may come back; confirm those seen for long enough."""
        lost = [track for track in self._tracks if track not in seen and self._may_come_back(track)]
        by_rank = sorted([*seen, *lost], key=lambda track: (-track.last_seen_s, track.first_seen_s))
        self._tracks = by_rank[: self._max_tracks]
        for track in self._tracks:
            if track.id is None and track.last_seen_s - track.first_seen_s >= self._min_seen_s:
                self._last_id += 1
                track.id = self._last_id

    def _may_come_back(self, track: _Track) -> bool:
        return track.id is not None or self._unseen_s(track) <= self._max_tentative_age_s
