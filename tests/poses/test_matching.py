import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from builders import pose
from edge.poses.matching import areas_px, assign, iou, oks, pose_nms
from edge.poses.pose import SIGMAS, Pose

HD = (1280, 720)

similarities = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5),
    elements=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.9, 1.0]) | st.floats(0, 1),
)
coordinates = st.floats(-0.5, 1.5, width=32)
people = hnp.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(17), st.just(3)), elements=coordinates)
boxes = hnp.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(4)), elements=coordinates)


def stacked(*poses: Pose) -> NDArray[np.float32]:
    return np.stack([one.keypoints for one in poses])


def moved(one: Pose, x: float = 0.0, y: float = 0.0, *, only: list[int] | None = None) -> Pose:
    keypoints = one.keypoints.copy()
    keypoints[only if only is not None else slice(None), :2] += (x, y)
    return Pose(keypoints, one.box_xyxy, one.score)


def one_oks(a: Pose, b: Pose, **options: Any) -> float:
    return float(oks(stacked(a), stacked(b), areas_px(a.box_xyxy[None], HD)[:, None], HD, **options)[0, 0])


def test_oks_of_a_pose_with_itself_is_one() -> None:
    assert one_oks(pose(), pose()) == 1.0


def test_oks_of_people_far_apart_is_zero() -> None:
    assert one_oks(pose(x=0.1), pose(x=0.7)) == pytest.approx(0, abs=1e-6)


def test_oks_is_the_formula_of_coco() -> None:
    """Checked against a sum written out keypoint by keypoint, with 10 px right and 20 px down."""
    area = np.array([[5000.0]])
    there = moved(pose(), x=10 / 1280, y=20 / 720)
    expected = sum(math.exp(-(10**2 + 20**2) / (2 * 5000 * (2 * float(s)) ** 2)) for s in SIGMAS) / 17
    assert oks(stacked(pose()), stacked(there), area, HD)[0, 0] == pytest.approx(expected, rel=1e-4)


def test_oks_measures_in_square_pixels() -> None:
    """A tenth of the height is less way than a tenth of the width of a wide image."""
    assert one_oks(pose(), moved(pose(), x=0.09)) < one_oks(pose(), moved(pose(), y=0.09))
    across = one_oks(pose(), moved(pose(), x=45 / 1280))
    assert across == pytest.approx(one_oks(pose(), moved(pose(), y=45 / 720)), rel=1e-3)


def test_keypoints_with_low_scores_take_no_part_in_oks() -> None:
    scores = np.full(17, 0.8, np.float32)
    scores[[9, 10, 15, 16]] = 0.1
    here = pose(keypoint_score=scores)
    there = moved(here, x=0.4, only=[9, 10, 15, 16])
    assert one_oks(here, there) == 1.0
    assert one_oks(here, there, min_score=0.05) == pytest.approx(13 / 17)


def test_poses_that_share_too_few_keypoints_are_not_alike() -> None:
    upper, lower = np.full(17, 0.8, np.float32), np.full(17, 0.8, np.float32)
    upper[11:] = 0.0
    lower[:8] = 0.0
    assert one_oks(pose(keypoint_score=upper), pose(keypoint_score=lower)) == 0.0
    assert one_oks(pose(keypoint_score=upper), pose(keypoint_score=lower), min_keypoints=3) == 1.0


def test_oks_pairs_every_first_with_every_second_pose() -> None:
    first = stacked(pose(x=0.1), pose(x=0.6))
    second = stacked(pose(x=0.6), pose(x=0.9), pose(x=0.1))
    table = oks(first, second, np.full((2, 1), 20_000.0), HD)
    assert table.shape == (2, 3)
    assert np.argwhere(table > 0.99).tolist() == [[0, 2], [1, 0]]


@given(people, people, st.floats(1, 1e6))
def test_oks_is_symmetric_and_between_zero_and_one(
    first: NDArray[np.float32], second: NDArray[np.float32], area: float
) -> None:
    table = oks(first, second, np.full((1, 1), area), HD)
    assert table.shape == (len(first), len(second))
    assert ((table >= 0) & (table <= 1)).all()
    assert np.allclose(table, oks(second, first, np.full((1, 1), area), HD).T)


def test_the_area_of_a_person_is_that_of_the_box_in_pixels() -> None:
    box = np.array([[0.25, 0.1, 0.45, 0.6]], np.float32)
    assert areas_px(box, HD)[0] == pytest.approx(256 * 360, rel=1e-4)


def test_a_sliver_of_a_box_counts_as_a_quarter_as_wide_as_high() -> None:
    box = np.array([[0.99, 0.1, 1.0, 0.6]], np.float32)
    assert areas_px(box, HD)[0] == pytest.approx(90 * 360, rel=1e-4)


