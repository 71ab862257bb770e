"""The driver of V4L2 cameras on a queue of buffers in time; real devices are in tests/system."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.camera.still import is_flat
from edge.camera.v4l2.driver import V4l2Camera
from edge.errors import CameraLostError
from edge.frame import Image
from fake_v4l2 import START_S, Opener, QueueCapture, SetClock, numbered_bgr
from videos import number_of


def camera(clock: SetClock, opener: Opener, path: Path | str = "/dev/video7", **options: float) -> V4l2Camera:
    return V4l2Camera(str(path), opener=opener, clock=clock, **options)  # type: ignore[arg-type]


def opened(capture: Callable[[SetClock], QueueCapture]) -> tuple[V4l2Camera, SetClock]:
    clock = SetClock()
    found = camera(clock, Opener(capture(clock)))
    found.open()
    return found, clock


def read_on(found: V4l2Camera) -> None:
    while found.read():
        pass


def flat(index: int) -> Image | None:
    return np.full((64, 96, 3), (0, 135, 0), np.uint8) if index < 3 else numbered_bgr(index)


def test_capture_time_is_the_buffers_and_wall_time_the_same_instant() -> None:
    found, clock = opened(QueueCapture)
    found.read()
    clock.busy(0.05)  # the next picture waits for 10 ms
    frame = found.read()
    assert frame is not None
    assert frame.time_s == frame.media_time_s == pytest.approx(START_S + 0.04)


def test_a_reader_that_keeps_up_gets_every_picture_even_when_the_camera_stamps_early() -> None:
    found, clock = opened(lambda clock: QueueCapture(clock, stamp=lambda time_s: time_s - 0.15))
    numbers = []
    for _ in range(8):
        frame = found.read()
        assert frame is not None
        numbers.append(number_of(frame.image))
        clock.busy(0.03)
    assert numbers == list(range(8))


def test_a_late_reader_passes_over_old_buffers_and_counts_what_was_lost() -> None:
    found, clock = opened(QueueCapture)
    found.read()
    clock.busy(0.37)
    late = found.read()
    assert late is not None
    assert number_of(late.image) == late.index == 10
    assert clock() - late.time_s < 0.04


def test_pictures_of_one_colour_at_the_start_are_left_out() -> None:
    found, _ = opened(lambda clock: QueueCapture(clock, picture=flat))
    frame = found.read()
    assert frame is not None
    assert (frame.index, number_of(frame.image)) == (3, 3)


def test_a_dark_room_is_shown_after_a_second() -> None:
    found, clock = opened(lambda clock: QueueCapture(clock, picture=lambda _: np.zeros((64, 96, 3), np.uint8)))
    assert found.read() is not None
    assert clock() == pytest.approx(START_S + 1, abs=0.05)


def test_a_picture_that_cannot_be_decoded_is_left_out() -> None:
    found, _ = opened(
        lambda clock: QueueCapture(clock, picture=lambda index: None if index in (1, 2) else numbered_bgr(index))
    )
    frames = [found.read() for _ in range(3)]
    assert [frame.index for frame in frames if frame is not None] == [0, 3, 4]


def test_a_camera_that_sends_only_broken_pictures_is_lost() -> None:
    found, clock = opened(lambda clock: QueueCapture(clock, picture=lambda _: None))
    with pytest.raises(CameraLostError, match="/dev/video7 sends pictures that cannot be decoded"):
        found.read()
    assert clock() - START_S < 6


def test_one_colour_is_one_colour_in_every_pixel() -> None:
    image = np.full((50, 40, 3), 90, np.uint8)
    assert is_flat(image)
    image[17, 39, 2] = 91
    assert not is_flat(image)


def test_a_camera_that_shows_one_picture_for_five_seconds_is_frozen_until_it_shows_another() -> None:
    clock = SetClock()

    def stuck(from_index: int, number: int) -> Callable[[int], Image | None]:
        return lambda index: numbered_bgr(min(index, from_index) if number < 0 else number)

    captures = [stuck(2, -1), stuck(0, 2), lambda index: numbered_bgr(9 if index == 0 else 2)]
    found = camera(clock, Opener(again=lambda: QueueCapture(clock, picture=captures.pop(0))))
    found.open()
    with pytest.raises(CameraLostError, match="/dev/video7 is frozen: one picture for 5 s"):
        read_on(found)
    assert clock() - START_S == pytest.approx(5.12, abs=0.1)
    found.close()
    found.open()
    with pytest.raises(CameraLostError, match="still shows the same picture"):
        found.read()  # at once: nothing of it is passed on
    found.close()
    found.open()
    assert [number_of(frame.image) for frame in (found.read(), found.read()) if frame] == [9, 2]


def test_time_that_a_camera_was_away_does_not_count_as_frozen() -> None:
    clock = SetClock()
    found = camera(clock, Opener(again=lambda: QueueCapture(clock, picture=lambda _: numbered_bgr(3))))
    for _ in range(2):
        found.open()
        assert found.read() is not None
        assert found.read() is not None
        found.close()
        clock.busy(60)


def test_an_interrupted_camera_reads_on_when_it_is_opened_again() -> None:
    clock = SetClock()
    found = camera(clock, Opener(again=lambda: QueueCapture(clock)))
    found.open()
    found.interrupt()
    assert found.read() is None
    found.close()
    found.open()
    assert found.read() is not None


def test_a_camera_that_gives_nothing_says_for_how_long() -> None:
    found, _ = opened(lambda clock: QueueCapture(clock, pictures=1, hangs_s=5))
    found.read()
    with pytest.raises(CameraLostError, match="/dev/video7 gave no picture for 5 s"):
        found.read()


def test_an_unplugged_camera_is_distinguished_from_one_that_stopped(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    clock = SetClock()
    found = camera(clock, Opener(QueueCapture(clock, pictures=1), QueueCapture(clock, pictures=1)), node)
    found.open()
    found.read()
    with pytest.raises(CameraLostError, match="video0 stopped"):
        found.read()
    found.open()
    found.read()
    node.unlink()
    with pytest.raises(CameraLostError, match="video0 was unplugged"):
        found.read()


def test_a_camera_that_cannot_start_raw_is_tried_compressed(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    clock = SetClock()
    opener = Opener(QueueCapture(clock, pictures=0), QueueCapture(clock), QueueCapture(clock))
    found = camera(clock, opener, node)
    found.open()
    with pytest.raises(CameraLostError, match="cannot start: too little USB bandwidth"):
        found.read()
    found.close()
    for _ in range(2):
        found.open()
        assert found.read() is not None
        found.close()
    assert opener.asked == [False, True, True]


def test_a_camera_is_back_when_its_node_appears(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    found = camera(SetClock(), Opener(CameraLostError("absent")), node)
    with pytest.raises(CameraLostError):
        found.open()
    assert not found.is_back()
    node.touch()
    assert found.is_back()


def test_a_camera_is_back_when_its_link_leads_elsewhere(tmp_path: Path) -> None:
    clock = SetClock()
    link = tmp_path / "by-id"
    for number in (0, 1):
        (tmp_path / f"video{number}").touch()
    link.symlink_to("video0")
    found = camera(clock, Opener(QueueCapture(clock)), link)
    found.open()
    assert not found.is_back()
    link.unlink()
    assert not found.is_back()
    link.symlink_to("video1")
    assert found.is_back()


def test_a_camera_that_may_now_be_opened_is_back(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch(0o600)
    found = camera(SetClock(), Opener(CameraLostError("permission denied")), node)
    with pytest.raises(CameraLostError):
        found.open()
    before_ns = node.stat().st_ctime_ns
    while node.stat().st_ctime_ns == before_ns:  # the file system's clock ticks some hundred times a second
        node.chmod(0o660)
    assert found.is_back()


def test_what_was_negotiated_is_logged_once_over_many_reopenings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    clock = SetClock()
    found = camera(clock, Opener(again=lambda: QueueCapture(clock)))
    for _ in range(3):
        found.open()
        found.close()
    assert caplog.messages == ["/dev/video7: Acme Cam: 96x64 YUYV at 25 fps (asked for 640x360 at 30 fps)"]


def test_a_hundred_reopenings_leave_no_descriptor(tmp_path: Path) -> None:
    found = V4l2Camera(str(tmp_path / "no camera"))
    (tmp_path / "no camera").touch()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the path's own iterator is a descriptor, too
    for _ in range(100):
        with pytest.raises(CameraLostError, match="is no camera"):
            found.open()
        found.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
