"""Pixel formats become RGB as OpenCV's own conversion of the whole picture does it, padded rows or not."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.camera.pi.pixels import FORMATS, Layout, RgbReader
from edge.frame import Image

WIDTH, HEIGHT = 22, 10  # height not a multiple of 4: a chroma plane then ends in the middle of a row of OpenCV's


def picture() -> Image:
    """Red grows to the right, green grows downwards, and the left is blue."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0] = np.linspace(0, 250, WIDTH)
    image[..., 1] = np.linspace(20, 220, HEIGHT)[:, np.newaxis]
    image[:, : WIDTH // 3, 2] = 200
    return image


def planes(image: Image, name: str) -> list[NDArray[np.uint8]]:
    """Lay a picture out as libcamera's format `name` does, without padding; by hand, to read as a definition."""
    r, g, b = (image[..., at] for at in range(3))
    x = np.full_like(r, 77)
    if name in {"BGR888", "RGB888", "XBGR8888", "XRGB8888"}:
        order = {"BGR888": (r, g, b), "RGB888": (b, g, r), "XBGR8888": (r, g, b, x), "XRGB8888": (b, g, r, x)}[name]
        return [np.stack(order, axis=-1).reshape(HEIGHT, -1)]
    i420 = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8).ravel()
    y = i420[: WIDTH * HEIGHT].reshape(HEIGHT, WIDTH)
    u, v = i420[WIDTH * HEIGHT :].reshape(2, HEIGHT // 2, WIDTH // 2)
    if name in {"YUV420", "YVU420"}:
        return [y, u, v] if name == "YUV420" else [y, v, u]
    if name in {"NV12", "NV21"}:
        return [y, np.stack((u, v) if name == "NV12" else (v, u), axis=-1).reshape(HEIGHT // 2, WIDTH)]
    wide_u, wide_v = (np.repeat(plane, 2, axis=0) for plane in (u, v))
    even, odd = y[:, ::2], y[:, 1::2]
    order = {
        "YUYV": (even, wide_u, odd, wide_v),
        "YVYU": (even, wide_v, odd, wide_u),
        "UYVY": (wide_u, even, wide_v, odd),
    }[name]
    return [np.stack(order, axis=-1).reshape(HEIGHT, -1)]


def buffer(image: Image, name: str, padding: int, tail: int = 0) -> tuple[NDArray[np.uint8], int]:
    """Return the bytes of a picture whose rows are padded with noise, and the stride of the first plane."""
    found = planes(image, name)
    stride = found[0].shape[1] + padding
    parts = []
    for at, plane in enumerate(found):
        row = stride // 2 if at and len(found) == 3 else stride
        rows = np.random.default_rng(3).integers(0, 256, (plane.shape[0], row), np.uint8)
        rows[:, : plane.shape[1]] = plane
        parts.append(rows.ravel())
    return np.concatenate([*parts, np.full(tail, 9, np.uint8)]), stride


def read(image: Image, name: str, padding: int, tail: int = 0) -> Image:
    data, stride = buffer(image, name, padding, tail)
    out = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    RgbReader(Layout(name, (WIDTH, HEIGHT), stride)).read_into(data, out)
    return out


@pytest.mark.parametrize("padding", [0, 10])
@pytest.mark.parametrize("name", ["BGR888", "RGB888", "XBGR8888", "XRGB8888"])
def test_rgb_formats_are_read_bit_for_bit_whatever_the_order_in_memory(name: str, padding: int) -> None:
    assert (read(picture(), name, padding) == picture()).all()


@pytest.mark.parametrize("padding", [0, 10])
@pytest.mark.parametrize("name", ["NV12", "NV21", "YUV420", "YVU420"])
def test_planar_formats_become_what_opencv_makes_of_the_unpadded_picture(name: str, padding: int) -> None:
    i420 = cv2.cvtColor(picture(), cv2.COLOR_RGB2YUV_I420)
    assert (read(picture(), name, padding) == cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)).all()


@pytest.mark.parametrize("padding", [0, 10])
@pytest.mark.parametrize("name", ["YUYV", "YVYU", "UYVY"])
def test_packed_yuv_keeps_the_colours(name: str, padding: int) -> None:
    i420 = cv2.cvtColor(picture(), cv2.COLOR_RGB2YUV_I420)
    want = np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420), np.int16)
    assert np.abs(read(picture(), name, padding) - want).max() <= 1


def test_every_format_that_is_promised_is_tested_here() -> None:
    for name in FORMATS:
        assert (
            np.abs(read(picture(), name, 2).mean(axis=(0, 1)) - picture().mean(axis=(0, 1))).max() < 20
        )  # red and blue are 60 apart


@pytest.mark.parametrize("name", ["RGB888", "NV12", "YUV420"])
def test_a_buffer_may_be_longer_than_its_picture(name: str) -> None:
    assert (read(picture(), name, 4, tail=100) == read(picture(), name, 4)).all()


def test_a_kept_image_is_written_not_replaced() -> None:
    data, stride = buffer(picture(), "YUV420", 10)
    out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    reader = RgbReader(Layout("YUV420", (WIDTH, HEIGHT), stride))
    reader.read_into(data, out)
    before = out.copy()
    reader.read_into(np.zeros_like(data), out)
    assert (out != before).any()


def test_an_unreadable_format_is_named() -> None:
    with pytest.raises(ValueError, match="MJPEG cannot be read, only BGR888, NV12"):
        RgbReader(Layout("MJPEG", (640, 480), 640))


@pytest.mark.parametrize(
    "layout", [Layout("NV12", (64, 36), 63), Layout("YUV420", (63, 36), 64), Layout("RGB888", (64, 36), 64)]
)
def test_a_layout_that_contradicts_itself_is_refused(layout: Layout) -> None:
    with pytest.raises(ValueError, match=layout.format):
        RgbReader(layout)


def test_a_buffer_that_is_too_short_is_refused() -> None:
    reader = RgbReader(Layout("NV12", (WIDTH, HEIGHT), 32))
    with pytest.raises(ValueError, match="a buffer of 479 bytes where 480 are needed"):
        reader.read_into(np.zeros(479, np.uint8), np.empty((HEIGHT, WIDTH, 3), np.uint8))
