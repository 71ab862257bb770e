import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from builders import ORIGIN, pose
from command import PROJECT, environment
from edge.errors import UnavailableError
from edge.frame import Frame, Image
from edge.output.record.encoder import CODECS
from edge.output.record.recorder import RecorderSink
from edge.output.record.segments import Segments
from edge.ports import PoseFrame
from edge.poses.pose import Pose
from videos import number_of, numbered_image

WIDTH, HEIGHT = 256, 192  # the text takes the upper third
PLENTY = 10**12


def sink(path: Path, *, opened: bool = True, **options: Any) -> RecorderSink:
    made = RecorderSink(path, ORIGIN, **{"max_bytes": None, "free": lambda _: PLENTY, **options})
    if opened:
        made.open()
    return made


def result(index: int, time_s: float, *poses: Pose, image: Image | None = None) -> PoseFrame:
    picture = numbered_image(index, WIDTH, HEIGHT) if image is None else image
    return PoseFrame(Frame(picture, index, 50 + time_s, 1_769_860_800.5 + time_s, 50 + time_s), poses, 9.5)


def record(path: Path, times_s: Iterable[float], **options: Any) -> RecorderSink:
    made = sink(path, **options)
    for index, time_s in enumerate(times_s):
        made.write(result(index, time_s))
    made.close()
    return made


