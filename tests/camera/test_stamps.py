"""Time stamps of recordings, and the pace of files that have wrong ones."""

import itertools
import logging
import struct
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.camera import pacing
from edge.camera.stamps import StampClock
from edge.camera.video import VideoCamera
from edge.frame import Frame
from fake_v4l2 import SetClock
from videos import number_of, numbered_image, write_video


def positions(stamps_s: Sequence[float], header_fps: float = 25.0, fps: float | None = None) -> list[float]:
    clock = StampClock(fps)
    clock.start(0.0)
    return [clock.position_s(stamp_s, header_fps) for stamp_s in stamps_s]


@pytest.mark.parametrize(
    ("stamps_s", "want_s"),
    [
        ([0, 0.04, 0.08, 0.12], [0, 0.04, 0.08, 0.12]),
        ([36000, 36000.04, 36000.08], [0, 0.04, 0.08]),  # begins at ten hours
        ([-0.5, -0.46, -0.42], [0, 0.04, 0.08]),
        ([0, 0.04, 0, 0.04], [0, 0.04, 0.041, 0.042]),  # jitter: the next stamps are waited for
        ([0, 0.04, 0.5, 1.9, 3.8], [0, 0.04, 0.5, 1.9, 3.8]),  # a slow camera
        ([1, 1.04, 0.4, 0.44], [0, 0.04, 0.08, 0.12]),  # joined: back
        ([0, 0.04, 3600, 3600.04], [0, 0.04, 0.08, 0.12]),  # joined: forward
        ([0, 0.04, 0.04, 0.08], [0, 0.04, 0.041, 0.08]),  # twice the same
        ([0, 0, 0, 0], [0, 0.04, 0.08, 0.12]),  # none
    ],
)
def test_positions_follow_the_stamps_and_begin_again_where_they_jump(
    stamps_s: list[float], want_s: list[float]
) -> None:
    assert positions(stamps_s) == pytest.approx(want_s)


def test_a_recording_of_one_picture_in_ten_seconds_has_no_jumps() -> None:
    assert positions([0, 10, 20, 31], header_fps=0.1) == [0, 10, 20, 31]


@pytest.mark.parametrize("header_fps", [600, 1000, 90000])
def test_a_rate_that_no_camera_has_is_not_followed(header_fps: float) -> None:
    assert positions([index / header_fps for index in range(4)], header_fps) == pytest.approx([0, 0.04, 0.08, 0.12])
    assert positions([0, 0.04, 0.08], header_fps) == pytest.approx([0, 0.04, 0.08])  # its stamps are right


def test_a_pace_that_was_set_wins_over_stamps_and_header() -> None:
    assert positions([0, 7, 7.1, 0], 90000, fps=12.5) == pytest.approx([0, 0.08, 0.16, 0.24])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2), st.floats(0, 1e5))
def test_positions_grow_and_never_by_more_than_a_jump(stamps_s: list[float], header_fps: float) -> None:
    clock = StampClock()
    clock.start(0.0)
    at_s = [clock.position_s(stamp_s, header_fps) for stamp_s in stamps_s]
    most_s = max(2.0, 3 * clock.period_s(header_fps)) + 1e-6
    assert all(0 < later - earlier <= most_s for earlier, later in itertools.pairwise(at_s))


def read_all(camera: VideoCamera) -> list[Frame]:
    camera.open()
    frames: list[Frame] = []
    while (frame := camera.read()) is not None:
        frames.append(frame)
    camera.close()
    return frames


def media_steps(frames: list[Frame]) -> list[float]:
    return [later.media_time_s - earlier.media_time_s for earlier, later in itertools.pairwise(frames)]


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    """Two MPEG-TS recordings of three seconds, one behind the other."""
    part = write_video(tmp_path / "a.ts", 75, fourcc="mpg2")
    path = tmp_path / "twice.ts"
    path.write_bytes(part.read_bytes() * 2)
    return path


