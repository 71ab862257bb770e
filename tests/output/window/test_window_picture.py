import numpy as np
import pytest

from builders import image, pose
from edge.frame import Frame, Image
from edge.output.window.picture import first_size, fit, paint
from edge.ports import PoseFrame
from edge.poses.pose import Pose


def quarters() -> Image:
    """An image whose left top quarter is red, the rest blue."""
    made = image(80, 40, 0)
    made[..., 2] = 200
    made[:20, :40] = (200, 0, 0)
    return made


def result(*people: Pose) -> PoseFrame:
    return PoseFrame(Frame(quarters(), 0, 1.0, 1.0, 1.0), people, 1.0)


def one_person() -> PoseFrame:
    return result(pose(x=0.6, y=0.5, height=0.4, width=0.2))


def painted(
    shown: PoseFrame, *, width: int = 160, height: int = 80, private: bool = False, dimmed: bool = False
) -> Image:
    canvas = image(width, height, 77)
    paint(shown, canvas, private=private, dimmed=dimmed)
    return canvas


@pytest.mark.parametrize(("width", "height"), [(80, 40), (160, 80), (30, 15)])
def test_the_picture_is_scaled_to_the_canvas_with_its_colours(width: int, height: int) -> None:
    canvas = painted(result(), width=width, height=height)
    assert canvas[2, 2].tolist() == [200, 0, 0]
    assert canvas[-2, 2].tolist() == [0, 0, 200]


def test_skeletons_are_drawn_onto_it() -> None:
    changed = (painted(one_person()) != painted(result())).any(axis=2)
    assert changed[40:, 96:128].any()
    assert not changed[:, :80].any()


def test_private_is_skeletons_on_black_without_a_look_at_the_image() -> None:
    canvas = painted(one_person(), private=True)
    assert (canvas[:, :80] == 0).all()
    assert canvas.any()
    shown = one_person()
    gone = PoseFrame(shown.frame.without_image(), shown.poses, 1.0)
    assert (painted(gone, private=True) == canvas).all()


def test_an_old_picture_is_dark_and_without_skeletons() -> None:
    canvas = painted(one_person(), dimmed=True)
    assert (canvas == painted(result(), dimmed=True)).all()
    assert canvas[2, 2].tolist() == [50, 0, 0]


def test_the_image_itself_is_never_drawn_on() -> None:
    shown = one_person()
    painted(shown, width=80, height=40)
    painted(shown, width=80, height=40, dimmed=True)
    assert np.array_equal(shown.frame.image, quarters())


@pytest.mark.parametrize(
    ("size", "into", "expected"),
    [((1280, 720), (640, 640), (640, 360)), ((720, 1280), (640, 640), (360, 640)), ((64, 36), (1280, 800), (1280, 720)),
     ((1280, 720), (959, 539), (959, 539)), ((5000, 3), (100, 100), (100, 1))],
)  # fmt: skip
def test_a_picture_keeps_its_aspect_whatever_the_window(
    size: tuple[int, int], into: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fit(size, into) == expected


def test_a_window_begins_with_the_pictures_own_size() -> None:
    assert first_size((1280, 720), (1920, 1080)) == (1280, 720)


def test_on_a_small_screen_a_window_begins_smaller() -> None:
    width, height = first_size((1280, 720), (800, 480))
    assert (width, height) == (720, 405)


def test_a_tiny_picture_is_enlarged_for_the_texts() -> None:
    assert first_size((160, 120), (1920, 1080)) == (640, 480)
