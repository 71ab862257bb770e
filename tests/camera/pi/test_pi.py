"""The driver of the Pi's camera port, over objects shaped like picamera2's."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from edge.camera.pi.driver import PiCamera
from edge.camera.pi.stream import Wish, small_size
from edge.errors import CameraLostError
from edge.frame import Frame, Image
from scripted_pi import Rig, ScriptedLibrary, numbered

SIZE = (96, 64)


@contextmanager
def opened(rig: Rig, **options: Any) -> Iterator[PiCamera]:
    camera = pi(rig, **options)
    camera.open()
    try:
        yield camera
    finally:
        camera.close()


def pi(
    rig: Rig, *, small_px: int | None = None, hflip: bool = False, size: tuple[int, int] = SIZE, **rest: Any
) -> PiCamera:
    wish = Wish(size, 25.0, hflip=hflip, small_px=small_px)
    return PiCamera(rest.pop("number", 0), ScriptedLibrary(rig), wish=wish, **rest)


def read(camera: PiCamera) -> Frame:
    frame = camera.read()
    assert frame is not None
    return frame


def adjusted(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Return an `adjust` that changes the main stream."""
    return lambda config: config["main"].update(changes)


def is_close(image: Image, want: Image) -> bool:
    """True when the colours are the same but for what YUV loses."""
    return image.shape == want.shape and float(np.abs(image.astype(int) - want).mean()) < 6


@pytest.mark.parametrize("name", ["BGR888", "RGB888", "NV12", "YUV420"])
def test_whatever_format_is_negotiated_the_picture_has_its_colours(name: str) -> None:
    with opened(Rig(adjust=adjusted(format=name))) as camera:
        assert is_close(read(camera).image, numbered(0))


def test_a_silent_adjustment_is_used_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    camera = pi(Rig(adjust=adjusted(format="NV12", size=(64, 48))))
    for _ in range(2):
        camera.open()
        assert camera.size == read(camera).size == (64, 48)
        camera.close()
    assert caplog.messages == ["pi (imx708): 64x48 NV12 (asked for 96x64 at 25 fps)"]


def test_an_unreadable_format_is_named_and_the_camera_released() -> None:
    rig = Rig(adjust=adjusted(format="SRGGB10"))
    with pytest.raises(CameraLostError, match="pi: cannot be set up: SRGGB10 cannot be read, only"):
        pi(rig).open()
    assert rig.opened == []


def test_a_pi_without_a_camera_is_lost_until_there_is_one() -> None:
    rig = Rig(models=[])
    camera = pi(rig)
    with pytest.raises(CameraLostError, match="pi: no camera is connected: check its cable"):
        camera.open()
    assert not camera.is_back()
    rig.models.append("imx219")
    assert camera.is_back()
    camera.open()
    assert read(camera).index == 0
    camera.close()
    assert not camera.is_back()  # it was not absent: only an open shows whether it works again


def test_a_second_camera_that_is_not_there_is_named_by_its_number() -> None:
    with pytest.raises(CameraLostError, match="pi:1: only 1 camera is connected"):
        pi(Rig(), number=1).open()


def test_a_camera_in_use_by_another_process_says_so() -> None:
    with pytest.raises(CameraLostError, match=r"pi: cannot be opened: in use by another process \(sudo fuser"):
        pi(Rig(busy=True)).open()


def test_a_wish_that_is_refused_leaves_the_camera_free_for_the_next_try() -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise RuntimeError("Invalid camera configuration")

    rig = Rig(adjust=refuse)
    camera = pi(rig)
    with pytest.raises(CameraLostError, match="pi: cannot be set up: Invalid camera configuration"):
        camera.open()
    rig.adjust = lambda _: None
    camera.open()
    assert read(camera).size == SIZE
    camera.close()


def test_a_camera_that_hangs_is_lost_and_can_still_be_closed_and_opened() -> None:
    rig = Rig(picture=lambda index, size: None if index else numbered(index, size))
    camera = pi(rig, read_timeout_s=0.01)
    camera.open()
    read(camera)
    with pytest.raises(CameraLostError, match=r"pi: no picture for 0\.12 s: check its cable"):
        camera.read()  # three frames at 25 fps
    camera.close()
    camera.open()
    assert read(camera).index == 1
    camera.close()
    assert rig.held == 0


