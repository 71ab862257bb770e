"""One contract for every camera: what `edge.ports.Camera` promises holds for each driver."""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.camera import pacing
from edge.camera.images import ImagesCamera
from edge.camera.scene import SceneCamera
from edge.camera.v4l2.driver import V4l2Camera
from edge.camera.video import VideoCamera
from edge.frame import Frame
from edge.ports import Camera
from fake_v4l2 import Clock, Opener, QueueCapture, RealClock, SetClock
from videos import write_pictures, write_video

Maker = Callable[..., Camera]
"""Makes a closed camera of 96x64; takes `paced` and `rotate`."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Time that passes only when it is said to, for the cameras of a test that asks for it."""
    clock = SetClock()
    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=clock, time=time.time))
    return clock


@pytest.fixture(params=["scene", "video", "images", "v4l2"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    def scene(**options: Any) -> Camera:
        return SceneCamera(size=(96, 64), fps=25, **options)

    def video(**options: Any) -> Camera:
        return VideoCamera(write_video(tmp_path / "v.mp4"), **options)

    def images(**options: Any) -> Camera:
        return ImagesCamera(write_pictures(tmp_path / "pictures"), **options)

    def v4l2(*, paced: bool = True, **options: Any) -> Camera:
        clock: Clock = RealClock() if paced else SetClock()
        if "clock" in request.fixturenames:
            clock = request.getfixturevalue("clock")
        return V4l2Camera("/dev/video7", **options, opener=Opener(again=lambda: QueueCapture(clock)), clock=clock)

    makers: dict[str, Maker] = {"scene": scene, "video": video, "images": images, "v4l2": v4l2}
    return makers[request.param]


def first(camera: Camera, count: int = 4) -> list[Frame]:
    camera.open()
    frames = [frame for frame in (camera.read() for _ in range(count)) if frame is not None]
    camera.close()
    return frames


def test_frames_are_rgb_uint8_of_the_reported_size(make: Maker) -> None:
    camera = make(paced=False)
    camera.open()
    assert camera.size == (96, 64)
    frame = camera.read()
    camera.close()
    assert frame is not None
    assert frame.image.shape == (64, 96, 3)
    assert frame.image.dtype == "uint8"
    assert frame.image.flags.c_contiguous


def test_unpaced_every_frame_comes_once_and_in_order(make: Maker) -> None:
    assert [frame.index for frame in first(make(paced=False))] == [0, 1, 2, 3]


def test_media_time_keeps_the_pace_of_the_recording(make: Maker) -> None:
    frames = first(make(paced=False))
    steps = [later.media_time_s - earlier.media_time_s for earlier, later in itertools.pairwise(frames)]
    assert steps == pytest.approx([0.04] * 3, abs=1e-3)


def test_a_paced_frame_is_captured_when_its_time_has_come(make: Maker) -> None:
    for frame in first(make(paced=True)):
        assert frame.time_s == frame.media_time_s
        assert frame.time_s <= time.monotonic()


def test_wall_time_and_capture_time_are_the_same_instant(make: Maker) -> None:
    frame = first(make(paced=True), 1)[0]
    age_s = time.monotonic() - frame.time_s
    assert time.time() - frame.wall_time_s == pytest.approx(age_s, abs=0.05)


def test_a_late_reader_gets_the_newest_frame_and_a_gap_in_the_index(clock: SetClock, make: Maker) -> None:
    camera = make(paced=True)
    camera.open()
    camera.read()
    clock.busy(0.2)  # for five frames
    late = camera.read()
    camera.close()
    assert late is not None
    assert late.index >= 4


def test_an_image_that_was_handed_on_is_never_written_again(make: Maker) -> None:
    camera = make(paced=False)
    camera.open()
    held = camera.read()
    assert held is not None
    before = held.image.copy()
    for _ in range(5):
        camera.read()
    camera.close()
    assert (held.image == before).all()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_turns_image_and_size(make: Maker, degrees: int) -> None:
    camera, upright = make(paced=False, rotate=degrees), make(paced=False)
    camera.open()
    size = camera.size
    turned = camera.read()
    camera.close()
    plain = first(upright, 1)[0].image
    assert turned is not None
    assert turned.size == size == ((64, 96) if degrees != 180 else (96, 64))
    back = {90: plain.swapaxes(0, 1)[:, ::-1], 180: plain[::-1, ::-1], 270: plain.swapaxes(0, 1)[::-1]}
    assert (turned.image == back[degrees]).all()


@pytest.mark.parametrize(("hflip", "vflip"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("degrees", [0, 90])
def test_an_image_is_mirrored_before_it_is_rotated(make: Maker, degrees: int, *, hflip: bool, vflip: bool) -> None:
    plain = first(make(paced=False), 1)[0].image
    mirrored = plain[:: -1 if vflip else 1, :: -1 if hflip else 1]
    want = np.rot90(mirrored, -degrees // 90)
    frame = first(make(paced=False, rotate=degrees, hflip=hflip, vflip=vflip), 1)[0]
    assert (frame.image == want).all()


def test_an_interrupt_ends_a_wait_for_the_next_frame(make: Maker) -> None:
    camera = make(paced=True)
    camera.open()
    ended = threading.Event()

    def read_all() -> None:
        while camera.read() is not None:
            pass
        ended.set()

    reader = threading.Thread(target=read_all)
    reader.start()
    camera.interrupt()
    assert ended.wait(2)
    reader.join()
    camera.close()


def test_the_index_counts_on_over_a_reopen(make: Maker) -> None:
    camera = make(paced=False)
    before = first(camera, 2)
    after = first(camera, 2)
    assert [frame.index for frame in before + after] == [0, 1, 2, 3]


def test_a_camera_that_was_not_away_is_not_back(make: Maker) -> None:
    camera = make(paced=False)
    camera.open()
    assert not camera.is_back()
    camera.close()
    assert not camera.is_back()
