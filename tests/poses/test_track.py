"""The tracker on people who are known: who keeps an id, who gets one, who loses it."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import pose
from crossing import crossing_scene
from edge.poses.pose import MAX_PEOPLE, Pose
from edge.poses.track import Tracker
from edge.scene.scene import Scene

HD = (1280, 720)
Metric = Literal["oks", "iou"]


def walker(time_s: float, *, start_x: float, speed: float, score: float = 0.8, y: float = 0.2) -> Pose:
    """A person who walks along x; `speed` in image widths per second."""
    return pose(x=start_x + speed * time_s, y=y, width=0.12, height=0.6, score=score)


def ids(poses: Iterable[Pose]) -> list[int | None]:
    return [one.id for one in poses]


def follow(tracker: Tracker, frames: Sequence[Sequence[Pose]], fps: float, start_s: float = 10.0) -> list[int | None]:
    """Update frame by frame; return the ids of the last frame."""
    last: tuple[Pose, ...] = ()
    for index, poses in enumerate(frames):
        last = tracker.update(poses, start_s + index / fps, HD)
    return ids(last)


def settled(*people: Pose, max_age_s: float = 2.0) -> Tracker:
    """A tracker that has seen these people standing for a second, up to 10.0 s."""
    tracker = Tracker(max_age_s=max_age_s)
    for index in range(11):
        tracker.update(people, 9.0 + index / 10, HD)
    return tracker


def test_nobody_in_view_gives_nobody() -> None:
    assert Tracker().update([], 1.0, HD) == ()


def test_a_person_seen_for_a_while_gets_the_id_1_and_keeps_it() -> None:
    assert follow(Tracker(), [[pose()]] * 100, fps=30) == [1]


@pytest.mark.parametrize(("fps", "sightings"), [(30, 5), (25, 4), (12, 2), (10, 2), (5, 2), (2, 2)])
def test_an_id_comes_after_a_sixth_of_a_second_at_any_frame_rate(fps: float, sightings: int) -> None:
    assert follow(Tracker(), [[pose()]] * (sightings - 1), fps) == [None]
    assert follow(Tracker(), [[pose()]] * sightings, fps) == [1]


def test_a_ghost_of_one_frame_never_gets_an_id() -> None:
    """It comes back now and then, as reflections do, but not often enough for a person."""
    frames = [[pose(), pose(x=0.8)] if index % 6 == 0 else [pose()] for index in range(60)]
    tracker = Tracker()
    seen = {one.id for index, poses in enumerate(frames) for one in tracker.update(poses, index / 30, HD)}
    assert seen == {None, 1}


def test_ids_are_dense_because_ghosts_take_none() -> None:
    tracker = Tracker()
    follow(tracker, [[pose(), pose(x=0.8)], *[[pose()]] * 20], fps=30)
    assert follow(tracker, [[pose(), pose(x=0.6)]] * 20, fps=30, start_s=11.0) == [1, 2]


def test_the_poses_come_back_as_they_were_but_for_the_id() -> None:
    one = pose(x=-0.1, score=0.6, track_id=77)
    (back,) = settled(one).update([one], 10.1, HD)
    assert back.id == 1
    assert back.keypoints is one.keypoints
    assert back.box_xyxy is one.box_xyxy
    assert back.score == 0.6


def test_the_order_of_the_poses_is_kept() -> None:
    left, right = pose(x=0.1), pose(x=0.7)
    tracker = settled(left, right)
    assert ids(tracker.update([left, right], 10.1, HD)) == [1, 2]
    assert ids(tracker.update([right, left], 10.2, HD)) == [2, 1]


def test_a_person_counts_as_present_while_the_detector_blinks_but_not_for_long() -> None:
    tracker = settled(pose(x=0.1), pose(x=0.7))
    tracker.update([pose(x=0.1)], 10.5, HD)
    assert list(tracker.present_ids) == [1, 2]
    tracker.update([pose(x=0.1)], 11.5, HD)
    assert list(tracker.present_ids) == [1]
    assert ids(tracker.update([pose(x=0.1), pose(x=0.7)], 11.7, HD)) == [1, 2]  # and yet the id was kept


def test_a_tentative_person_is_not_present() -> None:
    tracker = Tracker()
    tracker.update([pose()], 10.0, HD)
    assert tracker.present_ids == ()


@pytest.mark.parametrize("metric", ["oks", "iou"])
@pytest.mark.parametrize("fps", [5, 12, 30])
def test_two_people_keep_their_ids_when_they_cross_and_the_detector_swaps_them(metric: Metric, fps: int) -> None:
    tracker = Tracker(metric=metric)
    rng = np.random.default_rng(5)
    for index in range(4 * fps):
        time_s = index / fps
        right = walker(time_s, start_x=0.1, speed=0.16)
        left = walker(time_s, start_x=0.75, speed=-0.16, y=0.17)
        poses = [right, left] if rng.random() < 0.5 else [left, right]
        found = {one.keypoints is right.keypoints: one.id for one in tracker.update(poses, time_s, HD)}
        if index == fps:
            first = dict(found)
    assert set(first.values()) == {1, 2}
    assert found == first


@pytest.mark.parametrize("metric", ["oks", "iou"])
@pytest.mark.parametrize("fps", [8, 30])
def test_two_people_keep_their_ids_when_one_hides_the_other_at_the_crossing(metric: Metric, fps: int) -> None:
    """Half a second of 1.9 s to 2.4 s; they meet at 2.03 s."""
    tracker = Tracker(metric=metric)
    found: dict[bool, int | None] = {}
    for index in range(4 * fps):
        time_s = index / fps
        front = walker(time_s, start_x=0.1, speed=0.16)
        behind = walker(time_s, start_x=0.75, speed=-0.16, y=0.17)
        poses = [front] if 1.9 <= time_s <= 2.4 else [front, behind]
        found |= {one.keypoints is front.keypoints: one.id for one in tracker.update(poses, time_s, HD)}
        if index == fps:
            first = dict(found)
    assert set(first.values()) == {1, 2}
    assert found == first


def test_a_lost_person_is_found_again_where_the_way_leads() -> None:
    tracker = Tracker()
    for index in range(20):
        tracker.update([walker(index / 10, start_x=0.1, speed=0.15)], index / 10, HD)
    assert ids(tracker.update([walker(2.7, start_x=0.1, speed=0.15)], 2.7, HD)) == [1]


def test_the_longer_a_person_is_lost_the_further_from_the_expected_place_they_are_found() -> None:
    assert ids(settled(pose()).update([pose(x=0.38)], 10.1, HD)) == [None]
    assert ids(settled(pose()).update([pose(x=0.38)], 10.9, HD)) == [1]


def test_somebody_missed_for_a_moment_goes_before_a_ghost_that_is_a_little_nearer() -> None:
    tracker = settled(pose())
    assert ids(tracker.update([pose(x=0.39)], 10.04, HD)) == [None]
    assert ids(tracker.update([pose(x=0.35)], 10.08, HD)) == [1]


def test_one_pose_that_stands_between_two_who_cross_stops_neither() -> None:
    """What detectors do at a crossing: one pose for two people, on neither of them; then none; then both."""
    tracker = Tracker()
    for index in range(90):
        time_s = index / 25
        right, left = walker(time_s, start_x=0.1, speed=0.16), walker(time_s, start_x=0.7, speed=-0.16, y=0.17)
        if index < 43:
            poses = [right, left]
        elif index < 53:
            poses = [walker(1.8, start_x=0.1, speed=0.16)]
        else:
            poses = [] if index < 68 else [left, right]
        found = ids(tracker.update(poses, time_s, HD))
    assert found == [2, 1]


def test_a_person_who_comes_back_later_than_max_age_gets_a_new_id() -> None:
    tracker = settled(pose(), max_age_s=1.0)
    assert ids(tracker.update([pose()], 10.9, HD)) == [1]
    tracker.update([], 11.5, HD)
    assert follow(tracker, [[pose()]] * 10, fps=30, start_s=11.95) == [2]


def test_ages_count_in_seconds_not_in_frames() -> None:
    """Missed in 27 frames at 30 fps, or in none at all while the camera was away: only time counts."""
    tracker = settled(pose(), max_age_s=1.0)
    for index in range(27):
        tracker.update([], 10.0 + (index + 1) / 30, HD)
    assert ids(tracker.update([pose()], 10.95, HD)) == [1]
    assert ids(tracker.update([pose()], 12.0, HD)) == [None]


def test_somebody_elsewhere_does_not_take_over_a_lost_id() -> None:
    tracker = settled(pose(x=0.1))
    assert follow(tracker, [[pose(x=0.6)]] * 10, fps=30, start_s=10.1) == [2]


def test_keypoints_with_low_scores_do_not_spoil_the_matching() -> None:
    """Half of the keypoints, poorly seen, jump about the image; the rest stands still."""
    rng = np.random.default_rng(3)
    tracker = Tracker()
    for index in range(60):
        one = pose()
        hidden = rng.permutation(17)[:8]
        one.keypoints[hidden, :2] = rng.uniform(-0.5, 1.5, (8, 2))
        one.keypoints[hidden, 2] = 0.2
        found = ids(tracker.update([one], index / 25, HD))
    assert found == [1]


def test_a_person_half_hidden_in_turns_keeps_the_id() -> None:
    """First the legs are hidden, then the upper body: no keypoint is seen in both."""
    upper, lower = np.full(17, 0.8, np.float32), np.full(17, 0.8, np.float32)
    upper[11:], lower[:11] = 0.05, 0.05
    tracker = settled(pose())
    assert follow(tracker, [[pose(keypoint_score=upper)]] * 5, fps=25, start_s=10.04) == [1]
    assert follow(tracker, [[pose(keypoint_score=lower)]] * 5, fps=25, start_s=10.24) == [1]


def test_what_is_hidden_of_a_walker_goes_along_with_the_rest() -> None:
    """The legs are hidden for 0.7 s, in which the person walks a body's width; then only they are seen."""
    upper, lower = np.full(17, 0.8, np.float32), np.full(17, 0.8, np.float32)
    upper[11:], lower[:11] = 0.05, 0.05
    whole = np.full(17, 0.8, np.float32)
    tracker = Tracker()
    for index in range(20):
        seen = pose(x=0.1 + 0.02 * index, keypoint_score=whole if index < 14 else upper)
        tracker.update([seen], index / 10, HD)
    assert ids(tracker.update([pose(x=0.1 + 0.02 * 20, keypoint_score=lower)], 2.0, HD)) == [1]


