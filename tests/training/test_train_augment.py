"""Keypoints go where their pixels go."""

import numpy as np
import pytest

from edge.frame import Image
from tools.train.data.augment import Variety, View, choose_view, mosaic, recolour, take_view
from tools.train.data.picture import OUTSIDE, Picture
from training.small import image, person, picture

SIDE = 64


def dotted(x: int, y: int, keypoint: int = 5) -> Picture:
    """A black picture with one person, all of whose keypoints are in one place, where the picture is bright."""
    black = np.zeros((90, 120, 3), np.uint8)
    black[y - 3 : y + 3, x - 3 : x + 3] = 255
    people = np.zeros((1, 17, 3), np.float32)
    people[0, keypoint] = (x, y, 2)
    box = np.array([[x - 3, y - 3, x + 3, y + 3]], np.float32)
    return Picture(black, people, box, box, "dot")


def brightest(shown: Image) -> tuple[float, float]:
    """Return x, y of the middle of what is bright, in edges' coordinates."""
    ys, xs = np.indices(shown.shape[:2])
    weights = shown[..., 0].astype(float)
    return float(((xs + 0.5) * weights).sum() / weights.sum()), float(((ys + 0.5) * weights).sum() / weights.sum())


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.3])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_a_keypoint_stays_on_its_pixel(scale: float, mirrored: bool, degrees: float) -> None:
    source = dotted(71, 33)
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    focus = np.array([120 - 71 if mirrored else 71, 33.0])
    view = View(np.column_stack([linear, (40.5, 21.0) - linear @ focus]).astype(np.float32), mirrored)
    seen = take_view(source, view, SIDE, np.random.default_rng(1))
    which = 6 if mirrored else 5  # the other shoulder
    assert seen.people[0, :, 2].nonzero()[0].tolist() == [which]
    assert seen.people[0, which, :2] == pytest.approx((40.5, 21.0), abs=0.01)
    # The border may be of any colour; around the dot there is none.
    around = np.zeros_like(seen.image)
    around[11:31, 30:51] = seen.image[11:31, 30:51]
    assert brightest(around) == pytest.approx((40.5, 21.0), abs=0.3)
    assert seen.boxes.tolist() == seen.ignored.tolist()
    x0, y0, x1, y1 = seen.ignored[0]
    assert x0 < 40.5 < x1
    assert y0 < 21.0 < y1


def test_what_leaves_the_view_is_known_to_be_outside_and_what_is_unknown_stays_so() -> None:
    view = View(np.array([[1, 0, -60], [0, 1, 0]], np.float32), mirrored=False)
    seen = take_view(dotted(20, 30), view, SIDE, np.random.default_rng(0))
    assert seen.people[0, 5, 2] == OUTSIDE
    assert (np.delete(seen.people[0, :, 2], 5) == 0).all()
    assert len(seen.ignored) == 0
    assert seen.boxes.shape == (1, 4)  # a person keeps their place among the others


def test_chosen_views_have_people_in_them_of_the_wanted_sizes() -> None:
    rng = np.random.default_rng(3)
    variety = Variety(whole=0.0, min_extent_px=20, max_extent_px=50)
    extents = []
    for _ in range(60):
        source = picture(person())
        seen = take_view(source, choose_view(source, SIDE, rng, variety), SIDE, rng)
        assert (seen.people[..., 2] > 0).any()
        extents.append(np.ptp(seen.people[0, :, 1]))
    assert min(extents) < 27
    assert max(extents) > 40


def test_close_views_show_people_from_the_head_down_as_large_as_the_view_and_cut_off() -> None:
    rng = np.random.default_rng(4)
    variety = Variety(whole=0.0, close=1.0, tilted=0.0)
    heights, lowest, tops = [], [], []
    for _ in range(80):
        source = picture(person(40, 5, 30, 80))
        seen = take_view(source, choose_view(source, SIDE, rng, variety), SIDE, rng)
        known = seen.people[0, :, 2] > 0
        heights.append(np.ptp(seen.people[0, :, 1]) / SIDE)
        lowest.append(known[15:].any())
        tops.append(seen.people[0, 0, 2] > 0)
        assert (seen.boxes[0] >= 0).all()
        assert (seen.boxes[0] <= SIDE).all()
    assert min(heights) < 0.8
    assert max(heights) > 1.5
    assert np.mean(lowest) < 0.6  # most have no ankles in view
    assert np.mean(tops) > 0.9


def test_whole_pictures_are_where_letterboxing_puts_them_or_anywhere() -> None:
    rng = np.random.default_rng(4)
    variety = Variety(whole=1.0, tilted=0.0)
    corners = []
    for _ in range(300):
        source = picture(person())  # 120x90
        view = choose_view(source, SIDE, rng, variety)
        scale = np.diag(view.matrix)
        spare = SIDE - scale * (120, 90)
        if (spare > 4).all():
            corners.append(view.matrix[:, 2] / spare)
    shares = np.array(corners)
    assert len(shares) > 30
    assert 0.2 < (np.abs(shares) < 0.08).all(axis=1).mean() < 0.6  # top left
    assert (np.abs(shares - 0.5) < 0.08).all(axis=1).mean() > 0.1  # in the middle
    assert shares.max() > 0.8


def test_a_picture_of_nobody_is_shown_whole() -> None:
    source = picture()
    seen = take_view(
        source, choose_view(source, SIDE, np.random.default_rng(0), Variety()), SIDE, np.random.default_rng(0)
    )
    assert seen.image.shape == (SIDE, SIDE, 3)
    assert seen.people.shape == (0, 17, 3)


def test_a_mosaic_puts_four_views_row_by_row() -> None:
    parts = []
    for number in range(4):
        people = person(2, 1, 10, 20)[None]
        people[0, 4, 2] = 0
        shade = np.full((32, 32, 3), 50 * (number + 1), np.uint8)
        box = np.array([[1, 2, 3, 4]], np.float32)
        parts.append(Picture(shade, people, box + 4, box, f"part {number}"))
    whole = mosaic(parts)
    assert whole.image[[10, 10, 50, 50], [10, 50, 10, 50], 0].tolist() == [50, 100, 150, 200]
    assert whole.people[3, 0, :2] - parts[3].people[0, 0, :2] == pytest.approx((32, 32))
    assert whole.people[1, 0, :2] - parts[1].people[0, 0, :2] == pytest.approx((32, 0))
    assert (whole.people[:, 4, 2] == 0).all()
    assert whole.ignored[2].tolist() == [1, 34, 3, 36]
    assert whole.boxes[1].tolist() == [37, 6, 39, 8]
    assert whole.name == "part 0, part 1, part 2, part 3"


def test_another_light_changes_pixels_but_not_their_form() -> None:
    before = image(48, 48)
    rng = np.random.default_rng(0)
    made = [recolour(before, rng) for _ in range(30)]
    assert all(each.shape == before.shape and each.dtype == np.uint8 for each in made)
    assert len({each.tobytes() for each in made}) == 30
    assert before.tobytes() == image(48, 48).tobytes()