def test_an_error_inside_picamera2_is_a_lost_camera() -> None:
    with opened(Rig(broken=RuntimeError("failed to\nfind buffer"))) as camera:
        with pytest.raises(CameraLostError, match=r"pi: cannot capture: failed to find buffer$"):
            camera.read()
        assert read(camera).index == 0


def test_every_request_goes_back_even_when_it_cannot_be_read() -> None:
    rig = Rig()
    with opened(rig) as camera:
        read(camera)
        assert rig.held == 0
        rig.picture = lambda index, _: numbered(index, (48, 32))  # too few bytes
        with pytest.raises(CameraLostError, match="pi: cannot be read"):
            camera.read()
        assert rig.held == 0


def test_a_capture_that_ends_while_the_camera_is_closed_gives_its_request_back() -> None:
    rig = Rig(fps=20)
    camera = pi(rig)
    camera.open()
    interrupt = threading.Timer(0.01, camera.interrupt)
    interrupt.start()
    assert camera.read() is None
    interrupt.join()
    assert rig.held == 0
    camera.close()
    assert rig.events[-1] == "close"


def test_a_picture_that_came_with_the_interrupt_is_let_go_of_at_the_close() -> None:
    rig = Rig()
    camera = pi(rig)

    def interrupt(index: int, size: tuple[int, int]) -> Image:
        camera.interrupt()
        return numbered(index, size)

    rig.picture = interrupt
    camera.open()
    assert camera.read() is None
    assert rig.held == 1
    camera.close()
    assert rig.held == 0


def test_the_newest_picture_is_waited_for_with_few_buffers() -> None:
    rig = Rig()
    with opened(rig):
        asked = rig.camera.asked
    assert (asked["queue"], asked["raw"], asked["main"]["format"]) == (False, None, "BGR888")
    assert asked["buffer_count"] <= 4


def test_unread_pictures_are_gaps_in_the_index() -> None:
    rig = Rig()
    with opened(rig) as camera:
        indices = [read(camera).index]
        rig.camera._next = 5
        indices += [read(camera).index, read(camera).index]
    assert indices == [0, 5, 6]


def test_a_restart_of_the_numbers_is_no_gap() -> None:
    rig = Rig()
    camera = pi(rig)
    indices = []
    for sequence in (3, 9):
        camera.open()
        rig.camera._next = sequence
        indices.append(read(camera).index)
        camera.close()
    assert indices == [0, 1]


def test_the_capture_time_is_the_sensors_on_our_clock() -> None:
    clock, boot = (lambda: 500.0), (lambda: 8500.0)  # 8000 s asleep
    with opened(Rig(sensor_ns=lambda _: 8_499_960_000_000), clock=clock, boot=boot) as camera:
        frame = read(camera)
    assert frame.time_s == frame.media_time_s == pytest.approx(499.96)


def test_without_a_sensor_time_a_picture_was_taken_on_arrival() -> None:
    clock, boot = (lambda: 500.0), (lambda: 8500.0)
    with opened(Rig(sensor_ns=lambda _: None), clock=clock, boot=boot) as camera:
        assert read(camera).time_s == 500.0