def test_a_frame_at_the_same_time_changes_nothing() -> None:
    """Two frames with one time stamp: dt is 0, which must not divide."""
    tracker = settled(pose())
    assert ids(tracker.update([pose(x=0.31)], 10.0, HD)) == [1]
    assert ids(tracker.update([pose(x=0.31)], 10.0, HD)) == [1]
    assert ids(tracker.update([pose(x=0.31)], 10.1, HD)) == [1]


def test_a_clock_that_steps_back_neither_loses_nor_freezes_tracks() -> None:
    tracker = settled(pose(), max_age_s=1.0)
    assert follow(tracker, [[pose()]] * 5, fps=10, start_s=2.0) == [1]
    assert follow(tracker, [[]] * 15, fps=10, start_s=2.5) == []
    assert ids(tracker.update([pose()], 4.1, HD)) == [None]


def test_a_mistaken_jump_does_not_throw_a_track_off_the_image() -> None:
    """One wrong sighting half a body away: the next true one is still found."""
    tracker = settled(pose())
    tracker.update([pose(x=0.35)], 10.03, HD)
    assert ids(tracker.update([pose()], 10.1, HD)) == [1]


def test_frames_a_millisecond_apart_do_not_make_trembling_a_sprint() -> None:
    """A camera that catches up after a hiccup: one hundredth of the width in a millisecond is no speed."""
    tracker = Tracker()
    tracker.update([pose(x=0.30)], 5.0, HD)
    tracker.update([pose(x=0.31)], 5.001, HD)
    tracker.update([pose(x=0.30)], 5.05, HD)
    tracker.update([pose(x=0.30)], 5.1, HD)
    assert ids(tracker.update([pose(x=0.30)], 5.16, HD)) == [1]


