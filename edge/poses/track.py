"""Multi-person tracker: a person keeps one id from frame to frame.

Each frame is matched to the tracks by the assignment with the greatest total similarity (OKS or IoU). A track is
tentative until its person was seen for `min_seen_s`; then it is confirmed and gets the next id. A confirmed track that
is not seen coasts with its last velocity; a pose near the predicted position continues it, else it is removed after
`max_age_s`.
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

MIN_SIMILARITY = {"oks": 0.2, "iou": 0.15}
"""The defaults of tfjs pose-detection, which users know."""
PRESENT_S = 1.0
"""How long an unseen person still counts as present."""
MIN_SCORE = 0.3
"""Keypoints below this score are too uncertain to locate a person."""
MIN_KEYPOINTS = 4
"""A displacement measured on fewer keypoints does not change the velocity."""

VELOCITY_TIME_S = 0.5
"""Time constant of the velocity: a shorter one follows turns, a longer one averages out bad keypoints."""
COAST_TIME_S = 3.0
"""Time constant in which the velocity of an unseen person decays."""
MEMORY_TIME_S = 1.0
"""Time constant in which the scores of hidden keypoints decay."""
POSITION_UNCERTAINTY_PER_S = 1.0
"""Growth of OKS's tolerance (its sigmas) per second unseen: twice as wide after one second."""
TENTATIVE_WEIGHT = 0.5
"""Weight of a tentative track's similarity: a person missed for a moment wins against what just appeared there."""
OVERLAP_GAIN = 3.0
"""Loss of separation per IoU with another person: from an IoU of 1/3 on a pose says nothing about motion."""
MAX_SPEED = 3.0
"""Lengths of the person per second; a faster motion is a wrong match, not a runner."""

RIGIDITY = np.array([1, 1, 1, 1, 1, 1, 1, 0.3, 0.3, 0.1, 0.1, 1, 1, 0.3, 0.3, 0.1, 0.1], np.float32)
"""(17,) weight of a keypoint's motion: head and trunk move with the person, arms and legs swing."""


@dataclass(slots=True, eq=False)  # a track is equal to itself only
class _Track:
    """One person over time.

    Attributes:
        keypoints: float32 (17, 3), x, y, score, normalized to the image; hidden ones where they are assumed.
        box_xyxy: float32 (4,), normalized, of the last pose.
        first_seen_s: on the tracker's clock.
        last_seen_s: on the tracker's clock.
        velocity: (2,), x and y, normalized units per second.
        id: None while the track is tentative.
    """

    keypoints: NDArray[np.float32]
    box_xyxy: NDArray[np.float32]
    first_seen_s: float
    last_seen_s: float
    velocity: Floats
    id: int | None = None

    def predicted_displacement(self, now_s: float) -> Floats:
        """Return the predicted motion (2,) since the person was last seen.

        The integral of a velocity that decays as exp(-t / T): v * T * (1 - exp(-t / T)).
        """
        unseen_s = now_s - self.last_seen_s
        return self.velocity * (COAST_TIME_S * -math.expm1(-unseen_s / COAST_TIME_S))

    def update(self, pose: Pose, now_s: float, size: tuple[int, int], separation: float) -> None:
        """Update the track with a matched pose.

        Args:
            pose: of the person now.
            now_s: on the tracker's clock.
            size: (width, height) of the image in pixels.
            separation: 0..1, see `Tracker._separation`.
        """
        elapsed_s = now_s - self.last_seen_s
        if elapsed_s > 0:
            self._correct_velocity(pose, elapsed_s, now_s - self.first_seen_s, size, separation)
        self.keypoints = self._merged(pose, now_s)
        self.box_xyxy, self.last_seen_s = pose.box_xyxy, now_s

    def _merged(self, pose: Pose, now_s: float) -> NDArray[np.float32]:
        """Return the pose's keypoints (17, 3), with remembered ones in place of those hidden now.

        Remembered keypoints move with the body, and their scores decay.
        """
        old = self.keypoints.copy()
        old[:, :2] += self.predicted_displacement(now_s)
        old[:, 2] *= math.exp((self.last_seen_s - now_s) / MEMORY_TIME_S)
        return np.where(pose.keypoints[:, 2:] >= np.minimum(old[:, 2:], MIN_SCORE), pose.keypoints, old)

    def _correct_velocity(
        self, pose: Pose, elapsed_s: float, age_s: float, size: tuple[int, int], separation: float
    ) -> None:
        """Correct the velocity by an alpha-beta filter (Kalata 1984) with alpha 1: `v += beta * (measured - v)`.

        beta is 1 - exp(-dt / T), so that the result does not depend on the frame rate; while the track is younger
        than T it is dt / age, which makes v the plain mean.
        """
        # The displacement of the person is that of its keypoints, weighted by how rigidly they follow the trunk; only
        # keypoints that are certain in both frames count.
        weights = RIGIDITY * (np.minimum(self.keypoints[:, 2], pose.keypoints[:, 2]) >= MIN_SCORE)
        if np.count_nonzero(weights) < MIN_KEYPOINTS:
            return
        displacement = weights @ (pose.keypoints[:, :2] - self.keypoints[:, :2]) / weights.sum()
        # Where people overlap the measurement is doubtful, so it corrects the velocity less.
        beta = max(-math.expm1(-elapsed_s / VELOCITY_TIME_S), elapsed_s / age_s)
        velocity = self.velocity + beta * separation * (displacement / elapsed_s - self.velocity)
        self.velocity = _limit_speed(velocity, pose.box_xyxy, size)


