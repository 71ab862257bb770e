"""The figures about ids: a walker who is known, trackers that are known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from builders import pose
from command import use_tool
from data import data, model, needs_data, needs_models
from edge.errors import InputError
from edge.poses.pose import Pose
from edge.poses.track import Tracker
from tools.evaluate.ids.baseline import BaselineTracker
from tools.evaluate.ids.comparison import compare, reference_ids, thinned
from tools.evaluate.ids.detections import Clip, load_clip, save_clip

HD = (1280, 720)


def clip(frames: int = 48, fps: float = 24.0) -> Clip:
    """Two who stand apart, and sway a little."""
    rng = np.random.default_rng(1)
    shifts = rng.normal(0, 0.001, (frames, 2))
    people = ((pose(x=0.1 + a, score=0.6), pose(x=0.7 + b, score=0.5)) for a, b in shifts.tolist())
    return Clip(HD, fps, tuple(people))


class Scripted:
    """Gives the poses of each frame the ids of a list."""

    def __init__(self, *ids: Sequence[int | None]) -> None:
        self._ids = iter(ids)

    def update(self, poses: Sequence[Pose], *_: object) -> tuple[Pose, ...]:
        return tuple(replace(one, id=number) for one, number in zip(poses, next(self._ids), strict=True))


REFERENCE = ((1, 2),) * 4


@pytest.mark.parametrize(
    ("ids", "coverage", "switches", "stolen"),
    [
        ([(1, 2)] * 4, 1.0, 0, 0),
        ([(7, 3)] * 4, 1.0, 0, 0),
        ([(None, 2), (1, 2), (1, None), (1, 2)], 0.75, 0, 0),
        ([(1, 2), (3, 2), (3, 2), (3, 2)], 1.0, 1, 0),
        ([(1, 2), (2, 1), (2, 1), (2, 1)], 1.0, 2, 2),
        ([(1, None), (None, 1), (None, 1), (None, 1)], 0.5, 0, 1),
        ([(None, None)] * 4, 0.0, 0, 0),
    ],
    ids=["same", "other numbers", "gaps", "switch", "swap", "theft", "nobody"],
)
def test_what_counts_as_covered_switched_and_stolen(
    ids: list[tuple[int | None, int | None]], coverage: float, switches: int, stolen: int
) -> None:
    found = compare(lambda: Scripted(*ids), clip(frames=4), REFERENCE, 1)
    assert (found.coverage, found.switches, found.stolen) == (coverage, switches, stolen)


def test_people_without_an_id_in_the_reference_do_not_count() -> None:
    found = compare(lambda: Scripted(*[(1, None)] * 4), clip(frames=4), ((1, None),) * 4, 1)
    assert found.coverage == 1.0


def test_only_sure_poses_of_the_reference_count() -> None:
    frames = ((pose(x=0.1, score=0.6), pose(x=0.7, score=0.19)),) * 12
    assert reference_ids(Tracker(), Clip(HD, 24.0, frames), min_score=0.2)[-1] == (1, None)


def test_a_thinned_clip_has_every_nth_frame_and_its_times() -> None:
    whole = clip()
    part = thinned(whole, 6, 2)
    assert part.frames == whole.frames[2::6]
    assert part.fps == 4.0


@pytest.mark.parametrize("step", [1, 2, 6, 12])
def test_those_who_stand_keep_the_id_at_every_rate_and_with_either_tracker(step: int) -> None:
    reference = reference_ids(Tracker(), clip(), min_score=0.2)
    for make in (Tracker, BaselineTracker):
        found = compare(make, clip(), reference, step)
        assert (found.fps, found.switches, found.stolen) == (24 / step, 0, 0)
        assert found.coverage > 0.7


def test_the_baseline_follows_a_walker_and_takes_unsure_poses_in_its_second_pass() -> None:
    tracker = BaselineTracker()
    for index in range(40):
        score = 0.1 if 20 <= index < 25 else 0.6
        found = tracker.update([pose(x=0.1 + 0.01 * index, score=score)], index / 25, HD)
        if index:
            assert [one.id for one in found] == [1]
    assert [one.id for one in tracker.update([pose(x=0.9, score=0.1)], 1.6, HD)] == [None]


def test_poses_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    written = clip(frames=3)
    written = replace(written, frames=(*written.frames, ()))
    save_clip(written, tmp_path / "a.npz")
    back = load_clip(tmp_path / "a.npz")
    assert (back.size, back.fps) == (HD, 24.0)
    assert [len(frame) for frame in back.frames] == [2, 2, 2, 0]
    np.testing.assert_array_equal(back.frames[2][1].keypoints, written.frames[2][1].keypoints)
    np.testing.assert_array_equal(back.frames[2][1].box_xyxy, written.frames[2][1].box_xyxy)
    assert back.frames[2][1].score == 0.5


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_what_holds_no_poses_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz: holds no poses of a video"):
        load_clip(tmp_path / "a.npz")


@needs_models
@needs_data
def test_on_a_street_people_keep_their_ids_at_few_frames_better_than_with_the_baseline(tmp_path: Path) -> None:
    words = ("--model", model("movenet_multipose_f16_rebuilt.tflite"), "--size", "256x448", "--json")
    steps = [word for step in (2, 5, 8) for word in ("--step", str(step))]
    done = use_tool("evaluate.ids", data("video/street_720p.mp4"), *words, *steps, "--poses", tmp_path / "a.npz")
    assert done.code == 0, done.err
    figures = msgspec.json.decode(done.out)
    for mine, theirs in zip(figures["product"], figures["baseline"], strict=True):
        assert mine["coverage"] >= theirs["coverage"] - 0.005
        assert mine["switches"] <= theirs["switches"]
        assert mine["stolen"] <= theirs["stolen"]
        assert mine["switches"] <= 1
    assert (tmp_path / "a.npz").exists()
