import time
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders import frame
from edge.frame import Frame
from edge.poses.letterbox import fit
from edge.poses.model_input import InputMaker, Scaler, letterbox_into, rotate_into


def painted(width: int, height: int) -> NDArray[np.uint8]:
    """Red left half, green right half, blue bottom third: every turn, mirror and channel swap shows."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 250
    image[:, width // 2 :, 1] = 240
    image[height * 2 // 3 :, :, 2] = 230
    return image


def test_the_tensor_is_the_image_scaled_centred_and_black_around() -> None:
    box = fit((1280, 720), (256, 256))
    out = np.full((1, 256, 256, 3), 7, np.uint8)
    letterbox_into(painted(1280, 720), box, out)
    assert not out[0, :56].any()
    assert not out[0, 200:].any()
    assert out[0, 57, 10].tolist() == [250, 0, 0]
    assert out[0, 57, 250].tolist() == [0, 240, 0]
    assert out[0, 198, 10].tolist() == [250, 0, 230]


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (641, 479), (3840, 2160), (5, 7)])
def test_any_size_of_image_fits_any_input(size: tuple[int, int]) -> None:
    for input_size in ((256, 160), (32, 32), (192, 192)):
        out = np.full((1, input_size[1], input_size[0], 3), 7, np.uint8)
        box = fit(size, input_size)
        letterbox_into(np.full((size[1], size[0], 3), 200, np.uint8), box, out)
        assert (out == 200).all(-1).sum() == box.inner_size[0] * box.inner_size[1]
        assert (out == 0).all(-1).sum() == input_size[0] * input_size[1] - box.inner_size[0] * box.inner_size[1]


def scaled(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    out = np.empty((size[1], size[0], 3), np.uint8)
    Scaler(size).scale_into(image, out)
    return out


sides = st.integers(1, 700)


@settings(deadline=None, max_examples=60)
@given(sides, sides, st.sampled_from([(256, 160), (256, 256), (32, 32), (448, 256)]))
def test_a_place_in_the_image_stays_where_the_letterbox_says(
    width: int, height: int, input_size: tuple[int, int]
) -> None:
    """Ramps along x and y of every size, odd and extreme ones included: no half pixel is lost on the way."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.round((np.arange(width) + 0.5) / width * 255)
    image[..., 1] = np.round((np.arange(height) + 0.5) / height * 255)[:, None]
    inner = fit((width, height), input_size).inner_size
    out = scaled(image, inner)
    for channel, side, target, values in ((0, width, inner[0], out[0, :, 0]), (1, height, inner[1], out[:, 0, 1])):
        expected = (np.arange(target) + 0.5) / target * 255
        edge = 255 * 0.5 / side  # beyond the centre of the outer pixels there is nothing to interpolate
        wrong = np.abs(values - np.clip(expected, edge, 255 - edge))
        assert wrong.max() <= 2.2, channel  # levels; rounded at each halving


@pytest.mark.parametrize(
    ("size", "target"),
    [((1280, 720), (448, 252)), ((641, 479), (214, 160)), ((90, 4000), (5, 256)), ((640, 480), (341, 256))],
)
def test_what_is_one_pixel_thin_is_averaged_and_not_skipped(size: tuple[int, int], target: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[::2] = 255
    assert abs(scaled(image, target).astype(int) - 127).max() <= 45
    nearly = scaled(image[:, : target[0]], (target[0], target[1]))
    assert abs(nearly.astype(int) - 127).max() <= 45  # the sides may need different steps


def test_a_scaler_follows_images_that_change_their_size() -> None:
    scaler, out = Scaler((32, 20)), np.empty((20, 32, 3), np.uint8)
    for size in ((320, 200), (32, 20), (65, 41), (320, 200), (10, 5)):
        image = np.random.default_rng(size[0]).integers(0, 255, (size[1], size[0], 3), np.uint8)
        scaler.scale_into(image, out)
        np.testing.assert_array_equal(out, scaled(image, (32, 20)))


def test_a_small_copy_of_a_camera_image_is_scaled_from_its_own_size() -> None:
    """As of a Pi camera: the letterbox is that of the camera's image."""
    small = painted(320, 180)
    made = InputMaker((256, 160), "uint8", None).make(Frame(small, 0, 0, 0, 0, image_size=(1280, 720)))
    np.testing.assert_array_equal(made.tensor[0, 8:152], scaled(small, (256, 144)))


def test_scaling_allocates_nothing_once_the_sizes_are_known() -> None:
    maker = InputMaker((448, 256), "uint8", None)
    maker.make(frame(width=1280, height=720))
    picture = frame(width=1280, height=720)
    tracemalloc.start()
    try:
        maker.make(picture)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000


def test_scaling_a_720p_image_is_much_cheaper_than_averaging_at_any_ratio() -> None:
    image, size = np.zeros((720, 1280, 3), np.uint8), (448, 252)
    out = np.empty((size[1], size[0], 3), np.uint8)
    scaler = Scaler(size)

    def cost_s(interpolation: int | None) -> float:
        start_s = time.thread_time()
        if interpolation is None:
            scaler.scale_into(image, out)
        else:
            cv2.resize(image, size, dst=out, interpolation=interpolation)
        return time.thread_time() - start_s

    cv2.setNumThreads(1)
    assert min(cost_s(None) for _ in range(7)) < 0.5 * min(cost_s(cv2.INTER_AREA) for _ in range(7))


@pytest.mark.parametrize(("degrees", "top_left"), [(90, [250, 0, 230]), (180, [0, 240, 230]), (270, [0, 240, 0])])
def test_an_image_turns_clockwise(degrees: int, top_left: list[int]) -> None:
    image = painted(60, 30)
    out = np.empty((60, 30, 3) if degrees != 180 else (30, 60, 3), np.uint8)
    rotate_into(image, degrees, out)
    assert out[0, 0].tolist() == top_left


def test_a_maker_uses_its_buffers_again_but_never_one_that_is_held() -> None:
    maker = InputMaker((64, 32), "uint8", None)
    held = maker.make(frame())
    before = held.tensor.copy()
    bright = Frame(np.full((36, 64, 3), 255, np.uint8), 1, 0, 0, 0)
    addresses = {maker.make(bright).tensor.ctypes.data for _ in range(10)}
    assert len(addresses) == 1
    assert held.tensor.ctypes.data not in addresses
    np.testing.assert_array_equal(held.tensor, before)


def test_a_maker_follows_a_camera_that_changes_its_size() -> None:
    maker = InputMaker((64, 32), "uint8", None)
    assert maker.make(frame(width=64, height=32)).letterbox.pad_px == (0, 0)
    assert maker.make(frame(width=32, height=32)).letterbox.pad_px == (16, 0)


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
def test_pixels_are_looked_up_in_the_codes_of_the_model(dtype: str) -> None:
    codes = (np.arange(256) - 128).astype(dtype)
    made = InputMaker((64, 32), dtype, codes).make(frame(width=64, height=32))
    assert made.tensor.dtype == dtype
    assert (made.tensor == 90 - 128).all()


def test_an_input_without_its_image_still_knows_the_size() -> None:
    made = InputMaker((64, 32), "uint8", None).make(frame(width=64, height=36)).without_image()
    assert made.frame.image.size == 0
    assert made.frame.size == (64, 36)