def test_no_more_than_max_tracks_people_get_ids() -> None:
    tracker = Tracker(max_tracks=3)
    crowd = [pose(x=0.2 * index, width=0.1, score=0.9 - 0.1 * index) for index in range(5)]
    assert follow(tracker, [crowd] * 20, fps=20) == [1, 2, 3, None, None]


def test_people_in_sight_take_the_place_of_lost_ones() -> None:
    tracker = Tracker(max_tracks=1)
    follow(tracker, [[pose(x=0.1)]] * 10, fps=20)
    assert follow(tracker, [[pose(x=0.7)]] * 10, fps=20, start_s=10.5) == [2]


def test_without_a_waiting_time_an_id_comes_at_first_sight() -> None:
    assert ids(Tracker(min_seen_s=0).update([pose(), pose(x=0.7)], 0.0, HD)) == [1, 2]


times = st.floats(-0.5, 3.0)
places = st.lists(st.tuples(st.floats(-0.2, 1.1), st.floats(0.02, 0.3), st.floats(0, 1)), max_size=6)


@given(st.lists(st.tuples(times, places), max_size=12), st.sampled_from(["oks", "iou"]))
def test_ids_are_unique_in_a_frame_and_never_go_back(
    frames: list[tuple[float, list[tuple[float, float, float]]]], metric: Metric
) -> None:
    """At any times and for any poses, an id that is new is the next number."""
    tracker = Tracker(metric=metric, min_seen_s=0.05)
    time_s, highest = 5.0, 0
    for step_s, people in frames:
        time_s += step_s
        poses = [pose(x=x, width=width, keypoint_score=score) for x, width, score in people]
        known = [one.id for one in tracker.update(poses, time_s, HD) if one.id is not None]
        assert len(set(known)) == len(known)
        assert set(known) <= set(range(1, max(known, default=0) + 1))
        new = sorted(number for number in known if number > highest)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)


