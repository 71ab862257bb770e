"""What `edge.ports.Camera` promises of every camera that is live; a test file fills in `make` and `size`."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge.frame import Frame
from edge.ports import Camera

Maker = Callable[..., Camera]
"""Makes a closed camera; takes `rotate`."""


def read(camera: Camera) -> Frame:
    frame = camera.read()
    assert frame is not None
    return frame


def first(camera: Camera, count: int) -> list[Frame]:
    camera.open()
    frames = [read(camera) for _ in range(count)]
    camera.close()
    return frames


class LiveCameraContract:
    """Subclass it as `Test…` with the fixtures `make`, which closes its cameras, and `size` in pixels."""

    @pytest.fixture
    def size(self) -> tuple[int, int]:
        raise NotImplementedError

    @pytest.fixture
    def make(self) -> Iterator[Maker]:
        raise NotImplementedError

    def test_it_is_live(self, make: Maker) -> None:
        assert make().live

    def test_frames_are_rgb_uint8_of_the_reported_size(self, make: Maker, size: tuple[int, int]) -> None:
        camera = make()
        camera.open()
        frame = read(camera)
        assert camera.size == frame.size == size
        assert frame.image.shape == (size[1], size[0], 3)
        assert frame.image.dtype == "uint8"
        assert frame.image.flags.c_contiguous

    def test_capture_times_grow_and_lie_between_the_start_and_now(self, make: Maker) -> None:
        start_s = time.monotonic()
        times_s = [frame.time_s for frame in first(make(), 5)]
        assert start_s - 0.5 < times_s[0]
        assert times_s == sorted(set(times_s))
        assert times_s[-1] <= time.monotonic()

    def test_wall_time_and_capture_time_are_the_same_instant(self, make: Maker) -> None:
        frame = first(make(), 1)[0]
        age_s = time.monotonic() - frame.time_s
        assert time.time() - frame.wall_time_s == pytest.approx(age_s, abs=0.05)

    def test_a_live_camera_moves_by_its_capture_time(self, make: Maker) -> None:
        frame = first(make(), 1)[0]
        assert frame.media_time_s == frame.time_s

    def test_a_late_reader_gets_a_new_frame_and_a_gap_in_the_index(self, make: Maker) -> None:
        camera = make()
        camera.open()
        early = read(camera)
        threading.Event().wait(max(early.time_s + 0.4 - time.monotonic(), 0))  # the reader is busy
        late = read(camera)
        assert late.time_s > early.time_s + 0.2
        assert late.index > early.index + 1

    def test_an_image_that_was_handed_on_is_never_written_again(self, make: Maker) -> None:
        camera = make()
        camera.open()
        held = read(camera)
        before = held.image.copy()
        for _ in range(6):
            read(camera)
        assert (held.image == before).all()

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_rotation_turns_the_size(self, make: Maker, size: tuple[int, int], degrees: int) -> None:
        camera = make(rotate=degrees)
        camera.open()
        want = size if degrees == 180 else size[::-1]
        assert camera.size == read(camera).size == want

    def test_an_interrupt_ends_a_wait_until_the_next_open(self, make: Maker) -> None:
        camera = make()
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
        assert camera.read() is None
        camera.close()
        camera.open()
        assert camera.read() is not None

    def test_the_index_counts_on_over_a_reopen(self, make: Maker) -> None:
        camera = make()
        before = first(camera, 2)
        after = first(camera, 2)
        indices: list[Any] = [frame.index for frame in before + after]
        assert indices == sorted(set(indices))
        assert after[0].index > before[-1].index

    def test_a_camera_that_is_not_open_can_be_closed(self, make: Maker) -> None:
        camera = make()
        camera.close()
        camera.open()
        camera.close()
        camera.close()
