import numpy as np
import pytest
from numpy.typing import NDArray

from edge.ports import ModelSpec
from edge.poses.decode import Decoder
from edge.poses.letterbox import fit

decode = Decoder().decode
MULTIPOSE = ModelSpec("m", "multipose", (256, 256), "uint8")
SINGLEPOSE = ModelSpec("s", "singlepose", (192, 192), "uint8")

WIDE = fit((1280, 720), (256, 256))  # 56 px of padding above and below: inner y is 0.21875..0.78125
PLAIN = fit((256, 160), (256, 160))


def row(x: float = 0.25, y: float = 0.5, score: float = 0.9) -> NDArray[np.float32]:
    """One MultiPose row: all keypoints at (x, y), growing scores, a lopsided box around."""
    keypoints = np.stack([np.full(17, y), np.full(17, x), np.linspace(0.1, 0.9, 17)], -1)
    return np.concatenate([keypoints.ravel(), [y - 0.1, x - 0.05, y + 0.2, x + 0.15, score]]).astype(np.float32)


def output(*rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pad with empty rows to six."""
    return np.stack([*rows, *[np.zeros(56, np.float32)] * (6 - len(rows))])[None]


def test_y_x_of_the_model_becomes_x_y() -> None:
    (pose,) = decode(MULTIPOSE, [output(row())], PLAIN)
    assert pose.keypoints.shape == (17, 3)
    np.testing.assert_allclose(pose.keypoints[4], [0.25, 0.5, 0.3], atol=1e-6)
    np.testing.assert_allclose(pose.box_xyxy, [0.2, 0.4, 0.4, 0.7], atol=1e-6)
    assert pose.score == pytest.approx(0.9)


def test_keypoints_and_boxes_take_the_same_way_out_of_the_padding() -> None:
    (pose,) = decode(MULTIPOSE, [output(row(x=0.25, y=0.21875))], WIDE)
    np.testing.assert_allclose(pose.keypoints[0, :2], [0.25, 0], atol=1e-6)
    np.testing.assert_allclose(pose.box_xyxy, [0.2, 0, 0.4, 0.2 / 0.5625], atol=1e-6)


def test_boxes_are_clipped_and_keypoints_are_not() -> None:
    (pose,) = decode(MULTIPOSE, [output(row(x=1.1, y=-0.02))], PLAIN)
    np.testing.assert_allclose(pose.keypoints[0, :2], [1.1, -0.02], atol=1e-6)
    np.testing.assert_allclose(pose.box_xyxy, [1, 0, 1, 0.18], atol=1e-6)


def test_the_best_people_come_first_and_the_weak_ones_not_at_all() -> None:
    rows = [row(score=score) for score in (0.3, 0.19, 0.8, 0.2001)]
    poses = decode(MULTIPOSE, [output(*rows)], PLAIN, min_score=0.2)
    assert [round(pose.score, 2) for pose in poses] == [0.8, 0.3, 0.2]


def test_no_keypoint_is_left_out_for_a_low_score() -> None:
    (pose,) = decode(MULTIPOSE, [output(row())], PLAIN)
    assert len(pose.keypoints) == 17


def test_a_single_person_gets_the_mean_score_and_the_box_of_the_trusted_keypoints() -> None:
    keypoints = np.zeros((1, 1, 17, 3), np.float32)
    keypoints[0, 0, :, :2] = 0.95  # not trusted: no part of the box
    keypoints[0, 0, 0] = [0.3, 0.2, 0.9]  # y, x, score
    keypoints[0, 0, 1] = [0.6, 0.5, 0.8]
    (pose,) = decode(SINGLEPOSE, [keypoints], PLAIN, min_score=0.05)
    assert pose.score == pytest.approx(1.7 / 17)
    np.testing.assert_allclose(pose.box_xyxy, [0.2, 0.3, 0.5, 0.6], atol=1e-6)
    np.testing.assert_allclose(pose.keypoints[0], [0.2, 0.3, 0.9], atol=1e-6)


def test_nobody_is_found_where_no_keypoint_is_trusted() -> None:
    assert decode(SINGLEPOSE, [np.full((1, 1, 17, 3), 0.1, np.float32)], PLAIN, min_score=0) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -12.0, 12.0])
@pytest.mark.parametrize("place", [0, 1, 50, 53])
def test_numbers_that_no_model_means_cost_their_person_only(value: float, place: int) -> None:
    """Row: 0 and 1 are y and x of the nose, 50 the score of the last keypoint, 53 a side of the box."""
    bad = row(score=0.8)
    bad[place] = value
    poses = decode(MULTIPOSE, [output(bad, row(score=0.5))], PLAIN)
    kept = poses[-1]
    assert kept.score == pytest.approx(0.5)
    for pose in poses:
        assert np.isfinite(pose.keypoints).all()
        assert np.isfinite(pose.box_xyxy).all()
        assert np.abs(pose.keypoints).max() <= 11
    is_clipped = place >= 50 and not np.isnan(value)  # scores and boxes are
    assert len(poses) == (2 if is_clipped else 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_single_person_of_no_numbers_is_nobody(value: float) -> None:
    assert decode(SINGLEPOSE, [np.full((1, 1, 17, 3), value, np.float32)], PLAIN) == ()
