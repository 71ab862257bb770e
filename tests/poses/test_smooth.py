"""The smoother against the one-euro filter written out number by number, and the laws it has to keep."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from builders import pose
from edge.poses.pose import Pose
from edge.poses.smooth import Smoother

SIZE = (640, 360)
FRAME_S = 0.04
NOSE, LEFT_WRIST = 0, 9


class OneEuro:
    """One number after another, in the words of the paper (Casiez et al. 2012, algorithms 1 and 2)."""

    def __init__(self, min_cutoff: float, beta: float, derivative_cutoff: float) -> None:
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self.x_previous: float | None = None
        self.dx_previous = 0.0

    @staticmethod
    def alpha(cutoff: float, rate: float) -> float:
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau * rate)

    def filter(self, x: float, rate: float) -> float:
        if self.x_previous is None:
            self.x_previous = x
            return x
        part = self.alpha(self.derivative_cutoff, rate)
        self.dx_previous = part * (x - self.x_previous) * rate + (1 - part) * self.dx_previous
        part = self.alpha(self.min_cutoff + self.beta * abs(self.dx_previous), rate)
        self.x_previous = part * x + (1 - part) * self.x_previous
        return self.x_previous


def shifted(base: Pose, x: float, y: float = 0.0) -> Pose:
    """Move somebody who is well inside the image, with the box."""
    keypoints = base.keypoints.copy()
    keypoints[:, :2] += (x, y)
    return replace(base, keypoints=keypoints, box_xyxy=base.box_xyxy + np.array([x, y, x, y], np.float32))


def walk(smoother: Smoother, xs: Sequence[float], *, start_s: float = 0.0, step_s: float = FRAME_S) -> list[float]:
    """Put a person at each x in turn and return by how much their nose is reported to have moved."""
    base = pose(x=0.3, track_id=7)
    filtered = []
    for at, x in enumerate(xs):
        (smoothed,) = smoother.update([shifted(base, x)], start_s + at * step_s, SIZE)
        filtered.append(float(smoothed.keypoints[NOSE, 0] - base.keypoints[NOSE, 0]))
    return filtered


def same(one: Pose, other: Pose) -> bool:
    return (
        np.array_equal(one.keypoints, other.keypoints)
        and np.array_equal(one.box_xyxy, other.box_xyxy)
        and (one.score, one.id) == (other.score, other.id)
    )


def test_a_keypoint_goes_the_way_of_the_paper_s_filter() -> None:
    base = pose(x=0.3, y=0.2, width=0.15, height=0.6, track_id=4)  # 216 px high
    smoother = Smoother(min_cutoff_hz=1.3, beta=6.0, derivative_cutoff_hz=0.8)
    oracle = OneEuro(1.3, 6.0, 0.8)
    times_s = [10.0, 10.04, 10.11, 10.12, 10.2, 10.33, 10.36]
    for time_s, before_s, x in zip(times_s, [9.0, *times_s], (0.3, 0.31, 0.29, 0.35, 0.4, 0.41, 0.2), strict=False):
        moved = base.keypoints.copy()
        moved[LEFT_WRIST, 0] = x
        (smoothed,) = smoother.update([replace(base, keypoints=moved)], time_s, SIZE)
        expected = oracle.filter(x * 640 / 216, 1 / (time_s - before_s)) * 216 / 640
        assert smoothed.keypoints[LEFT_WRIST, 0] == pytest.approx(expected, abs=1e-6)
        assert smoothed.keypoints[LEFT_WRIST, 1] == base.keypoints[LEFT_WRIST, 1]


def test_speed_counts_along_the_way_not_along_the_axes() -> None:
    """Somebody who walks aslant lags as much as somebody who walks straight on."""
    base, way = pose(x=0.3, y=0.2, width=0.15, height=0.4, track_id=1), np.array([0.6, 0.8])
    straight, aslant = Smoother(), Smoother()
    size = (500, 500)
    for at in range(5):
        (one,) = straight.update([shifted(base, 0.01 * at)], at * FRAME_S, size)
        (other,) = aslant.update([shifted(base, *(0.01 * at * way))], at * FRAME_S, size)
    moved = other.keypoints[NOSE, :2] - base.keypoints[NOSE, :2]
    assert moved @ way == pytest.approx(one.keypoints[NOSE, 0] - base.keypoints[NOSE, 0], abs=1e-6)


def test_people_near_and_far_are_treated_alike() -> None:
    near, far = pose(x=0.1, y=0.05, width=0.4, height=0.9, track_id=1), pose(x=0.7, width=0.1, height=0.225, track_id=2)
    smoother = Smoother()
    for at, part in enumerate((0.0, 0.02, -0.01, 0.2)):
        seen = [shifted(near, 0.9 * part), shifted(far, 0.225 * part)]
        filtered = smoother.update(seen, at * FRAME_S, SIZE)
    behind = [(a.keypoints[NOSE, 0] - b.keypoints[NOSE, 0]) for a, b in zip(seen, filtered, strict=True)]
    assert behind[0] == pytest.approx(4 * behind[1], rel=1e-3)


def test_somebody_who_lies_is_as_large_as_somebody_who_stands() -> None:
    standing, lying = pose(width=0.2, height=0.6, track_id=1), pose(width=0.6, height=0.2, track_id=2)
    size, smoother = (400, 400), Smoother()
    smoother.update([standing, lying], 0.0, size)
    filtered = smoother.update([shifted(standing, 0.03), shifted(lying, 0.03)], FRAME_S, size)
    moved = [float(a.box_xyxy[0] - b.box_xyxy[0]) for a, b in zip(filtered, (standing, lying), strict=True)]
    assert moved[0] == pytest.approx(moved[1], abs=1e-6)


def test_what_stands_still_is_told_exactly_and_at_once() -> None:
    base, smoother = pose(x=0.123, y=0.345, track_id=3), Smoother()
    for at in range(10):
        (smoothed,) = smoother.update([base], at * 0.031, SIZE)
        assert same(smoothed, base)


def test_trembling_is_calmed() -> None:
    filtered = walk(Smoother(), [0.003 * (-1) ** at for at in range(60)])
    assert np.std(filtered[20:]) < 0.4 * 0.003


def test_a_step_is_followed_without_overshoot() -> None:
    filtered = walk(Smoother(), [0.0] * 5 + [0.1] * 20)
    assert filtered == sorted(filtered)
    assert filtered[8] > 0.08  # a fifth of a length within four frames
    assert filtered[-1] == pytest.approx(0.1, abs=1e-3)


def test_who_moves_fast_is_hardly_late() -> None:
    """A length of the person per second: 0.3375 of the image's width, for a box of 216 px in 640."""
    xs = [0.3375 * FRAME_S * at for at in range(25)]
    late_s = (xs[-1] - walk(Smoother(), xs)[-1]) / 0.3375
    assert 0 < late_s < 0.02


