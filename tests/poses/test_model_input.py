import numpy as np
import pytest
from numpy.typing import NDArray

from builders import frame
from edge.frame import Frame
from edge.poses.letterbox import fit
from edge.poses.model_input import InputMaker, letterbox_into, rotate_into


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
