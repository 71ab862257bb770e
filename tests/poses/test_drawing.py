import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from builders import image, pose
from edge.frame import Image
from edge.poses.drawing import Colours, draw_poses, draw_text_lines
from edge.poses.pose import Pose

GREY = 90
COLOURS = Colours()


def drawn(*poses: Pose, width: int = 640, height: int = 360, labels: bool = False) -> Image:
    canvas = image(width, height, GREY)
    draw_poses(canvas, poses, labels=labels)
    return canvas


def touched(canvas: Image) -> NDArray[np.bool_]:
    return np.asarray((canvas != GREY).any(axis=2))


def near(canvas: Image, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((np.abs(canvas.astype(int) - colour) < 20).all(axis=2))


def test_the_persons_left_and_right_have_their_colours_on_their_sides() -> None:
    """A person who faces the camera has the left hand at the right of the image."""
    canvas = drawn(pose(x=0.3, width=0.3))
    left = np.argwhere(near(canvas, COLOURS.left))[:, 1]
    right = np.argwhere(near(canvas, COLOURS.right))[:, 1]
    assert len(left) > 100
    assert len(right) > 100
    assert left.mean() > right.mean() + 20


def test_keypoints_are_drawn_where_they_are() -> None:
    """X and y are not swapped, nothing is mirrored."""
    one = pose(x=0.6, y=0.1, width=0.2, height=0.5)
    canvas = drawn(one)
    for x, y, _ in one.keypoints.tolist():
        assert canvas[int(y * 360), int(x * 640)].max() > 200
    rows, columns = np.nonzero(touched(canvas))
    assert columns.min() > 0.6 * 640 - 5
    assert rows.max() < 0.6 * 360 + 5


def test_keypoints_with_low_scores_are_left_out() -> None:
    scores = np.full(17, 0.8, np.float32)
    scores[11:] = 0.29  # hips and legs
    rows = np.nonzero(touched(drawn(pose(y=0.2, height=0.6, keypoint_score=scores))))[0]
    assert rows.max() < (0.2 + 0.6 * 0.6) * 360
    assert not touched(drawn(pose(keypoint_score=0.1))).any()


def test_no_poses_and_no_lines_leave_the_image_as_it_is() -> None:
    canvas = drawn(labels=True)
    draw_text_lines(canvas, [])
    assert not touched(canvas).any()


def test_lines_are_smoothed() -> None:
    """Hard edges would leave only the colours of the palette."""
    canvas = drawn(pose(width=0.3))
    palette = near(canvas, COLOURS.left) | near(canvas, COLOURS.right)
    assert len(np.unique(canvas[touched(canvas) & ~palette], axis=0)) > 50


@pytest.mark.parametrize("height", [240, 720, 2160])
def test_lines_keep_their_share_of_the_image_from_240_lines_to_4k(height: int) -> None:
    share = touched(drawn(pose(width=0.3, height=0.8), width=height * 16 // 9, height=height)).mean()
    assert 0.01 < share < 0.04


def test_status_fits_across_the_picture_of_a_turned_camera() -> None:
    """As large as on the same picture lying, not by its height: 720 columns must hold date and time."""
    upright, lying = image(720, 1280, GREY), image(1280, 720, GREY)
    for canvas in (upright, lying):
        draw_text_lines(canvas, ["2026-01-31 12:00:00.1 UTC"])
    assert touched(upright).sum() == touched(lying).sum()
    assert np.nonzero(touched(upright))[1].max() < 0.7 * 720


def test_reversed_colours_draw_the_same_onto_a_bgr_image() -> None:
    rgb, bgr = image(640, 360, GREY), image(640, 360, GREY)
    draw_poses(rgb, [pose(width=0.3, track_id=1)])
    draw_poses(bgr, [pose(width=0.3, track_id=1)], colours=COLOURS.reversed())
    assert (rgb == bgr[:, :, ::-1]).all()


def test_small_people_have_thinner_lines() -> None:
    """A person of 40 px must not become a blot."""
    small = touched(drawn(pose(x=0.4, y=0.4, width=0.02, height=0.055), width=1280, height=720))
    box = small[int(0.4 * 720) : int(0.455 * 720), int(0.4 * 1280) : int(0.42 * 1280)]
    assert box.mean() < 0.8


def test_a_label_stands_above_the_head_on_a_plate_it_can_be_read_on() -> None:
    bright = np.full((360, 640, 3), 255, np.uint8)
    draw_poses(bright, [pose(x=0.4, y=0.4, width=0.1, height=0.4, keypoint_score=0.0, track_id=3)])
    rows, columns = np.nonzero((bright != 255).any(axis=2))
    assert 0.3 * 360 < rows.min() < rows.max() < 0.42 * 360
    assert abs(columns.mean() - 0.45 * 640) < 15
    plate = bright[rows.min() : rows.max(), columns.min() : columns.max()]
    assert np.median(plate) < 100
    assert plate.max() > 240


def test_tracked_people_have_longer_labels_than_tentative_ones() -> None:
    tentative = touched(drawn(pose(keypoint_score=0.0), labels=True))
    tracked = touched(drawn(pose(keypoint_score=0.0, track_id=12), labels=True))
    assert tracked.sum() > 1.3 * tentative.sum()


@pytest.mark.parametrize(("x", "y"), [(-0.1, -0.3), (0.95, 0.9), (-0.9, 0.2), (0.3, 1.4)])
def test_labels_of_people_at_the_edge_stay_inside(x: float, y: float) -> None:
    canvas = drawn(pose(x=x, y=y, keypoint_score=0.0, track_id=7), labels=True)
    whole = drawn(pose(keypoint_score=0.0, track_id=7), labels=True)
    assert touched(canvas).sum() == pytest.approx(touched(whole).sum(), rel=0.02)


def test_status_lines_stand_below_each_other_in_the_corner() -> None:
    canvas = image(640, 360, GREY)
    draw_text_lines(canvas, ["24.8 fps", "latency 41 ms", "3 people"])
    rows, columns = np.nonzero(touched(canvas))
    assert rows.max() < 0.25 * 360
    assert columns.max() < 0.4 * 640


def test_the_drawing_order_is_by_score_not_by_place_in_the_list() -> None:
    behind, front = pose(width=0.2, score=0.4), pose(x=0.33, width=0.2, score=0.9)
    assert (drawn(behind, front, labels=True) == drawn(front, behind, labels=True)).all()


wild = st.floats(allow_nan=True, allow_infinity=True, width=32) | st.floats(-3, 4, width=32)


@given(
    hnp.arrays(np.float32, (17, 3), elements=wild),
    hnp.arrays(np.float32, 4, elements=st.floats(0, 1, width=32)),
    st.sampled_from([(1, 1), (3, 200), (200, 3), (64, 36)]),
)
def test_no_keypoint_and_no_image_size_breaks_the_drawing(
    keypoints: NDArray[np.float32], box: NDArray[np.float32], size: tuple[int, int]
) -> None:
    canvas = image(*size)
    draw_poses(canvas, [Pose(keypoints, box, 0.5, 1)])
    draw_text_lines(canvas, ["a line that is longer than any of these images are wide"])
    assert canvas.shape == (size[1], size[0], 3)