def sightings(scene: Scene, index: int, rng: np.random.Generator) -> list[tuple[int, Pose]]:
    """What a poor detector makes of the truth: noise, misses, low scores for what is hidden, any order."""
    found = []
    for person in scene.truth(index):
        if not person.visible or rng.random() < 0.1:
            continue
        box = person.box_xyxy
        keypoints = person.keypoints.copy()
        keypoints[:, :2] += rng.normal(0, 0.02, (17, 2)) * (box[2:] - box[:2])
        hidden = keypoints[:, 2] < 2
        keypoints[:, 2] = np.where(hidden, rng.uniform(0, 0.5, 17), rng.uniform(0.4, 0.9, 17))
        found.append((person.id, Pose(keypoints, box, float(rng.uniform(0.3, 0.9)))))
    order = rng.permutation(len(found))
    return [found[at] for at in order]


def ids_by_person(scene: Scene, tracker: Tracker, fps: float, duration_s: float) -> dict[int, list[int]]:
    """Track the scene; return the ids that each true person had, one after another."""
    rng = np.random.default_rng(11)
    had: dict[int, list[int]] = {}
    for index in range(int(duration_s * fps)):
        seen = sightings(scene, index, rng)
        of = {id(one.keypoints): person for person, one in seen}
        for one in tracker.update([one for _, one in seen], index / fps, scene.size):
            if one.id is not None:
                had.setdefault(of[id(one.keypoints)], []).append(one.id)
    return had


@pytest.mark.parametrize("metric", ["oks", "iou"])
@pytest.mark.parametrize("fps", [6, 25])
def test_people_who_cross_on_the_scene_keep_their_ids(metric: Metric, fps: int) -> None:
    had = ids_by_person(crossing_scene(fps=fps), Tracker(metric=metric), fps, duration_s=13.0)
    assert len(had) == 2
    assert sorted(set(numbers) for numbers in had.values()) == [{1}, {2}]