def test_joined_recordings_play_one_after_the_other(joined: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = read_all(VideoCamera(joined, paced=False))
    assert len(frames) >= 148
    assert all(0 < step <= 0.13 for step in media_steps(frames))
    assert caplog.text == ""


def later(data: bytes, seconds: int) -> bytes:
    """Move the time stamps of an MPEG-TS recording."""
    packets = [bytearray(data[at : at + 188]) for at in range(0, len(data), 188)]
    for packet in packets:
        start = packet.find(b"\0\0\1\xe0")  # a packet of the elementary stream
        if packet[1] & 0x40 and start > 0:
            for at in (start + 9, start + 14)[: (packet[start + 7] >> 6) - 1]:  # PTS, DTS
                value = (packet[at] >> 1 & 7) << 30 | (packet[at + 1] << 8 | packet[at + 2]) >> 1 << 15
                value = (value | (packet[at + 3] << 8 | packet[at + 4]) >> 1) + 90_000 * seconds
                packet[at] = packet[at] & 0xF0 | (value >> 30 & 7) << 1 | 1
                packet[at + 1 : at + 3] = ((value >> 15 & 0x7FFF) << 1 | 1).to_bytes(2)
                packet[at + 3 : at + 5] = ((value & 0x7FFF) << 1 | 1).to_bytes(2)
        if packet[3] & 0x20 and packet[4] and packet[5] & 0x10:  # the clock
            base = (int.from_bytes(packet[6:10]) << 1 | packet[10] >> 7) + 90_000 * seconds
            packet[6:10] = (base >> 1).to_bytes(4)
            packet[10] = packet[10] & 0x7F | (base & 1) << 7
    return b"".join(packets)


def test_a_gap_of_an_hour_is_no_hour_and_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    part = write_video(tmp_path / "a.ts", 75, fourcc="mpg2").read_bytes()
    path = tmp_path / "gap.ts"
    path.write_bytes(part + later(part, 3600))
    camera = VideoCamera(path, paced=False)
    frames = read_all(camera)
    assert camera._clock.jumps == 1
    assert len(frames) >= 148
    assert frames[-1].media_time_s - frames[0].media_time_s < 6.1
    assert caplog.text == ""  # the container's length is that of the gap: nothing is missing


def with_rate(path: Path, fps: int) -> Path:
    """Write another rate into the header of an AVI."""
    data = bytearray(path.read_bytes())
    main, stream = data.index(b"avih"), data.index(b"strh")
    data[main + 8 : main + 12] = struct.pack("<I", round(1e6 / fps))
    data[stream + 28 : stream + 36] = struct.pack("<II", 1, fps)
    path.write_bytes(data)
    return path


@pytest.fixture
def avi(tmp_path: Path) -> Path:
    return write_video(tmp_path / "v.avi", 20, fourcc="MJPG")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    clock = SetClock()
    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=clock, time=lambda: 1e9 + clock()))
    return clock


def test_a_file_of_600_frames_a_second_plays_at_25(avi: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        frames = read_all(VideoCamera(with_rate(avi, 600), paced=False))
    assert media_steps(frames) == pytest.approx([0.04] * 19)
    assert [record.getMessage() for record in caplog.records] == [
        f"{avi}: its header says 600 frames per second: played at 25; camera.fps sets another"
    ]


def test_a_pace_that_was_set_is_that_of_any_file(avi: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (avi, with_rate(avi, 600)):
        frames = read_all(VideoCamera(path, paced=False, fps=12.5))
        assert media_steps(frames) == pytest.approx([0.08] * 19)
    assert caplog.text == ""


def test_a_file_without_times_plays_at_25(tmp_path: Path) -> None:
    path = tmp_path / "v.mjpeg"
    pictures = [cv2.imencode(".jpg", numbered_image(index))[1].tobytes() for index in range(5)]
    path.write_bytes(b"".join(pictures))
    assert media_steps(read_all(VideoCamera(path, paced=False))) == pytest.approx([0.04] * 4, abs=1e-3)


def test_a_paced_file_begins_with_its_first_frame_however_long_the_model_loads(avi: Path, clock: SetClock) -> None:
    camera = VideoCamera(avi)
    camera.open()
    clock.busy(3)
    frame = camera.read()
    camera.close()
    assert frame is not None
    assert (frame.index, number_of(frame.image)) == (0, 0)


def test_at_full_speed_the_wall_time_follows_the_recording(avi: Path, clock: SetClock) -> None:
    camera = VideoCamera(avi, paced=False)
    camera.open()
    frames = []
    for _ in range(3):
        frame = camera.read()
        assert frame is not None
        frames.append(frame)
        clock.busy(7)  # for the model
    camera.close()
    walls_s = [frame.wall_time_s for frame in frames]
    assert [wall_s - walls_s[0] for wall_s in walls_s] == pytest.approx([0, 0.04, 0.08], abs=1e-3)
    assert frames[2].time_s - frames[0].time_s == 14
