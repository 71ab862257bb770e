"""Multi-person tracker: a person keeps one id from frame to frame.

Each frame is matched to the tracks by the assignment with the greatest total similarity (OKS or IoU). A track is
tentative until its person was seen for `min_seen_s`; then it is confirmed and gets the next id. A confirmed track that
is not seen coasts with its last velocity; a pose near the predicted position continues it, else it is removed after
`max_age_s`.

At few frames per second people walk out of their own outline between two frames. So the similarity allows for a drift
that grows with the time between them, for people of about the same size.

Unsure poses continue confirmed tracks that no sure pose continues, and begin none (the idea of ByteTrack: Zhang et al.,
ECCV 2022).
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.poses.matching import Floats, areas_px, assign, iou, oks
from edge.poses.pose import MAX_PEOPLE, Pose

__all__ = ["MIN_UNSURE_SCORE", "Tracker"]

MIN_SIMILARITY = {"oks": 0.2, "iou": 0.15}
"""The defaults of tfjs pose-detection, which users know."""
MIN_UNSURE_SCORE = 0.08
"""Of a pose that may continue a track."""
MIN_UNSURE_SIMILARITY = 0.6
UNSURE_S = 0.6
"""How long a track may be unseen that an unsure pose continues."""
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
MAX_TOLERANCE = 3.0
"""Of OKS: after two seconds. With more a lost id would go to anybody anywhere."""
NEW_DRIFT_PER_S, DRIFT_PER_S = 0.9, 0.35
"""How far a person may have gone from where they are expected, in their own lengths per second (standard deviation):
while no velocity is known, and then. Somebody who walks at 1.4 m/s does 0.8 of their height."""
BLINK_COST = 0.2
"""Of a time unseen, taken off the time seen: a person may blink in two frames of three, and a reflection that comes in
every sixth gets no id."""
NEW_S = 0.3
"""Age of a track from which on its velocity is known."""
MAX_DRIFT = 0.6
"""In lengths of the person."""
DRIFT_WEIGHT = 0.9
"""Of a similarity that allows for drift: a pose at the expected place wins."""
MIN_SIZE_RATIO = 0.6
"""Of the lengths of a pose and a track, to allow for time unseen."""
TENTATIVE_WEIGHT = 0.5
"""Weight of a tentative track's similarity: a person missed for a moment wins against what just appeared there."""
OVERLAP_GAIN = 3.0
"""Loss of separation per IoU with an unseen person: from an IoU of 1/3 on a pose says nothing about motion."""
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
        last_sure_s: when a sure pose was last seen, on the tracker's clock.
        velocity: (2,), x and y, normalized units per second.
        id: None while the track is tentative.
        seen_s: how long it was seen: the sum of the times before the frames that show it, but for the first, less a
            fifth of those before the others.
    """

    keypoints: NDArray[np.float32]
    box_xyxy: NDArray[np.float32]
    first_seen_s: float
    last_seen_s: float
    last_sure_s: float
    velocity: Floats
    id: int | None = None
    seen_s: float = 0.0

    @property
    def age_s(self) -> float:
        """From the first to the last pose."""
        return self.last_seen_s - self.first_seen_s

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


def _lengths_px(boxes_xyxy: Floats, size: tuple[int, int]) -> Floats:
    """Return the longer sides (N,) of boxes (N, 4) in pixels, at least 1."""
    return np.asarray(
        np.maximum(((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * np.asarray(size, np.float32)).max(axis=1), 1.0)
    )


def _limit_speed(velocity: Floats, box_xyxy: Floats, size: tuple[int, int]) -> Floats:
    """Return the velocity (2,), limited to `MAX_SPEED` for a person with this box."""
    speed_px_s = math.hypot(velocity[0] * size[0], velocity[1] * size[1])
    length_px = max((box_xyxy[2] - box_xyxy[0]) * size[0], (box_xyxy[3] - box_xyxy[1]) * size[1])
    return np.asarray(velocity * min(1.0, MAX_SPEED * float(length_px) / max(speed_px_s, 1e-9)))


class Tracker:
    """Assigns track ids to poses, frame by frame. Not thread-safe.

    Args:
        metric: `oks` compares keypoints, `iou` boxes.
        min_score: poses below it are unsure.
        min_similarity: least similarity of a pose to its track's prediction; None: 0.2 for OKS, 0.15 for IoU.
        max_age_s: how long a confirmed track may go unseen.
        min_seen_s: how long a person must be seen before the track is confirmed, but in two frames at least; 0 confirms
            at first sight. A person in one frame is seen until the next.
        max_tentative_age_s: how long a tentative track may go unseen; one frame is always allowed.
        max_tracks: people beyond it get no id; lost tracks are dropped before visible ones.
    """

    def __init__(
        self,
        *,
        metric: Literal["oks", "iou"] = "oks",
        min_score: float = 0.2,
        min_similarity: float | None = None,
        max_age_s: float = 2.0,
        min_seen_s: float = 0.15,
        max_tentative_age_s: float = 0.25,
        max_tracks: int = MAX_PEOPLE,
    ) -> None:
        self._metric = metric
        self._min_score = min_score
        self._min_similarity = MIN_SIMILARITY[metric] if min_similarity is None else min_similarity
        self._max_age_s = max_age_s
        self._min_seen_s = min_seen_s
        self._max_tentative_age_s = max_tentative_age_s
        self._max_tracks = max_tracks
        self._tracks: list[_Track] = []
        self._last_id = 0
        self._time_s: float | None = None
        self._now_s = 0.0
        self._frame_s = 0.0
        self._looked_since_s: float | None = None

    def update(self, poses: Sequence[Pose], time_s: float, size: tuple[int, int]) -> tuple[Pose, ...]:
        """Return the poses in order, with the ids of their tracks.

        Args:
            poses: the people of one frame, each once; their ids are not read.
            time_s: capture time of the frame on any clock; a step back counts as 0 s.
            size: (width, height) of the image in pixels.

        Returns:
            poses with `id` set for confirmed tracks and None for tentative ones; without the unsure ones that continue
            nobody.
        """
        self._advance(time_s)
        self._tracks = [track for track in self._tracks if self._unseen_s(track) <= self._max_age_s]
        sure = [at for at, pose in enumerate(poses) if pose.score >= self._min_score]
        owners = self._match(poses, sure, size)
        # Both are about where the tracks are expected now, so they come before any track is updated.
        separation = self._separation(owners.values())
        unsure = [at for at in range(len(poses)) if at not in sure]
        continued = self._match_unsure(poses, unsure, size, {id(track) for track in owners.values()})
        for at, track in owners.items():
            track.update(poses[at], self._now_s, size, separation[id(track)])
            track.last_sure_s = self._now_s
            track.seen_s += self._frame_s
        for at, track in continued.items():
            track.update(poses[at], self._now_s, size, 0.0)  # an unsure pose says nothing about motion
        owners |= continued | {at: self._new_track(poses[at]) for at in sure if at not in owners}
        self._keep([owners[at] for at in sorted(owners)])
        return tuple(replace(poses[at], id=owners[at].id) for at in sorted(owners))

    @property
    def present_ids(self) -> tuple[int, ...]:
        """Ids, ascending, of the confirmed tracks seen within the last second.

        A detector that misses a person for a few frames does not make them leave.
        """
        recent = [track for track in self._tracks if self._unseen_s(track) <= PRESENT_S]
        return tuple(sorted(track.id for track in recent if track.id is not None))

    @property
    def is_settled(self) -> bool:
        """Whether it has looked for long enough to know who is there.

        False at the start, and again after a pause in which all tracks have ended: somebody in view has no id yet then.
        """
        return self._looked_since_s is not None and self._is_long_enough(self._now_s - self._looked_since_s)

    def _is_long_enough(self, seen_s: float) -> bool:
        return self._min_seen_s == 0 or (seen_s > 0 and seen_s + self._frame_s >= self._min_seen_s)

    def _advance(self, time_s: float) -> None:
        self._frame_s = 0.0 if self._time_s is None else max(time_s - self._time_s, 0.0)
        self._now_s += self._frame_s
        self._time_s = time_s
        if self._looked_since_s is None or self._frame_s > self._max_age_s:
            self._looked_since_s = self._now_s

    def _unseen_s(self, track: _Track) -> float:
        return self._now_s - track.last_seen_s

    def _match(self, poses: Sequence[Pose], sure: Sequence[int], size: tuple[int, int]) -> dict[int, _Track]:
        """Return the tracks that sure poses continue, by the poses' indices."""
        if not sure or not self._tracks:
            return {}
        alike = self._similarity([poses[at] for at in sure], self._tracks, size, drifts=True)
        weights = np.array([TENTATIVE_WEIGHT if track.id is None else 1.0 for track in self._tracks])  # (T,)
        gain = np.where(alike >= self._min_similarity, alike, 0) * weights
        return {sure[row]: self._tracks[column] for row, column in assign(gain, 0)}

    def _match_unsure(
        self, poses: Sequence[Pose], unsure: Sequence[int], size: tuple[int, int], matched: Collection[int]
    ) -> dict[int, _Track]:
        """Return the confirmed tracks that unsure poses continue, by the poses' indices.

        Only while a sure pose is not older than `max_age_s`: else an object that resembles a person would hold an id.
        """
        longest_s = max(UNSURE_S, 1.5 * self._frame_s)
        missing = [
            track
            for track in self._tracks
            if track.id is not None
            and id(track) not in matched
            and self._unseen_s(track) <= longest_s
            and self._now_s - track.last_sure_s <= self._max_age_s
        ]
        if not unsure or not missing:
            return {}
        alike = self._similarity([poses[at] for at in unsure], missing, size, drifts=False)
        return {unsure[row]: missing[column] for row, column in assign(alike, MIN_UNSURE_SIMILARITY)}

    def _similarity(
        self, poses: Sequence[Pose], tracks: Sequence[_Track], size: tuple[int, int], *, drifts: bool
    ) -> Floats:
        """Return the similarity (P, T) of poses and predicted tracks.

        Args:
            poses: P of them, not 0.
            tracks: T of them, not 0.
            size: (width, height) of the image in pixels.
            drifts: whether to allow for a drift from the prediction.
        """
        displacements = np.stack([track.predicted_displacement(self._now_s) for track in tracks])  # (T, 2)
        boxes = np.stack([track.box_xyxy for track in tracks])  # (T, 4)
        seen_boxes = np.stack([pose.box_xyxy for pose in poses])  # (P, 4)
        expected = np.stack([track.keypoints for track in tracks])  # (T, 17, 3)
        expected[:, :, :2] += displacements[:, None]
        seen = np.stack([pose.keypoints for pose in poses])  # (P, 17, 3)
        unseen_s = np.array([self._unseen_s(track) for track in tracks])  # (T,)
        # The area of the smaller one: a child where an adult was is somebody else.
        areas = np.minimum(areas_px(boxes, size)[None], areas_px(seen_boxes, size)[:, None])  # (P, T)
        lengths, seen_lengths = _lengths_px(boxes, size), _lengths_px(seen_boxes, size)[:, None]
        is_same_size = np.minimum(lengths, seen_lengths) >= MIN_SIZE_RATIO * np.maximum(lengths, seen_lengths)  # (P, T)
        if self._metric == "iou":
            alike = iou(seen_boxes, boxes + np.tile(displacements, 2))
        else:
            # The prediction of an unseen person gets less exact with time. OKS divides squared distances by the area,
            # so an area times tolerance^2 widens all its sigmas by the tolerance. Somebody of another size is taken for
            # the same, half hidden, only where the keypoints in sight are in their places.
            tolerances = np.minimum(1 + POSITION_UNCERTAINTY_PER_S * unseen_s, MAX_TOLERANCE)
            tolerances = np.where(is_same_size, tolerances, 1.0)
            alike = oks(seen, expected, areas * tolerances**2, size, min_score=MIN_SCORE)
        if not drifts:
            return alike
        rates = np.array([DRIFT_PER_S if track.age_s >= NEW_S else NEW_DRIFT_PER_S for track in tracks])
        drift_px = np.minimum(rates * unseen_s, MAX_DRIFT) * lengths  # (T,)
        drifted = oks(seen, expected, areas, size, min_score=MIN_SCORE, drift_px=drift_px)
        return np.asarray(np.maximum(alike, np.where(is_same_size, DRIFT_WEIGHT * drifted, 0)))

    def _separation(self, seen: Iterable[_Track]) -> dict[int, float]:
        """Return how separate each track is from all others, by its id(): 1 apart, 0 from an IoU of 1/3 on.

        Where people cross, the detector puts one pose on both, between them. By its motion both would stand still.
        While it has a pose for each, each tells how its own person moves.
        """
        if len(self._tracks) < 2:
            return {id(track): 1.0 for track in self._tracks}
        boxes = np.stack(
            [track.box_xyxy + np.tile(track.predicted_displacement(self._now_s), 2) for track in self._tracks]
        )
        # Only confirmed tracks count: a tentative one may be a false detection on the same person.
        matched = {id(track) for track in seen}
        hidden = np.array([track.id is not None and id(track) not in matched for track in self._tracks])
        overlap = np.where(hidden, iou(boxes, boxes) - np.eye(len(boxes)), 0).max(axis=1)
        separation = np.clip(1 - OVERLAP_GAIN * overlap, 0, 1)
        return {id(track): value for track, value in zip(self._tracks, separation.tolist(), strict=True)}

    def _new_track(self, pose: Pose) -> _Track:
        return _Track(pose.keypoints, pose.box_xyxy, self._now_s, self._now_s, self._now_s, np.zeros(2))

    def _keep(self, seen: list[_Track]) -> None:
        """Keep the tracks that are seen or may come back, and confirm those seen long enough."""
        lost = [track for track in self._tracks if track not in seen and self._may_come_back(track)]
        for track in lost:
            track.seen_s = max(track.seen_s - BLINK_COST * self._frame_s, 0.0)
        # What is seen now comes first, then what was seen last; older tracks before newer ones.
        by_rank = sorted([*seen, *lost], key=lambda track: (-track.last_seen_s, track.first_seen_s))
        self._tracks = by_rank[: self._max_tracks]
        for track in self._tracks:
            if track.id is None and self._is_long_enough(track.seen_s):
                self._last_id += 1
                track.id = self._last_id

    def _may_come_back(self, track: _Track) -> bool:
        longest_s = max(self._max_tentative_age_s, 1.5 * self._frame_s)
        return track.id is not None or self._unseen_s(track) <= longest_s