@pytest.mark.parametrize(("fps", "duration_s"), [(6, 60.0), (25, 20.0)])
def test_ids_seldom_change_hands_in_the_hall(fps: int, duration_s: float) -> None:
    """Five or six people who hide each other all the time: an id changes less than once a minute."""
    had = ids_by_person(Scene(fps=fps), Tracker(), fps, duration_s=duration_s)
    changes = sum(a != b for numbers in had.values() for a, b in pairwise(numbers))
    person_minutes = sum(len(numbers) for numbers in had.values()) / fps / 60
    assert changes / person_minutes < 1.0


# --- who may take over an id -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "height"),
    # Half as high, for boxes it may be the same person, half hidden.
    [("oks", 0.3), ("oks", 0.2), ("oks", 0.1), ("oks", 0.05), ("iou", 0.2), ("iou", 0.1), ("iou", 0.05)],
)
@pytest.mark.parametrize("gap_s", [0.04, 0.2, 0.5, 1.0, 1.8])
def test_a_small_person_where_a_large_one_was_is_somebody_else(metric: Metric, gap_s: float, height: float) -> None:
    tracker = Tracker(metric=metric)
    for index in range(25):
        tracker.update([pose(x=0.4, y=0.2, width=0.12, height=0.6)], index / 25, HD)
    for y in (0.25, 0.45, 0.75 - height):
        small = pose(x=0.45, y=y, width=height / 5, height=height)
        (found,) = tracker.update([small], 24 / 25 + gap_s, HD)
        assert found.id is None


@pytest.mark.parametrize("gap_s", [0.04, 0.5, 1.8])
def test_a_large_person_where_a_small_one_was_is_somebody_else(gap_s: float) -> None:
    tracker = settled(pose(x=0.45, y=0.45, width=0.03, height=0.15))
    assert ids(tracker.update([pose(x=0.4, y=0.2, width=0.12, height=0.6)], 10.0 + gap_s, HD)) == [None]


@pytest.mark.parametrize(("max_age_s", "gap_s"), [(8.0, 7.0), (15.0, 14.0), (60.0, 55.0)])
def test_however_long_ids_are_kept_a_stranger_elsewhere_gets_none(max_age_s: float, gap_s: float) -> None:
    for away in (0.42, 0.77, -0.6):
        tracker = settled(pose(x=0.1 if away > 0 else 0.8), max_age_s=max_age_s)
        stranger = pose(x=(0.1 if away > 0 else 0.8) + away)
        assert ids(tracker.update([stranger], 10.0 + gap_s, HD)) == [None]


def test_everybody_the_decoder_finds_gets_an_id() -> None:
    crowd = [pose(x=0.03 * index, width=0.02, height=0.1, score=0.9 - 0.01 * index) for index in range(MAX_PEOPLE)]
    tracker = Tracker()
    assert follow(tracker, [crowd] * 10, fps=25) == list(range(1, MAX_PEOPLE + 1))
    assert len(tracker.present_ids) == MAX_PEOPLE


# --- few frames per second ---------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["oks", "iou"])
@pytest.mark.parametrize("fps", [2, 3, 4, 5, 8, 12, 25])
@pytest.mark.parametrize("speed", [0.15, 0.278, 0.5], ids=["slow", "1.4 m/s", "2.5 m/s"])
def test_somebody_who_walks_or_runs_keeps_one_id_from_the_second_frame_on(
    metric: Metric, fps: int, speed: float
) -> None:
    """In profile, 0.6 of the image high: 1.4 m/s are 0.278 image widths a second."""
    tracker = Tracker(metric=metric)
    found = [ids(tracker.update([walker(i / fps, start_x=0.0, speed=speed)], i / fps, HD))[0] for i in range(2 * fps)]
    needed = max(2, math.ceil(0.15 * fps))
    assert set(found[needed:]) <= {1}
    assert found[0] is None