def test_a_half_turn_is_the_sensors_and_a_quarter_turn_ours() -> None:
    rig = Rig()
    with opened(rig, rotate=270, hflip=True) as camera:
        asked = rig.camera.asked["transform"]
        turned = read(camera).image
    assert (asked.hflip, asked.vflip) == (False, True)
    assert (turned == np.rot90(numbered(0)[:, ::-1], 1)).all()  # NumPy turns the other way


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("hflip", [True, False])
def test_what_the_sensor_does_not_turn_is_turned_here(rotate: int, *, hflip: bool) -> None:
    def cannot(config: dict[str, Any]) -> None:
        config["transform"].hflip = config["transform"].vflip = 0

    plain = numbered(0)[:, ::-1] if hflip else numbered(0)
    with opened(Rig(adjust=cannot), rotate=rotate, hflip=hflip) as camera:
        frame = read(camera)
        assert camera.size == frame.size
    assert (frame.image == np.rot90(plain, -rotate // 90)).all()


def test_without_an_output_that_looks_a_small_stream_is_read_and_the_size_stays() -> None:
    rig = Rig()
    with opened(rig, size=(1280, 720), small_px=256, rotate=90) as camera:
        frame = read(camera)
        assert camera.size == frame.size == frame.without_image().size == (720, 1280)
    assert rig.camera_asked["lores"] == {"size": (256, 144), "format": "YUV420"}
    assert rig.camera_asked["main"]["format"] == "YUV420"
    assert is_close(frame.image, np.rot90(numbered(0, (256, 144)), -1))


def test_a_pi_5_gives_its_small_stream_as_rgb() -> None:
    rig = Rig(pisp=True)
    with opened(rig, size=(1280, 720), small_px=512) as camera:
        assert (read(camera).image == numbered(0, (640, 360))).all()
    assert rig.camera_asked["lores"]["format"] == "BGR888"


def test_a_small_stream_of_another_aspect_is_not_used() -> None:
    rig = Rig(adjust=lambda config: config["lores"].update(size=(320, 240)))
    with opened(rig, size=(1280, 720), small_px=512) as camera:
        assert is_close(read(camera).image, numbered(0, (1280, 720)))


def test_a_camera_that_has_one_stream_only_is_asked_again_for_that() -> None:
    def single(config: dict[str, Any]) -> None:
        if config["lores"]:
            raise RuntimeError("Invalid camera configuration")

    rig = Rig(adjust=single)
    with opened(rig, size=(1280, 720), small_px=512) as camera:
        assert read(camera).image.shape == (720, 1280, 3)
    assert rig.events[:3] == ["configure (1280, 720) (640, 360)", "configure (1280, 720) None", "start"]


@pytest.mark.parametrize(
    ("size", "longest_px", "want"),
    [
        ((1280, 720), 512, (640, 360)),
        ((1920, 1080), 512, (640, 360)),
        ((1640, 1232), 512, (546, 410)),
        ((1023, 720), 512, None),  # not twice as large
        ((640, 480), 512, None),
        ((1024, 20), 256, None),  # no even sides of that aspect
        ((720, 1280), 512, (360, 640)),
    ],
)
def test_a_small_stream_is_a_whole_fraction_with_even_sides(
    size: tuple[int, int], longest_px: int, want: tuple[int, int] | None
) -> None:
    assert small_size(size, longest_px) == want


def test_controls_are_set_by_name_and_the_rate_with_them() -> None:
    rig = Rig()
    with opened(rig, controls={"ExposureTime": 8000, "AnalogueGain": 2, "NoiseReductionMode": "HighQuality"}):
        assert rig.camera.controls == {
            "ExposureTime": 8000,
            "AnalogueGain": 2.0,
            "NoiseReductionMode": 2,
            "FrameDurationLimits": (40_000, 40_000),
        }


def test_the_rate_may_be_set_by_its_own_control() -> None:
    rig = Rig()
    with opened(rig, controls={"FrameDurationLimits": [33_333, 100_000]}):
        assert rig.camera.controls == {"FrameDurationLimits": (33_333, 100_000)}


def test_controls_that_a_camera_lacks_are_one_warning_and_the_rest_is_set(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(offered=("AeEnable", "ExposureTime"))
    camera = pi(rig, controls={"AfMode": "Continuous", "ExposurTime": 1, "AeEnable": False})
    for _ in range(2):
        camera.open()
        assert rig.camera.controls == {"AeEnable": False}
        camera.close()
    assert caplog.messages == [
        "pi (imx708) has no control AfMode, no control ExposurTime (did you mean 'ExposureTime'?); left out"
    ]


def test_one_picture_for_long_is_a_frozen_camera_and_a_reopen_no_sign_of_life() -> None:
    now_s = iter([500.0, 500.1, 505.0, 505.2, 510.0, 511.0])
    rig = Rig(picture=lambda _, size: numbered(3, size))
    camera = pi(rig, clock=lambda: next(now_s))
    camera.open()
    for _ in range(3):  # still since the second one
        read(camera)
    with pytest.raises(CameraLostError, match="pi is frozen: one picture for 5 s"):
        camera.read()
    camera.close()
    camera.open()
    with pytest.raises(CameraLostError, match="pi still shows the same picture"):
        camera.read()
    rig.picture = numbered
    assert read(camera).size == SIZE
    camera.close()


def test_the_time_that_a_camera_was_away_does_not_count_as_still() -> None:
    now_s = iter([500.0, 500.1, 506.0])
    camera = pi(Rig(picture=lambda _, size: numbered(3, size)), clock=lambda: next(now_s))
    for count in (2, 1):
        camera.open()
        for _ in range(count):
            read(camera)
        camera.close()