def test_a_larger_beta_is_less_late_and_a_lower_cutoff_is_calmer() -> None:
    ramp = [0.01 * at for at in range(20)]
    assert walk(Smoother(beta=20), ramp)[-1] > walk(Smoother(beta=2), ramp)[-1]
    tremble = [0.002 * (-1) ** at for at in range(40)]
    assert np.std(walk(Smoother(min_cutoff_hz=0.5), tremble)) < np.std(walk(Smoother(min_cutoff_hz=3), tremble))


def test_a_frame_rate_a_third_as_high_calms_less_but_is_no_slower() -> None:
    fast = walk(Smoother(), [0.0] + [0.1] * 30)
    slow = walk(Smoother(), [0.0] + [0.1] * 10, step_s=3 * FRAME_S)
    assert abs(slow[3] - fast[9]) < 0.01


def test_an_id_never_inherits_from_another() -> None:
    left, right, smoother = pose(x=0.1, track_id=1), pose(x=0.6, track_id=2), Smoother()
    smoother.update([left, right], 0.0, SIZE)
    filtered = smoother.update([replace(right, id=1), replace(left, id=2)], FRAME_S, SIZE)  # they swap places
    assert 0.1 < filtered[0].box_xyxy[0] < 0.6
    assert 0.1 < filtered[1].box_xyxy[0] < 0.6
    (fresh,) = smoother.update([replace(left, id=3)], 2 * FRAME_S, SIZE)
    assert same(fresh, replace(left, id=3))


