"""Compares the ids of a tracker on a thinned clip with those of a reference on all of its frames.

coverage  share of the reference's people, frame by frame, who have an id
switches  how often somebody's id is another one than the last time they had one
stolen    how often an id belongs to somebody else than the last time
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from edge.poses.pose import Pose
from tools.evaluate.ids.detections import Clip

__all__ = ["Figures", "Ids", "Updates", "compare", "reference_ids", "thinned"]

Ids = tuple[tuple[int | None, ...], ...]
"""The id of each pose of each frame."""


class Updates(Protocol):
    """A tracker."""

    def update(self, poses: Sequence[Pose], time_s: float, size: tuple[int, int]) -> tuple[Pose, ...]:
        """See `edge.poses.track.Tracker.update`; poses that it leaves out have no id."""
        ...


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one tracker at one frame rate; means over the offsets.

    Attributes:
        fps: frames per second that it was given.
        coverage: 0..1.
        switches: per clip.
        stolen: per clip.
    """

    fps: float
    coverage: float
    switches: float
    stolen: float


def thinned(clip: Clip, step: int, offset: int) -> Clip:
    """Return every `step`-th frame of a clip, from `offset` on."""
    return replace(clip, fps=clip.fps / step, frames=clip.frames[offset::step])


def ids_of(tracker: Updates, clip: Clip) -> Ids:
    """Return the ids that a tracker gives the poses of a clip."""
    found: list[tuple[int | None, ...]] = []
    for number, poses in enumerate(clip.frames):
        tracked = tracker.update(poses, number / clip.fps, clip.size)
        # A tracker may leave poses out: the keypoints tell which are there.
        by_pose = {id(pose.keypoints): pose.id for pose in tracked}
        found.append(tuple(by_pose.get(id(pose.keypoints)) for pose in poses))
    return tuple(found)


def reference_ids(tracker: Updates, clip: Clip, *, min_score: float) -> Ids:
    """Return the ids on all frames, to compare with; None for poses below `min_score`, which do not count."""
    return tuple(
        tuple(number if pose.score >= min_score else None for number, pose in zip(ids, poses, strict=True))
        for ids, poses in zip(ids_of(tracker, clip), clip.frames, strict=True)
    )


def compare(make: Callable[[], Updates], clip: Clip, reference: Ids, step: int) -> Figures:
    """Compare a tracker on every `step`-th frame with the reference, for each first frame."""
    rows = []
    for offset in range(step):
        part = thinned(clip, step, offset)
        rows.append(_count(ids_of(make(), part), reference[offset::step]))
    coverage, switches, stolen = np.mean(rows, axis=0)
    return Figures(clip.fps / step, float(coverage), float(switches), float(stolen))


def _count(found: Ids, reference: Ids) -> tuple[float, int, int]:
    people = named = switches = stolen = 0
    id_of: dict[int, int] = {}
    person_of: dict[int, int] = {}
    for ids, persons in zip(found, reference, strict=True):
        for track, person in zip(ids, persons, strict=True):
            if person is None:
                continue
            people += 1
            if track is None:
                continue
            named += 1
            switches += id_of.get(person, track) != track
            stolen += person_of.get(track, person) != person
            id_of[person], person_of[track] = track, person
    return named / max(people, 1), switches, stolen