def read(path: Path) -> tuple[float, list[Image]]:
    """Return the frame rate and the RGB frames of a file."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        ok, bgr = capture.read()
        if not ok:
            return capture.get(cv2.CAP_PROP_FPS), frames
        frames.append(np.asarray(bgr[:, :, ::-1], np.uint8))


def numbers(path: Path) -> list[int]:
    return [number_of(frame) for frame in read(path)[1]]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_every_frame_of_a_steady_source_is_recorded_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    record(path, [i / 20 for i in range(17)])
    assert numbers(path) == list(range(17))
    assert read(path)[0] == pytest.approx(20)
    assert names(tmp_path) == [path.name]


def test_a_slow_source_with_gaps_plays_at_its_true_speed(tmp_path: Path) -> None:
    """Frame 3 is 1.2 s late, and the last picture stays until then."""
    record(tmp_path / "out.mp4", [0.0, 0.2, 0.4, 1.8, 2.0, 2.2])
    fps, _ = read(tmp_path / "out.mp4")
    assert fps == pytest.approx(5)
    assert numbers(tmp_path / "out.mp4") == [0, 1, 2, 2, 2, 2, 2, 2, 2, 3, 4, 5]


def test_frames_are_repeated_and_dropped_when_the_file_has_another_rate(tmp_path: Path) -> None:
    record(tmp_path / "slow.mp4", [i / 5 for i in range(6)], fps=25.0)
    record(tmp_path / "fast.mp4", [i / 20 for i in range(12)], fps=10.0)
    assert numbers(tmp_path / "slow.mp4") == [number for number in range(5) for _ in range(5)] + [5]
    shown = numbers(tmp_path / "fast.mp4")
    assert len(shown) == 6
    assert {step for a, b in pairwise(shown) if (step := b - a)} <= {1, 2, 3}


def test_jitter_neither_repeats_nor_drops(tmp_path: Path) -> None:
    late_s = (0.0, 0.008, -0.006, 0.004, -0.009, 0.007, 0.0, -0.005, 0.009, -0.002, 0.006, -0.008)
    record(tmp_path / "out.mp4", [i / 25 + late for i, late in enumerate(late_s)])
    assert numbers(tmp_path / "out.mp4") == list(range(12))


def test_a_single_frame_is_a_file_too_and_no_frame_leaves_none(tmp_path: Path) -> None:
    """Also when the run fails elsewhere after this output was opened."""
    record(tmp_path / "one.mp4", [3.0])
    record(tmp_path / "none.mp4", [])
    sink(tmp_path / "failed.mp4")
    assert numbers(tmp_path / "one.mp4") == [0]
    assert names(tmp_path) == ["one.mp4"]


def test_only_its_owner_reads_a_recording(tmp_path: Path) -> None:
    record(tmp_path / "a.mp4", [index / 10 for index in range(4)])
    assert stat.S_IMODE((tmp_path / "a.mp4").stat().st_mode) == 0o600


def test_a_file_of_an_earlier_run_is_left_alone_and_the_new_name_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("out.mp4", "out-0007.mp4", "out-9999.avi", "other-0012.mp4"):
        (tmp_path / name).write_bytes(b"precious")
    with caplog.at_level(logging.INFO):
        record(tmp_path / "out.mp4", [0, 0.1, 0.2])
    assert len(numbers(tmp_path / "out-0008.mp4")) == 3
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"
    assert "out-0008.mp4" in caplog.text
    assert "exists already" in caplog.text


def test_long_recordings_are_cut_into_files_without_losing_a_frame(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [i / 10 for i in range(18)], segment_s=0.7)
    assert names(tmp_path) == ["out-0001.mp4", "out-0002.mp4", "out.mp4"]
    assert numbers(tmp_path / "out.mp4") == list(range(7))
    assert numbers(tmp_path / "out-0001.mp4") == list(range(7, 14))
    assert numbers(tmp_path / "out-0002.mp4") == list(range(14, 18))


def test_a_gap_across_the_seam_of_two_files_keeps_the_time(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [0, 0.1, 0.2, 1.0, 1.1], segment_s=0.5)
    assert numbers(tmp_path / "out.mp4") == [0, 1, 2, 2, 2]
    assert numbers(tmp_path / "out-0001.mp4") == [2, 2, 2, 2, 2]
    assert numbers(tmp_path / "out-0002.mp4") == [3, 4]


def test_a_camera_that_was_away_for_long_goes_on_in_a_new_file(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [0, 0.1, 0.2, 3600.0, 3600.1])
    assert numbers(tmp_path / "out.mp4") == [0, 1, 2]
    assert numbers(tmp_path / "out-0001.mp4") == [3, 4]


def test_a_clock_that_goes_back_begins_a_new_file(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [30.0, 30.1, 30.2, 0.0, 0.1], fps=10.0)
    assert numbers(tmp_path / "out.mp4") == [0, 1, 2]
    assert numbers(tmp_path / "out-0001.mp4") == [3, 4]


def test_a_camera_that_changes_its_size_goes_on_in_a_new_file(tmp_path: Path) -> None:
    made = sink(tmp_path / "out.mp4")
    for index in range(8):
        size = (WIDTH, HEIGHT) if index < 5 else (HEIGHT, WIDTH)
        made.write(result(index, index / 10, image=numbered_image(index, *size)))
    made.close()
    assert numbers(tmp_path / "out.mp4") == [0, 1, 2, 3, 4]
    assert numbers(tmp_path / "out-0001.mp4") == [5, 6, 7]
    assert read(tmp_path / "out-0001.mp4")[1][0].shape == (WIDTH, HEIGHT, 3)


def test_an_odd_size_loses_its_last_row_at_most(tmp_path: Path) -> None:
    made = sink(tmp_path / "out.mp4")
    made.write(result(0, 0.0, image=numbered_image(4, 257, 193)))
    made.close()
    (frame,) = read(tmp_path / "out.mp4")[1]
    assert frame.shape == (192, 256, 3)
    assert number_of(frame) == 4


def noise(index: int, width: int = 320, height: int = 192) -> Image:
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)


def test_the_oldest_files_of_this_recording_go_beyond_the_limit(tmp_path: Path) -> None:
    """Also when one file alone would exceed it; files of others stay."""
    limit = 900_000
    (tmp_path / "out.mp4").write_bytes(bytes(limit))
    made = sink(tmp_path / "out.mp4", max_bytes=limit, segment_s=0.5)
    for index in range(60):
        made.write(result(index, index / 10, image=noise(index)))
    made.close()
    own = [tmp_path / name for name in names(tmp_path) if name != "out.mp4"]
    assert (tmp_path / "out.mp4").stat().st_size == limit
    assert sum(path.stat().st_size for path in own) <= limit
    assert len(own) >= 2
    assert own[-1].name == "out-0012.mp4"
    assert all(len(numbers(path)) == 5 for path in own)


def test_a_file_that_would_take_all_the_room_is_cut_early(tmp_path: Path) -> None:
    made = sink(tmp_path / "out.avi", max_bytes=8_000_000)
    for index in range(120):
        made.write(result(index, index / 10, image=noise(index)))
    made.close()
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) >= 3
    assert sum(sizes) <= 8_000_000


def test_colours_of_the_camera_image_stay_what_they_are(tmp_path: Path) -> None:
    image = np.full((HEIGHT, WIDTH, 3), (200, 90, 30), np.uint8)
    made = sink(tmp_path / "out.mp4")
    made.write(result(0, 0.0, image=image))
    made.close()
    (frame,) = read(tmp_path / "out.mp4")[1]
    assert np.abs(frame[120:].astype(int) - (200, 90, 30)).max() < 25


def test_skeletons_and_text_are_on_the_picture_and_not_on_the_shared_image(tmp_path: Path) -> None:
    image = np.full((360, 640, 3), 90, np.uint8)
    made = sink(tmp_path / "out.mp4")
    for index in range(3):
        made.write(result(index, index / 10, pose(width=0.3, track_id=3), image=image))
    made.close()
    frame = read(tmp_path / "out.mp4")[1][2].astype(int)
    assert (image == 90).all()
    left, right = sides(frame)
    assert left.mean() > right.mean() + 20  # the person faces the camera
    assert (frame[:60, :300].max(axis=2) > 200).sum() > 300


def sides(frame: NDArray[np.int_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the columns of orange and of blue pixels."""
    orange = (frame[:, :, 0] > 200) & (frame[:, :, 2] < 120)
    blue = (frame[:, :, 2] > 200) & (frame[:, :, 0] < 120)
    assert min(orange.sum(), blue.sum()) > 100
    return np.nonzero(orange)[1], np.nonzero(blue)[1]