def test_the_order_of_the_people_does_not_matter() -> None:
    left, right = pose(x=0.1, track_id=1), pose(x=0.6, track_id=2)
    one, other = Smoother(), Smoother()
    for smoother in (one, other):
        smoother.update([left, right], 0.0, SIZE)
    moved = [shifted(left, 0.02), shifted(right, -0.03)]
    straight, turned = one.update(moved, FRAME_S, SIZE), other.update(moved[::-1], FRAME_S, SIZE)
    assert all(same(a, b) for a, b in zip(straight, turned[::-1], strict=True))


def test_who_has_no_id_is_told_as_seen_beside_those_who_have() -> None:
    known, new, smoother = pose(x=0.1, track_id=1), pose(x=0.6), Smoother()
    smoother.update([new, known], 0.0, SIZE)
    filtered = smoother.update([shifted(new, 0.02), shifted(known, 0.02)], FRAME_S, SIZE)
    assert same(filtered[0], shifted(new, 0.02))
    assert filtered[1].box_xyxy[0] < 0.12
    assert [each.id for each in filtered] == [None, 1]


@pytest.mark.parametrize("poses", [[], [pose(), pose(x=0.5)]])
def test_without_tracks_nothing_happens(poses: list[Pose]) -> None:
    smoother = Smoother()
    smoother.update(poses, 0.0, SIZE)
    assert all(a is b for a, b in zip(smoother.update(poses, FRAME_S, SIZE), poses, strict=True))


@pytest.mark.parametrize("min_score", [0.1, 0.6])
def test_a_keypoint_of_low_score_is_passed_through_and_resets_its_filter(min_score: float) -> None:
    sure, smoother = pose(track_id=5), Smoother(min_score=min_score)
    doubtful = shifted(sure, 0.1)
    doubtful.keypoints[LEFT_WRIST, 2] = min_score - 0.01
    smoother.update([sure], 0.0, SIZE)
    (filtered,) = smoother.update([doubtful], FRAME_S, SIZE)
    assert np.array_equal(filtered.keypoints[LEFT_WRIST], doubtful.keypoints[LEFT_WRIST])
    assert filtered.keypoints[NOSE, 0] < doubtful.keypoints[NOSE, 0]
    (filtered,) = smoother.update([sure], 2 * FRAME_S, SIZE)
    assert np.array_equal(filtered.keypoints[LEFT_WRIST], sure.keypoints[LEFT_WRIST])


def test_scores_and_ids_stay_and_what_was_given_is_not_written_to() -> None:
    scores = np.linspace(0, 1, 17, dtype=np.float32)
    seen = [pose(score=0.61, keypoint_score=scores, track_id=at, x=0.1 + 0.02 * at) for at in (8, 2)]
    kept = [(each.keypoints.copy(), each.box_xyxy.copy()) for each in seen]
    smoother = Smoother()
    smoother.update([shifted(each, 0.01) for each in seen], 0.0, SIZE)
    filtered = smoother.update(seen, FRAME_S, SIZE)
    for before, after, (keypoints, box) in zip(seen, filtered, kept, strict=True):
        assert (after.score, after.id) == (before.score, before.id)
        assert np.array_equal(after.keypoints[:, 2], scores)
        assert after.keypoints.dtype == after.box_xyxy.dtype == np.dtype(np.float32)
        assert np.array_equal(before.keypoints, keypoints)
        assert np.array_equal(before.box_xyxy, box)


@pytest.mark.parametrize(
    ("then_s", "fresh"),
    [(10.04, False), (10.5, False), (10.51, True), (500.0, True), (10.0, True), (9.9, True), (-5.0, True)],
)
def test_after_a_gap_or_when_time_does_not_go_on_all_filters_restart(then_s: float, fresh: bool) -> None:
    base, smoother = pose(track_id=1), Smoother(max_gap_s=0.5)
    smoother.update([base], 9.96, SIZE)
    smoother.update([base], 10.0, SIZE)
    moved = shifted(base, 0.05)
    (filtered,) = smoother.update([moved], then_s, SIZE)
    assert same(filtered, moved) == fresh


