"""The driver `pi` on the real picamera2: run by `pi_guest.py` where libcamera has its virtual cameras.

`pi` shows moving colour bars of 640x480, `pi:1` the frames that `test_pi_camera.py` put there. Both give NV12 only,
whatever is asked for.
"""

import gc
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.camera.pi.controls import CHOICES
from edge.camera.pi.driver import PiCamera
from edge.camera.pi.library import Picamera2Library
from edge.camera.pi.stream import Wish
from edge.errors import CameraLostError
from live_contract import LiveCameraContract, Maker, read

BARS = {(255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0)}
SIZE = (640, 480)
FRAME = Path("/srv/frames/0.jpg")


def camera_of(number: int = 0, *, small_px: int | None = None, **options: Any) -> PiCamera:
    return PiCamera(number, Picamera2Library(), wish=Wish((1280, 720), 30.0, small_px=small_px), **options)


@pytest.fixture
def make() -> Iterator[Maker]:
    made: list[PiCamera] = []

    def make(**options: Any) -> PiCamera:
        made.append(camera_of(**options))
        return made[-1]

    yield make
    for camera in made:
        camera.close()


class TestRealPiCamera(LiveCameraContract):
    @pytest.fixture
    def size(self) -> tuple[int, int]:
        return SIZE

    @pytest.fixture
    def make(self, make: Maker) -> Maker:
        return make


def colours(image: np.ndarray[Any, Any]) -> set[tuple[int, ...]]:
    """Return the colours of the bars in a picture; what lies at their edges is left out."""
    row = image[240].astype(int)
    inside = [x for x in range(4, 636) if (np.ptp(row[x - 4 : x + 5], axis=0) < 6).all()]
    return {tuple(int(round(value / 255) * 255) for value in row[x]) for x in inside}


def test_a_silent_change_to_nv12_is_told_once_and_its_colours_are_right(
    make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    camera = make()
    for _ in range(2):
        camera.open()
        assert colours(read(camera).image) == BARS
        camera.close()
    told = [message for message in caplog.messages if "asked" in message]
    assert told == ["pi (Bars): 640x480 NV12 (asked for 1280x720 at 30 fps)"]


def test_a_second_camera_is_another_one(make: Maker) -> None:
    bars, frames = make(), make(number=1)
    frames.open()
    bgr = cv2.imread(str(FRAME))
    assert bgr is not None
    want = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    assert np.abs(read(frames).image.astype(int) - want).mean() < 20  # JPEG, and another of the frames
    frames.close()  # several in one process are more than the virtual cameras can stand
    bars.open()
    assert colours(read(bars).image) == BARS


def test_a_third_camera_is_not_there(make: Maker) -> None:
    camera = make(number=2)
    with pytest.raises(CameraLostError, match="pi:2: only 2 cameras are connected"):
        camera.open()
    assert not camera.is_back()


def test_a_small_stream_is_read_and_the_size_is_that_of_the_picture(
    make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    camera = make(small_px=256)
    camera.open()
    assert "read at 640x480 NV12" in caplog.text
    assert colours(read(camera).image) == BARS
    assert camera.size == SIZE


def test_capture_times_are_the_sensors(make: Maker) -> None:
    camera = make()
    camera.open()
    frames = [read(camera) for _ in range(20)]
    now_s = time.monotonic()
    assert 0 < now_s - frames[-1].time_s < 0.5
    assert all(earlier.time_s < later.time_s for earlier, later in itertools.pairwise(frames))


def test_a_camera_in_use_says_so_and_a_hundred_tries_cost_nothing(make: Maker) -> None:
    user, other = make(), make()
    user.open()

    def attempt() -> None:
        with pytest.raises(CameraLostError, match="pi: cannot be opened: in use by another process"):
            other.open()

    assert growth(attempt) < 20  # the other camera's own come and go
    assert read(user).size == SIZE
    user.close()
    other.open()
    assert read(other).size == SIZE


def test_opening_again_and_again_costs_nothing(make: Maker) -> None:
    camera = make()

    def once() -> None:
        camera.open()
        read(camera)
        camera.close()

    assert growth(once, times=20) < 10


def growth(work: Callable[[], None], times: int = 100) -> int:
    """Return by how many descriptors and threads a process grows by some work."""
    for _ in range(3):
        work()
    before = footprint()
    for _ in range(times):
        work()
    return footprint() - before


def footprint() -> int:
    gc.collect()  # what only circles of objects hold is not lost
    return len(os.listdir("/proc/self/fd")) + threading.active_count()  # noqa: PTH208 - names are enough


def test_a_control_that_the_camera_lacks_is_a_warning_and_the_others_are_set(
    make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    camera = make(controls={"AfMode": "Continuous", "FrameDurationLimit": 1, "FaceDetectMode": 0})
    camera.open()
    assert read(camera).size == SIZE
    assert caplog.messages == [
        "pi (Bars) has no control AfMode, no control FrameDurationLimit (did you mean 'FrameDurationLimits'?); left out"
    ]


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_choices_have_libcameras_numbers(name: str) -> None:
    from libcamera import controls

    known = getattr(controls, f"{name}Enum", None) or getattr(controls.draft, f"{name}Enum")
    numbers = {choice: int(value) for choice, value in known.__members__.items()}
    assert {choice: at for at, choice in enumerate(CHOICES[name])} == numbers