def test_private_recordings_hold_nothing_of_the_image(tmp_path: Path) -> None:
    """Byte for byte the same file, whatever the camera saw, and even if the image was let go of."""
    contents = []
    for name in ("noise", "white", "gone"):
        made = sink(tmp_path / f"{name}.avi", private=True)
        assert not made.wants_image
        for index in range(12):
            shown = noise(index, 640, 360) if name == "noise" else np.full((360, 640, 3), 255, np.uint8)
            one = result(index, index / 10, pose(width=0.3, track_id=3), image=shown)
            made.write(PoseFrame(one.frame.without_image(), one.poses, 9.5) if name == "gone" else one)
        made.close()
        contents.append((tmp_path / f"{name}.avi").read_bytes())
    assert contents[0] == contents[1] == contents[2]
    frame = read(tmp_path / "gone.avi")[1][11].astype(int)
    assert np.median(frame[100:]) == 0
    left, right = sides(frame)
    assert left.mean() > right.mean() + 20


def test_annotated_recordings_need_the_image(tmp_path: Path) -> None:
    assert sink(tmp_path / "out.mp4", opened=False).wants_image


def test_a_full_disk_ends_the_recording_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = [PLENTY]
    made = sink(tmp_path / "out.mp4", free=lambda _: left[0])
    for index in range(60):
        left[0] = PLENTY if index < 25 else 10**6
        made.write(result(index, index / 10))
    made.close()
    assert caplog.text.count("recording ends: the disk is full: 1 MB left") == 1
    assert numbers(tmp_path / "out.mp4") == [index % 20 for index in range(30)]


def in_a_child(path: Path, *lines: str, **options: object) -> subprocess.Popen[str]:
    """Start a Python process that runs `lines` with `made`, a sink on `path`."""
    script = [
        "import resource, signal, sys",
        "from pathlib import Path",
        f"sys.path[:0] = {[str(Path(__file__).parent), str(PROJECT / 'tests')]!r}",
        "from test_recorder import noise, result, sink",
        f"made = sink(Path({str(path)!r}), **{options!r})",
        *lines,
    ]
    command = [sys.executable, "-c", "\n".join(script)]
    env = environment({"OPENCV_FFMPEG_LOGLEVEL": "-8"})
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


def test_a_disk_that_refuses_although_it_has_room_ends_the_recording(tmp_path: Path) -> None:
    """By a quota, or a dying card: OpenCV reports nothing, but the file has no index in the end."""
    child = in_a_child(
        tmp_path / "out.mp4",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))",
        "for index in range(80):",
        "    made.write(result(index, index / 10, image=noise(index)))",
        "made.close()",
        segment_s=3.0,
    )
    _, err = child.communicate(timeout=60)
    assert err.count("recording ends: out.mp4 cannot be read back") == 1
    assert child.returncode == 0
    assert names(tmp_path) == ["out.mp4"]


def test_a_vanished_folder_ends_the_recording_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    made = sink(folder / "out.mp4")
    for index in range(60):
        if index == 25:
            shutil.rmtree(folder)
        made.write(result(index, index / 10))
    made.close()
    assert caplog.text.count("recording ends: No such file or directory") == 1
    assert not folder.exists()