def _limit_speed(velocity: Floats, box_xyxy: Floats, size: tuple[int, int]) -> Floats:
    """Return the velocity (2,), limited to `MAX_SPEED` for a person with this box."""
    speed_px_s = math.hypot(velocity[0] * size[0], velocity[1] * size[1])
    length_px = max((box_xyxy[2] - box_xyxy[0]) * size[0], (box_xyxy[3] - box_xyxy[1]) * size[1])
    return np.asarray(velocity * min(1.0, MAX_SPEED * float(length_px) / max(speed_px_s, 1e-9)))


class Tracker:
    """Assigns track ids to poses, frame by frame. Not thread-safe.

    Args:
        metric: `oks` compares keypoints, `iou` boxes.
        min_similarity: least similarity of a pose to its track's prediction; None: 0.2 for OKS, 0.15 for IoU.
        max_age_s: how long a confirmed track may go unseen.
        min_seen_s: how long a person must be seen before the track is confirmed; 0 confirms at first sight.
        max_tentative_age_s: how long a tentative track may go unseen.
        max_tracks: people beyond it get no id; lost tracks are dropped before visible ones.
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
        self._min_similarity = MIN_SIMILARITY[metric] if min_similarity is None else min_similarity
        self._max_age_s = max_age_s
        self._min_seen_s = min_seen_s
        self._max_tentative_age_s = max_tentative_age_s
        self._max_tracks = max_tracks
        self._tracks: list[_Track] = []
        self._last_id = 0
        self._time_s: float | None = None
        self._now_s = 0.0

    def update(self, poses: Sequence[Pose], time_s: float, size: tuple[int, int]) -> tuple[Pose, ...]:
        """Return the poses in order, with the ids of their tracks.

        Args:
            poses: the people of one frame, each once; their ids are not read.
            time_s: capture time of the frame on any clock; a step back counts as 0 s.
            size: (width, height) of the image in pixels.

        Returns:
            poses with `id` set for confirmed tracks and None for tentative ones.
        """
        self._advance(time_s)
        self._tracks = [track for track in self._tracks if self._unseen_s(track) <= self._max_age_s]
        # Both are about where the tracks are expected now, so they come before any track is updated.
        separation = self._separation()
        pairs = dict(assign(self._similarity(poses, size), 0))
        seen = [self._tracks[pairs[at]] if at in pairs else self._new_track(poses[at]) for at in range(len(poses))]
        for at, (pose, track) in enumerate(zip(poses, seen, strict=True)):
            track.update(pose, self._now_s, size, separation[pairs[at]] if at in pairs else 1.0)
        self._keep(seen)
        return tuple(replace(pose, id=track.id) for pose, track in zip(poses, seen, strict=True))

    @property
    def present_ids(self) -> tuple[int, ...]:
        """Ids, ascending, of the confirmed tracks seen within the last second.

        A detector that misses a person for a few frames does not make them leave.
        """
        recent = [track for track in self._tracks if self._unseen_s(track) <= PRESENT_S]
        return tuple(sorted(track.id for track in recent if track.id is not None))

    def _advance(self, time_s: float) -> None:
        if self._time_s is not None:
            self._now_s += max(time_s - self._time_s, 0.0)
        self._time_s = time_s

    def _unseen_s(self, track: _Track) -> float:
        return self._now_s - track.last_seen_s

    def _similarity(self, poses: Sequence[Pose], size: tuple[int, int]) -> Floats:
        """Return the similarity (P, T) of poses and predicted tracks, 0 below the minimum."""
        if not poses or not self._tracks:
            return np.zeros((len(poses), len(self._tracks)))
        displacements = np.stack([track.predicted_displacement(self._now_s) for track in self._tracks])  # (T, 2)
        boxes = np.stack([track.box_xyxy for track in self._tracks])  # (T, 4)
        if self._metric == "iou":
            alike = iou(np.stack([pose.box_xyxy for pose in poses]), boxes + np.tile(displacements, 2))
        else:
            expected = np.stack([track.keypoints for track in self._tracks])  # (T, 17, 3)
            expected[:, :, :2] += displacements[:, None]
            seen = np.stack([pose.keypoints for pose in poses])  # (P, 17, 3)
            # The prediction of an unseen person gets less exact with time. OKS divides squared distances by the area,
            # so an area times tolerance^2 widens all its sigmas by the tolerance.
            tolerances = np.array(
                [1 + POSITION_UNCERTAINTY_PER_S * self._unseen_s(track) for track in self._tracks]
            )  # (T,)
            alike = oks(seen, expected, areas_px(boxes, size) * tolerances**2, size, min_score=MIN_SCORE)
        weights = np.array([TENTATIVE_WEIGHT if track.id is None else 1.0 for track in self._tracks])  # (T,)
        return np.asarray(np.where(alike >= self._min_similarity, alike, 0) * weights)

    def _separation(self) -> Floats:
        """Return (T,) how separate each person is from all others: 1 apart, 0 from an IoU of 1/3 on.

        Where people cross, the detector puts one pose on both, between them. By its motion both would stand still.
        """
        if len(self._tracks) < 2:
            return np.ones(len(self._tracks))
        boxes = np.stack(
            [track.box_xyxy + np.tile(track.predicted_displacement(self._now_s), 2) for track in self._tracks]
        )
        # Only confirmed tracks count: a tentative one may be a false detection on the same person.
        confirmed = np.array([track.id is not None for track in self._tracks])
        overlap = np.where(confirmed, iou(boxes, boxes) - np.eye(len(boxes)), 0).max(axis=1)
        return np.asarray(np.clip(1 - OVERLAP_GAIN * overlap, 0, 1))

    def _new_track(self, pose: Pose) -> _Track:
        return _Track(pose.keypoints, pose.box_xyxy, self._now_s, self._now_s, np.zeros(2))

    def _keep(self, seen: list[_Track]) -> None:
        """Keep the tracks that are seen or may come back, and confirm those seen long enough."""
        lost = [track for track in self._tracks if track not in seen and self._may_come_back(track)]
        # What is seen now comes first, then what was seen last; older tracks before newer ones.
        by_rank = sorted([*seen, *lost], key=lambda track: (-track.last_seen_s, track.first_seen_s))
        self._tracks = by_rank[: self._max_tracks]
        for track in self._tracks:
            if track.id is None and track.last_seen_s - track.first_seen_s >= self._min_seen_s:
                self._last_id += 1
                track.id = self._last_id

    def _may_come_back(self, track: _Track) -> bool:
        return track.id is not None or self._unseen_s(track) <= self._max_tentative_age_s