def test_who_was_away_for_a_moment_goes_on_from_there() -> None:
    base, smoother = pose(track_id=1), Smoother()
    smoother.update([base], 0.0, SIZE)
    smoother.update([], 0.1, SIZE)
    (filtered,) = smoother.update([shifted(base, 0.05)], 0.2, SIZE)
    assert base.box_xyxy[0] < filtered.box_xyxy[0] < base.box_xyxy[0] + 0.05


def test_people_who_left_are_forgotten() -> None:
    smoother = Smoother()
    for at in range(200):
        smoother.update([pose(track_id=at)], at * FRAME_S, SIZE)
    assert len(smoother._states) < 15


def test_a_box_does_not_turn_inside_out_when_one_corner_comes_faster() -> None:
    smoother, base = Smoother(), pose(track_id=1)
    smoother.update([replace(base, box_xyxy=np.array([0.09, 0.0, 0.1, 0.5], np.float32))], 0.0, SIZE)
    (filtered,) = smoother.update([replace(base, box_xyxy=np.array([0.9, 0.5, 0.9, 0.5], np.float32))], FRAME_S, SIZE)
    assert (filtered.box_xyxy[:2] <= filtered.box_xyxy[2:]).all()


def test_a_box_without_extent_is_no_trouble() -> None:
    point, smoother = pose(width=0.0, height=0.0, track_id=1), Smoother()
    smoother.update([point], 0.0, SIZE)
    (filtered,) = smoother.update([shifted(point, 0.1)], FRAME_S, SIZE)
    assert np.isfinite(filtered.keypoints).all()


unit = st.floats(0, 1, width=32)
places = hnp.arrays(np.float32, (6, 17, 2), elements=st.floats(-1, 2, width=32))
corners = hnp.arrays(np.float32, (6, 4), elements=unit)
steps_s = st.lists(st.floats(-0.1, 0.7), min_size=6, max_size=6)


def free_pose(xy: NDArray[np.float32], corners_xyxy: NDArray[np.float32]) -> Pose:
    low, high = np.sort(corners_xyxy.reshape(2, 2), axis=0)
    return Pose(np.column_stack([xy, np.full(17, 0.9, np.float32)]), np.concatenate([low, high]), 0.5, 1)


@given(places, corners, steps_s)
@settings(max_examples=60, deadline=None)
def test_nothing_is_told_outside_the_range_of_what_was_seen(
    xy: NDArray[np.float32], boxes: NDArray[np.float32], waits_s: list[float]
) -> None:
    """Which keeps boxes within 0..1; their corners stay in order too."""
    smoother, time_s = Smoother(), 0.0
    seen = [free_pose(*each) for each in zip(xy, boxes, strict=True)]
    for at, wait_s in enumerate(waits_s):
        time_s += wait_s
        (filtered,) = smoother.update([seen[at]], time_s, SIZE)
        keypoints = np.stack([each.keypoints for each in seen[: at + 1]])
        hulls = np.stack([each.box_xyxy for each in seen[: at + 1]])
        assert (keypoints.min(0) <= filtered.keypoints).all()
        assert (filtered.keypoints <= keypoints.max(0)).all()
        assert (hulls.min(0) <= filtered.box_xyxy).all()
        assert (filtered.box_xyxy <= hulls.max(0)).all()
        assert (filtered.box_xyxy[:2] <= filtered.box_xyxy[2:]).all()


def test_hardly_any_time_between_two_frames_is_none() -> None:
    smoother = Smoother()
    smoother.update([pose(track_id=1)], 10.0, (1280, 720))
    (filtered,) = smoother.update([pose(x=0.5, track_id=1)], 10.0 + 1e-9, (1280, 720))
    np.testing.assert_array_equal(filtered.keypoints, pose(x=0.5).keypoints)