def test_nothing_is_written_into_another_folder_of_the_same_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As when a disk is unmounted and its mount point is left."""
    folder = tmp_path / "usb"
    folder.mkdir()
    made = sink(folder / "out.mp4", segment_s=1.0)
    for index in range(60):
        if index == 25:
            folder.rename(tmp_path / "away")
            folder.mkdir()
        made.write(result(index, index / 10))
    made.close()
    assert caplog.text.count("recording ends: another folder is in its place") == 1
    assert names(folder) == []


def test_a_file_deleted_while_it_is_recorded_is_followed_by_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = sink(tmp_path / "out.mp4")
    for index in range(30):
        if index == 15:
            (tmp_path / "out.mp4").unlink()
        made.write(result(index, index / 10))
    made.close()
    assert caplog.text.count("was deleted while it was recorded") == 1
    assert len(numbers(next(tmp_path.iterdir()))) == 10


def test_a_size_that_no_encoder_takes_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = sink(tmp_path / "out.mp4")
    for index in range(20):
        made.write(result(index, index / 10, image=np.zeros((40, 9000, 3), np.uint8)))
    made.close()
    assert caplog.text.count("no video of 9000x40") == 1
    assert "left out of the recording" in caplog.text
    assert names(tmp_path) == []


@pytest.mark.parametrize("position", [0, 12, 23])
@pytest.mark.parametrize("count", [1, 12])
def test_a_picture_that_cannot_be_recorded_costs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, position: int, count: int
) -> None:
    made = sink(tmp_path / "out.mp4")
    for index in range(24 + count):
        bad = position <= index < position + count
        image = {"image": np.zeros((40, 9000, 3), np.uint8)} if bad else {}
        made.write(result(index, index / 10, **image))
    made.close()
    assert caplog.text.count("no video of 9000x40") == 1
    recorded = [len(numbers(path)) for path in sorted(tmp_path.iterdir())]
    assert sum(recorded) >= 24
    assert len(recorded) == (1 if position == 0 else 2)


def test_a_folder_in_place_of_a_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=re.escape(f"{tmp_path}: is a folder; name a file in it")):
        sink(tmp_path)


def test_a_missing_folder_and_a_full_disk_are_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be recorded to: No such file or directory"):
        sink(tmp_path / "none" / "out.mp4")
    with pytest.raises(UnavailableError, match="cannot be recorded to: the disk is full"):
        sink(tmp_path / "out.mp4", free=lambda _: 10**6)
    assert names(tmp_path) == []


@contextmanager
def no_root() -> Iterator[None]:
    """Be an ordinary user for a moment: root may write everywhere."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_written_to_is_unavailable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with no_root(), pytest.raises(UnavailableError, match="cannot be recorded to: Permission denied"):
        sink(tmp_path / "out.mp4")


@pytest.mark.parametrize("name", ["out", "out.jpg", "out.mp4.txt"])
def test_an_unknown_suffix_names_those_that_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnavailableError, match=re.escape(f"{name}: not a suffix of a video; this OpenCV writes")):
        sink(tmp_path / name)
    assert names(tmp_path) == []


def test_an_encoder_that_is_not_there_names_those_that_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    segments = Segments(tmp_path / "out.mp4", max_bytes=None, segment_s=9.0, codecs={".mp4": "NONE"})
    with pytest.raises(UnavailableError, match=r"no encoder for NONE; this OpenCV writes \.avi, \.mkv, \.mp4"):
        segments.open()
    assert names(tmp_path) == []
    assert capfd.readouterr().err == ""


def test_suffixes_may_be_in_capitals(tmp_path: Path) -> None:
    record(tmp_path / "OUT.MP4", [0, 0.1, 0.2])
    assert numbers(tmp_path / "OUT.MP4") == [0, 1, 2]


def test_native_code_says_nothing_while_recording(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for suffix in CODECS:
        record(tmp_path / f"out{suffix}", [i / 10 for i in range(9)], segment_s=0.3)
    assert capfd.readouterr().err == ""


def test_a_killed_process_loses_the_file_being_written_at_most(tmp_path: Path) -> None:
    child = in_a_child(
        tmp_path / "out.mp4",
        "for index in range(28):",
        "    made.write(result(index, index / 10))",
        "print('there', flush=True)",
        "signal.pause()",
        segment_s=0.5,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "there\n"
        child.send_signal(signal.SIGKILL)
    assert names(tmp_path) == [*(f"out-{number:04}.mp4" for number in range(1, 6)), "out.mp4"]
    whole = ["out.mp4", *(f"out-{number:04}.mp4" for number in range(1, 5))]
    assert [number for name in whole for number in numbers(tmp_path / name)] == [i % 20 for i in range(25)]