@given(boxes)
def test_every_box_has_an_area_even_empty_and_inverted_ones(some: NDArray[np.float32]) -> None:
    assert (areas_px(some, HD) >= (0.02 * 1280) ** 2 * 0.999).all()


def test_iou_is_the_common_part_of_the_whole() -> None:
    first = np.array([[0.0, 0.0, 0.4, 0.2]])
    second = np.array([[0.2, 0.0, 0.6, 0.2], [0.5, 0.5, 0.6, 0.9], [0.0, 0.0, 0.4, 0.2]])
    assert iou(first, second) == pytest.approx(np.array([[1 / 3, 0, 1]]))


def test_boxes_without_area_are_like_none() -> None:
    empty = np.array([[0.3, 0.3, 0.3, 0.9], [0.8, 0.8, 0.2, 0.2]])
    assert iou(empty, empty).tolist() == [[0, 0], [0, 0]]


@given(boxes, boxes)
def test_iou_is_symmetric_and_between_zero_and_one(first: NDArray[np.float32], second: NDArray[np.float32]) -> None:
    table = iou(first, second)
    assert table.shape == (len(first), len(second))
    assert ((table >= 0) & (table <= 1 + 1e-6)).all()
    assert np.allclose(table, iou(second, first).T)


def test_the_assignment_gives_up_a_best_pair_for_a_better_whole() -> None:
    """The greedy choice 0.9 would leave the second row alone."""
    assert assign(np.array([[0.9, 0.8], [0.7, 0.1]]), 0.2) == [(0, 1), (1, 0)]


def test_pairs_that_are_not_alike_enough_are_never_made() -> None:
    assert assign(np.array([[0.9, 0.8], [0.7, 0.1]]), 0.75) == [(0, 0)]
    assert assign(np.array([[0.1, 0.0]]), 0.2) == []
    assert assign(np.zeros((2, 3)), 0.0) == []


def test_an_empty_side_is_assigned_to_nothing() -> None:
    assert assign(np.zeros((0, 3)), 0.2) == []
    assert assign(np.zeros((3, 0)), 0.2) == []


def best_sum(gain: NDArray[np.float64]) -> float:
    """Greatest sum over all ways to pair rows and columns, by trying them all."""
    tall = gain if gain.shape[0] >= gain.shape[1] else gain.T
    rows = itertools.permutations(range(tall.shape[0]), tall.shape[1])
    return max(sum(float(tall[row, column]) for column, row in enumerate(order)) for order in rows)


@given(similarities, st.sampled_from([0.0, 0.2, 0.3, 0.9]))
def test_the_assignment_is_unique_and_no_other_has_a_greater_sum(
    similarity: NDArray[np.float64], min_similarity: float
) -> None:
    pairs = assign(similarity, min_similarity)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(similarity[pair] >= min_similarity for pair in pairs)
    allowed = np.where(similarity >= min_similarity, similarity, 0)
    assert sum(similarity[pair] for pair in pairs) == pytest.approx(best_sum(allowed))


def test_a_crowd_of_twenty_is_assigned() -> None:
    """Every row wants the first columns most, so that all of them must change hands."""
    wanted = np.linspace(0.9, 0.5, 20)
    similarity = np.outer(np.linspace(1, 0.9, 20), wanted)
    pairs = assign(similarity, 0.2)
    assert sorted(column for _, column in pairs) == list(range(20))


def test_of_duplicates_the_best_stays() -> None:
    first, second = pose(score=0.5), moved(pose(score=0.8), x=0.003)
    other = pose(x=0.7, score=0.3)
    kept = pose_nms([first, other, second], HD)
    assert [one.score for one in kept] == [0.3, 0.8]


def test_a_chain_of_duplicates_leaves_one_for_each_person() -> None:
    """The middle one is like both, the outer ones are not like each other: the best of each stays."""
    middle, left, right = pose(score=0.5), moved(pose(score=0.9), x=-0.018), moved(pose(score=0.8), x=0.018)
    assert one_oks(middle, left) > 0.7 > one_oks(left, right)
    assert [one.score for one in pose_nms([middle, left, right], HD)] == [0.9, 0.8]


def test_a_child_in_front_of_an_adult_stays() -> None:
    adult = pose(x=0.3, y=0.1, width=0.18, height=0.8, score=0.9)
    child = pose(x=0.36, y=0.45, width=0.08, height=0.35, score=0.4)
    assert len(pose_nms([adult, child], HD)) == 2


def test_one_or_no_pose_has_no_duplicates() -> None:
    assert pose_nms([], HD) == []
    assert len(pose_nms([pose(keypoint_score=0.0)], HD)) == 1