def test_two_who_walk_side_by_side_at_few_frames_keep_their_ids() -> None:
    """Their boxes overlap all the time: their velocities have to be learned all the same."""
    for fps in (2, 3, 5):
        tracker = Tracker()
        for i in range(4 * fps):
            near = walker(i / fps, start_x=0.0, speed=0.2)
            far = walker(i / fps, start_x=0.06, speed=0.2, y=0.16)
            found = ids(tracker.update([near, far], i / fps, HD))
        assert found == [1, 2]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("fps", [3, 4, 5, 8, 12])
def test_people_who_cross_at_few_frames_keep_their_ids(fps: int, seed: int) -> None:
    had = ids_by_person(crossing_scene(fps=fps, seed=seed), Tracker(), fps, duration_s=13.0)
    assert sorted(set(numbers) for numbers in had.values()) == [{1}, {2}]


@pytest.mark.parametrize("every", [2, 3])
def test_somebody_who_blinks_gets_an_id_in_less_than_a_second(every: int) -> None:
    tracker = Tracker()
    found = [ids(tracker.update([pose()] if i % every == 0 else [], i / 25, HD)) for i in range(25)]
    assert [1] in found


# --- unsure poses ------------------------------------------------------------------------------------------


def test_an_unsure_pose_continues_somebody_known_and_begins_nobody() -> None:
    tracker = settled(pose(x=0.1))
    for index in range(25):
        found = tracker.update([pose(x=0.1, score=0.1), pose(x=0.7, score=0.19)], 10.04 + index / 25, HD)
        assert [(one.id, round(one.score, 2)) for one in found] == [(1, 0.1)]
    assert tracker.present_ids == (1,)


def test_a_sure_pose_goes_before_an_unsure_one_at_a_better_place() -> None:
    tracker = settled(pose(x=0.3))
    found = tracker.update([pose(x=0.31, score=0.5), pose(x=0.3, score=0.15)], 10.04, HD)
    assert [(one.id, one.score) for one in found] == [(1, 0.5)]


def test_an_unsure_pose_must_be_where_somebody_was_a_moment_ago() -> None:
    assert settled(pose()).update([pose(x=0.4, score=0.15)], 10.04, HD) == ()
    tracker = settled(pose())
    follow(tracker, [[]] * 20, fps=25, start_s=10.04)
    assert tracker.update([pose(score=0.15)], 10.84, HD) == ()
    assert ids(settled(pose()).update([pose(score=0.15)], 10.5, HD)) == [1]


def test_a_person_nobody_is_sure_of_for_max_age_is_nobody() -> None:
    """A coat on a hook that resembles the person who hung it there."""
    tracker = settled(pose(), max_age_s=1.0)
    found = [len(tracker.update([pose(score=0.1)], 10.04 + index / 25, HD)) for index in range(50)]
    assert (found[0], found[20], found[30], found[-1]) == (1, 1, 0, 0)


def test_a_tentative_person_is_not_continued_by_an_unsure_pose() -> None:
    tracker = Tracker()
    tracker.update([pose()], 10.0, HD)
    assert tracker.update([pose(score=0.15)], 10.04, HD) == ()


def test_from_which_score_on_a_pose_is_sure_can_be_set() -> None:
    tracker = Tracker(min_score=0.5)
    assert tracker.update([pose(score=0.4)], 10.0, HD) == ()
    assert ids(tracker.update([pose(score=0.5)], 10.1, HD)) == [None]


# --- whether it knows who is there -------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [2, 5, 10, 25])
def test_it_is_settled_when_those_in_view_have_their_ids(fps: int) -> None:
    assert not Tracker().is_settled
    tracker = Tracker()
    for index in range(2 * fps):
        found = ids(tracker.update([pose()], index / fps, HD))
        assert tracker.is_settled == (found == [1])


def test_it_is_settled_without_anybody_too_and_not_after_a_long_pause() -> None:
    tracker = Tracker(max_age_s=2.0)
    settled_after = []
    for time_s in (10.0, 10.04, 10.12, 10.16, 11.9, 14.0, 14.2):  # a short pause, in which ids are kept, and a long one
        tracker.update([pose()] if time_s > 11 else [], time_s, HD)
        settled_after.append(tracker.is_settled)
    assert settled_after == [False, False, True, True, True, False, True]
    assert tracker.present_ids != ()
