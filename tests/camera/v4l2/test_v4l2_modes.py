import pytest

from edge.camera.v4l2.device import Mode
from edge.camera.v4l2.modes import choose

VGA, WIDE, HD, FULL = (640, 480), (640, 360), (1280, 720), (1920, 1080)
WEBCAM = (
    Mode("YUYV", VGA, 30), Mode("YUYV", WIDE, 30), Mode("YUYV", HD, 10), Mode("MJPG", HD, 30), Mode("MJPG", FULL, 30),
    Mode("H264", FULL, 60),
)  # fmt: skip


def test_raw_is_taken_where_it_reaches_the_rate() -> None:
    assert choose(WEBCAM, WIDE, 30) == Mode("YUYV", WIDE, 30)
    assert choose(WEBCAM, HD, 10) == Mode("YUYV", HD, 10)


def test_compressed_is_taken_where_raw_is_too_slow() -> None:
    assert choose(WEBCAM, HD, 30) == Mode("MJPG", HD, 30)


def test_ntsc_rates_are_enough() -> None:
    offered = (Mode("YUYV", VGA, 29.97), Mode("MJPG", VGA, 30))
    assert choose(offered, VGA, 30) == offered[0]


def test_raw_is_taken_where_both_are_equally_slow() -> None:
    offered = (Mode("MJPG", VGA, 15), Mode("YUYV", VGA, 15))
    assert choose(offered, VGA, 30) == offered[1]


def test_a_camera_that_cannot_deliver_raw_is_asked_for_compressed() -> None:
    both = (Mode("YUYV", VGA, 30), Mode("MJPG", VGA, 30))
    assert choose(both, VGA, 30, prefer_compressed=True) == both[1]
    assert choose(both[:1], VGA, 30, prefer_compressed=True) == both[0]


@pytest.mark.parametrize(
    ("wanted", "sizes", "taken"),
    [
        ((640, 360), [(320, 240), (640, 480), (1280, 720)], (640, 480)),
        ((640, 360), [(320, 180), (1280, 720), (1920, 1080)], (1280, 720)),
        ((1280, 720), [(640, 480), (800, 600), (640, 360)], (800, 600)),
        ((1280, 720), [(1280, 960), (1920, 1080)], (1920, 1080)),
        ((1280, 720), [(1024, 576), (1920, 1080)], (1920, 1080)),
        ((1280, 720), [(1024, 576), (3840, 2160)], (1024, 576)),
        ((360, 640), [(640, 360), (480, 640)], (480, 640)),
    ],
)
def test_the_nearest_size_is_rather_larger_and_of_the_same_aspect(
    wanted: tuple[int, int], sizes: list[tuple[int, int]], taken: tuple[int, int]
) -> None:
    mode = choose([Mode("YUYV", size, 30) for size in sizes], wanted, 30)
    assert mode is not None
    assert mode.size == taken


def test_the_usual_raw_format_is_preferred() -> None:
    offered = (Mode("RGB3", VGA, 30), Mode("NV12", VGA, 30), Mode("YUYV", VGA, 30))
    assert choose(offered, VGA, 30) == offered[2]


def test_a_mode_without_a_rate_is_trusted() -> None:
    assert choose((Mode("YUYV", VGA, 0), Mode("MJPG", VGA, 30)), VGA, 30) == Mode("YUYV", VGA, 0)


def test_nothing_that_can_be_read_is_nothing() -> None:
    assert choose((Mode("H264", VGA, 30),), VGA, 30) is None
    assert choose((), VGA, 30) is None
