"""Targets say what the decode of the heads understands."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.poses.head_maps import HEAD_CHANNELS, HeadsSpec, MapSpec
from edge.poses.heads import HeadsDecoder
from tools.train.data.picture import LESS_SURE, OUTSIDE, Picture, bounds, labelled_enough
from tools.train.data.targets import Targets, make_targets
from training.small import person, picture


def cells(targets: Targets) -> list[NDArray[np.float32]]:
    """Return maps (1, h, w, C) that say exactly what the targets ask for."""
    height, width = targets.center.shape
    regression, offset = np.zeros((height, width, 34), np.float32), np.zeros((height, width, 17, 2), np.float32)
    for (y, x), values in zip(targets.seed_cells, targets.seeds, strict=True):
        regression[y, x] = values
    for (which, y, x), values in zip(targets.offset_cells, targets.offsets, strict=True):
        offset[y, x, which] = values
    maps = targets.center[..., None], targets.heat.transpose(1, 2, 0), regression, offset.reshape(height, width, 34)
    return [np.ascontiguousarray(each[None], np.float32) for each in maps]


def decoder(targets: Targets) -> HeadsDecoder:
    height, width = targets.center.shape
    plain = tuple(
        MapSpec("float32", np.ones(count, np.float32), np.zeros(count, np.float32)) for count in HEAD_CHANNELS
    )
    return HeadsDecoder(HeadsSpec((width, height), plain[:4], logits=False))


def sized(*people: NDArray[np.floating], width: int = 160, height: int = 96) -> Picture:
    return replace(picture(*people), image=np.zeros((height, width, 3), np.uint8))


def test_decoding_the_targets_gives_the_people_back() -> None:
    wanted = [person(15.3, 8.7, 31, 77), person(93.1, 30.2, 44.4, 55.5)]
    targets = make_targets(sized(*wanted))
    rows = decoder(targets).rows(cells(targets), min_score=0.5)[0]
    found = rows[:, :51].reshape(-1, 17, 3)[..., 1::-1] * (160, 96)  # (P, 17, [x, y])
    assert len(found) == 2
    for one in wanted:
        away = np.abs(found - one[:, :2]).max(axis=(1, 2))
        assert away.min() < 0.01


def test_a_center_is_in_the_middle_of_the_whole_person_whatever_is_known_of_the_keypoints() -> None:
    one = person(40, 8, 24, 72)
    one[13:, 2] = 0  # nothing is known of knees and ankles
    targets = make_targets(replace(sized(one), boxes=np.array([[36, 4, 68, 88]], np.float32)))
    y, x = np.unravel_index(targets.center.argmax(), targets.center.shape)
    assert (int(x), int(y)) == (13, 11)
    assert targets.seed_weights.max() == pytest.approx(4 / 84)


def test_a_box_that_leaves_keypoints_out_is_widened() -> None:
    one = person(40, 8, 24, 72)
    low, high = bounds(one[None])[0].reshape(2, 2)
    targets = make_targets(replace(sized(one), boxes=np.array([[44, 20, 52, 40]], np.float32)))
    y, x = np.unravel_index(targets.center.argmax(), targets.center.shape)
    assert (x, y) == tuple(((low + high) / 2 // 4).astype(int))


def test_an_unknown_keypoint_is_neither_learned_nor_taken_for_background() -> None:
    one = person(40, 8, 24, 72)
    one[9, 2] = 0
    targets = make_targets(sized(one))
    x, y = (one[9, :2] // 4).astype(int)
    assert targets.heat[9].max() == 0
    assert not targets.heat_judged[9, y, x]
    assert targets.heat_judged[9, 0, -1]
    assert targets.heat_judged[8].all()
    assert (targets.seed_weights[:, 18:20] == 0).all()
    assert (targets.seed_weights[:, 20:] > 0).all()
    assert 9 not in targets.offset_cells[:, 0]


def test_people_with_hardly_a_keypoint_are_ignored() -> None:
    one = person(40, 8, 24, 72)
    one[2:, 2] = 0
    assert not labelled_enough(one[None]).any()
    targets = make_targets(sized(one))
    x, y = (one[0, :2] // 4).astype(int)
    assert targets.center.max() == targets.heat.max() == 0
    assert not targets.center_judged[y, x]
    assert len(targets.seed_cells) == len(targets.offset_cells) == 0


def test_somebody_of_whom_hardly_anything_is_in_view_is_ignored_as_far_as_they_reach() -> None:
    one = person(40, 8, 24, 72)
    one[:, 2] = OUTSIDE
    shown = replace(sized(one), boxes=np.array([[40, 48, 80, 96]], np.float32))
    targets = make_targets(shown)
    assert targets.center.max() == 0
    assert not targets.center_judged[12:24, 10:20].any()
    assert targets.center_judged[:10].all()
    away = make_targets(replace(shown, boxes=np.array([[0, 0, 0, 0]], np.float32)))
    assert away.center_judged.all()


def test_a_keypoint_outside_of_the_view_is_nowhere_in_it() -> None:
    one = person(40, 8, 24, 72)
    one[9, 2] = OUTSIDE
    targets = make_targets(sized(one))
    assert targets.heat[9].max() == 0
    assert (targets.heat_judged[9] == 1).all()
    assert (targets.seed_weights[:, 18:20] == 0).all()
    assert 9 not in targets.offset_cells[:, 0]


def test_a_keypoint_that_is_less_sure_counts_less() -> None:
    one = person(40, 8, 24, 72)
    one[9, 2] = LESS_SURE
    sure, targets = make_targets(sized(person(40, 8, 24, 72))), make_targets(sized(one))
    x, y = (one[9, :2] // 4).astype(int)
    assert targets.heat[9, y, x] == 1
    assert targets.heat_judged[9, y, x] == LESS_SURE
    assert targets.heat_judged[9, 0, -1] == 1
    assert (targets.heat_judged[10] == 1).all()
    assert targets.seed_weights[:, 18:20] == pytest.approx(sure.seed_weights[:, 18:20] * LESS_SURE)
    assert targets.seed_weights[:, 20:] == pytest.approx(sure.seed_weights[:, 20:])
    assert 9 not in targets.offset_cells[:, 0]
    assert 10 in targets.offset_cells[:, 0]


def test_ignored_boxes_are_not_judged_but_where_somebody_is_known() -> None:
    one = person(4, 4, 20, 40)
    targets = make_targets(picture(one, ignored=[(0, 0, 28, 48), (80, 40, 110, 80)]))
    assert not targets.center_judged[15, 24]
    assert not targets.heat_judged[:, 15, 24].any()
    y, x = np.unravel_index(targets.center.argmax(), targets.center.shape)
    assert targets.center_judged[y, x]
    assert targets.center_judged[20, 2]


def test_a_picture_of_nobody_is_all_background() -> None:
    targets = make_targets(picture())
    assert targets.center.max() == targets.heat.max() == 0
    assert targets.center_judged.all()
    assert targets.seeds.shape == (0, 34)
    assert targets.offsets.shape == (0, 2)


@pytest.mark.parametrize(("height", "counted_px"), [(40.0, 48.0), (76.0, None)])
def test_regressions_weigh_by_the_persons_extent_but_not_more_than_those_of_twelve_cells(
    height: float, counted_px: float | None
) -> None:
    one = person(50, 10, height / 2, height)
    low, high = bounds(one[None])[0].reshape(2, 2)
    targets = make_targets(sized(one))
    assert targets.seed_weights == pytest.approx(4 / (counted_px or (high - low).max()), rel=1e-4)


def test_whoever_is_too_small_to_show_a_posture_learns_no_regression() -> None:
    targets = make_targets(sized(person(50, 20, 9, 20), person(90, 20, 20, 50)))
    assert targets.center.max() == 1
    assert (targets.seed_cells[:, 1] > 20).all()
    assert len(targets.seed_cells) == 9
    assert (targets.offset_cells[:, 2] < 18).any()


def test_keypoints_at_the_edge_keep_within_the_maps() -> None:
    targets = make_targets(sized(person(129, 27, 31, 69)))
    height, width = targets.center.shape
    assert (targets.offset_cells[:, 1:] >= 0).all()
    assert (targets.offset_cells[:, 1:] < (height, width)).all()
    assert (targets.seed_cells < (height, width)).all()


def test_from_every_cell_around_a_center_the_regression_says_the_middle_of_the_keypoints_cell() -> None:
    one = person(40, 8, 24, 44)
    targets = make_targets(sized(one))
    assert len(targets.seed_cells) == 9
    wanted = one[:, 1::-1] / 4 - 0.5  # [y, x]: a keypoint in the middle of cell i is at i
    for cell, values in zip(targets.seed_cells, targets.seeds, strict=True):
        assert cell + values.reshape(17, 2) == pytest.approx(wanted, abs=1e-4)


def test_the_nine_cells_around_a_keypoint_learn_how_far_it_is() -> None:
    one = person(40, 8, 24, 72)
    targets = make_targets(sized(one))
    for which in (0, 16):
        chosen = targets.offset_cells[:, 0] == which
        cells, away = targets.offset_cells[chosen, 1:], targets.offsets[chosen]
        assert len({tuple(cell) for cell in cells.tolist()}) == 9
        assert cells + away == pytest.approx(np.broadcast_to(one[which, 1::-1] / 4, (9, 2)), abs=1e-4)


def test_an_unknown_keypoint_may_be_anywhere_in_the_box_of_the_whole_person() -> None:
    one = person(40, 8, 24, 72)
    one[11:, 2] = 0  # of the legs nothing is known ...
    seen = replace(sized(one), boxes=np.array([[40, 8, 64, 84]], np.float32))  # ... but that they are there
    targets = make_targets(seen)
    x, y = (one[15, :2] // 4).astype(int)
    assert not targets.heat_judged[15, y, x]
    assert targets.heat_judged[0, y, x]
    assert make_targets(sized(one)).heat_judged[15, y, x]


def test_a_center_is_as_wide_as_its_person_is_large() -> None:
    widths = []
    for height in (60.0, 150.0, 250.0):
        targets = make_targets(sized(person(60, 4, height / 2, height), width=320, height=288))
        widths.append(int((targets.center.max(axis=0) > 0.5).sum()))
    assert widths == sorted(set(widths))
    assert widths[-1] >= 9
