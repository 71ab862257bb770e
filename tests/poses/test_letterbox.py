import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from builders import to_input
from edge.poses.letterbox import fit

sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
input_sizes = st.tuples(st.integers(1, 20), st.integers(1, 20)).map(lambda size: (size[0] * 32, size[1] * 32))


@given(sizes, input_sizes, st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))
def test_a_point_survives_the_way_into_the_input_and_back(
    image_size: tuple[int, int], input_size: tuple[int, int], x: float, y: float
) -> None:
    box = fit(image_size, input_size)
    point = np.array([x, y], np.float32)
    tolerance = 1e-5 * max(input_size) / min(box.inner_size)
    np.testing.assert_allclose(box.to_image(to_input(box, point)), point, atol=tolerance)


@given(sizes, input_sizes)
def test_the_image_lies_inside_the_input_and_fills_one_side(
    image_size: tuple[int, int], input_size: tuple[int, int]
) -> None:
    box = fit(image_size, input_size)
    for inner, pad, whole in zip(box.inner_size, box.pad_px, input_size, strict=True):
        assert inner >= 1
        assert pad >= 0
        assert pad + inner <= whole
        assert abs(whole - inner - 2 * pad) <= 1  # centred
    assert box.inner_size[0] == input_size[0] or box.inner_size[1] == input_size[1]


@given(sizes, input_sizes)
def test_the_aspect_is_kept_to_within_half_a_pixel(image_size: tuple[int, int], input_size: tuple[int, int]) -> None:
    box = fit(image_size, input_size)
    scale = min(input_size[0] / image_size[0], input_size[1] / image_size[1])
    for inner, side in zip(box.inner_size, image_size, strict=True):
        assert abs(inner - side * scale) <= 0.5 + 1e-6 or inner == 1


def test_padding_is_removed_on_the_axis_that_has_it() -> None:
    """A 16:9 image in a square input: without the way back, y would be 0.56 times as long."""
    box = fit((1280, 720), (256, 256))
    assert box.inner_size == (256, 144)
    assert box.pad_px == (0, 56)
    np.testing.assert_allclose(box.to_image(np.array([[0.25, 56 / 256], [0.75, 200 / 256]])), [[0.25, 0], [0.75, 1]])


def test_a_portrait_image_is_padded_left_and_right() -> None:
    box = fit((720, 1280), (256, 160))
    assert box.inner_size == (90, 160)
    assert box.pad_px == (83, 0)
