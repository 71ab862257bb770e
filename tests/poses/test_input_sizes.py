"""The input's size follows the shape of the picture, in three steps of area."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.poses.input_sizes import LEVELS, SIZES, input_sizes
from edge.poses.letterbox import fit

image_sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@pytest.mark.parametrize(
    ("image_size", "largest"),
    [
        ((1280, 720), (448, 256)),
        ((1920, 1080), (448, 256)),
        ((640, 480), (384, 288)),
        ((640, 427), (384, 288)),
        ((500, 500), (320, 320)),
        ((480, 640), (256, 320)),
        ((720, 1280), (224, 384)),
        ((4000, 700), (448, 256)),  # a panorama
        ((10, 4000), (224, 384)),
        ((1, 1), (320, 320)),
    ],
)
def test_the_shape_is_the_one_that_needs_least_padding(image_size: tuple[int, int], largest: tuple[int, int]) -> None:
    assert input_sizes(image_size)[0] == largest


@given(image_sizes)
def test_no_other_shape_would_use_more_of_the_input(image_size: tuple[int, int]) -> None:
    def used(size: tuple[int, int]) -> float:
        inner_w, inner_h = fit(image_size, size).inner_size
        return inner_w * inner_h / (size[0] * size[1])

    assert used(input_sizes(image_size)[0]) == max(used(sizes[0]) for sizes in SIZES.values())


@given(image_sizes)
def test_an_upright_picture_gets_an_upright_input(image_size: tuple[int, int]) -> None:
    width, height = image_size
    for input_w, input_h in input_sizes(image_size):
        assert width <= height or input_w >= input_h
        assert width >= height or input_w <= input_h
        assert input_h <= 384


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_each_shape_has_three_sizes_that_a_model_takes_of_falling_area(sizes: tuple[tuple[int, int], ...]) -> None:
    assert len(sizes) == LEVELS
    assert all(side % 32 == 0 and side >= 128 for size in sizes for side in size)
    areas = [width * height for width, height in sizes]
    assert all(1.3 < larger / smaller < 2.3 for larger, smaller in itertools.pairwise(areas))


def test_the_sizes_of_one_level_cost_about_the_same() -> None:
    for level in range(LEVELS):
        areas = [sizes[level][0] * sizes[level][1] for sizes in SIZES.values()]
        assert max(areas) / min(areas) < 1.45
