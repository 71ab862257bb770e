"""What is read from a device's answers; the answers are laid out as linux/videodev2.h says."""

import errno
from pathlib import Path

import pytest

from edge.camera.v4l2 import device as v4l2_device
from edge.camera.v4l2.device import Mode, device, is_busy, modes, query, rate_for
from fake_v4l2 import Requests

WEBCAM = Requests(
    {
        "YUYV": {(640, 480): [(1, 30), (1, 15)], (1280, 720): [(1, 10), (1, 5)]},
        "MJPG": {(1280, 720): [(1001, 30000), (1, 15)]},
    }
)


def test_the_numbers_of_the_requests_are_the_kernels() -> None:
    assert [v4l2_device.QUERYCAP, v4l2_device.ENUM_FMT, v4l2_device.REQBUFS] == [0x80685600, 0xC0405602, 0xC0145608]
    assert [v4l2_device.ENUM_FRAMESIZES, v4l2_device.ENUM_FRAMEINTERVALS] == [0xC02C564A, 0xC034564B]


def test_a_device_says_what_it_is() -> None:
    capability = query(WEBCAM)
    assert (capability.driver, capability.card, capability.captures) == ("uvcvideo", "Acme Cam", True)


@pytest.mark.parametrize(("flags", "captures"), [(0x1, True), (0x1000, True), (0x0080_0000, False), (0x2, False)])
def test_the_flags_of_the_node_count_and_not_those_of_the_product(flags: int, *, captures: bool) -> None:
    assert query(Requests({}, flags=flags)).captures is captures


def test_every_format_and_size_comes_with_the_rate_that_is_nearest() -> None:
    assert modes(WEBCAM, 1, (640, 480), 15) == (
        Mode("YUYV", (640, 480), 15.0),
        Mode("YUYV", (1280, 720), 10.0),
        Mode("MJPG", (1280, 720), 15.0),
    )


def test_of_a_range_of_sizes_the_one_asked_for_is_taken_in_steps() -> None:
    capture = Requests({"YUYV": {(32, 1920, 16, 32, 1080, 2): [(1, 25)]}})
    assert modes(capture, 1, (650, 361), 30) == (Mode("YUYV", (640, 360), 25.0),)
    assert modes(capture, 1, (4000, 16), 30) == (Mode("YUYV", (1920, 32), 25.0),)


def test_a_device_without_lists_offers_nothing() -> None:
    def refuses(code: int, buffer: bytearray) -> None:  # noqa: ARG001
        raise OSError(errno.ENOTTY, "not supported")

    assert modes(refuses, 1, (640, 360), 30) == ()


def test_a_list_that_never_ends_is_given_up() -> None:
    calls = []

    def endless(code: int, buffer: bytearray) -> None:
        calls.append(code)
        if code != v4l2_device.ENUM_FMT:
            raise OSError(errno.EINVAL, "none")
        assert buffer

    assert modes(endless, 1, (640, 360), 30) == ()
    assert len(calls) < 1000


@pytest.mark.parametrize(
    ("rates", "wanted", "taken"),
    [([30, 15, 5], 15, 15), ([30, 15], 20, 30), ([29.97, 60], 30, 29.97), ([10, 5], 30, 10), ([], 30, 0)],
)
def test_the_lowest_rate_that_is_enough_is_taken(rates: list[float], wanted: float, taken: float) -> None:
    assert rate_for(rates, wanted) == taken


def test_a_device_that_streams_for_another_process_is_busy() -> None:
    assert is_busy(Requests({}, busy=True), 1)
    assert not is_busy(WEBCAM, 1)


def test_what_is_no_video_device_refuses_the_question() -> None:
    with device("/dev/null") as call, pytest.raises(OSError, match="ioctl"):
        query(call)


def test_what_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), device(str(tmp_path / "video0")):
        pass
