import itertools
import logging
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import data, needs_data
from edge.camera.images import ImagesCamera
from edge.camera.opencv import REFUSES_INTERLACED, pixel_aspect
from edge.camera.still import OPENCV_STICKS
from edge.camera.video import VideoCamera
from edge.errors import InputError
from edge.frame import Frame, Image
from edge.ports import Camera
from videos import INTERLACED, number_of, numbered_image, write_pictures, write_video


def read_all(camera: Camera, at_most: int = 1000) -> list[Frame]:
    camera.open()
    frames: list[Frame] = []
    while len(frames) < at_most and (frame := camera.read()) is not None:
        frames.append(frame)
    camera.close()
    return frames


@pytest.mark.parametrize(("name", "fourcc"), [("v.mp4", "mp4v"), ("v.avi", "MJPG"), ("v.webm", "VP80")])
def test_every_frame_of_a_file_is_read_once_in_rgb(tmp_path: Path, name: str, fourcc: str) -> None:
    frames = read_all(VideoCamera(write_video(tmp_path / name, fourcc=fourcc), paced=False))
    assert [number_of(frame.image) for frame in frames] == list(range(10))
    red, green = frames[3].image[8, 12], frames[3].image[8, 84]
    assert red.argmax() == 0
    assert green.argmax() == 1


def test_a_loop_counts_on_in_index_and_media_time(tmp_path: Path) -> None:
    frames = read_all(VideoCamera(write_video(tmp_path / "v.mp4", 4), paced=False, loop=True), at_most=10)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [frame.index for frame in frames] == list(range(10))
    steps = [later.media_time_s - earlier.media_time_s for earlier, later in itertools.pairwise(frames)]
    assert steps == pytest.approx([0.04] * 9, abs=1e-3)


def test_a_missing_file_and_one_that_is_no_video_are_wrong_input(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video\n" * 500)
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    for path, words in ((tmp_path / "none.mp4", "no such file"), (text, "cannot be read"), (empty, "cannot be read")):
        with pytest.raises(InputError, match=words):
            VideoCamera(path).open()


def test_a_truncated_video_keeps_what_was_read_and_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = write_video(tmp_path / "v.avi", 80, fourcc="MJPG").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        frames = read_all(VideoCamera(cut, paced=False))
    assert 10 <= len(frames) < 60
    assert "of 80 frames: truncated" in caplog.text


def test_a_video_of_which_no_frame_can_be_read_is_wrong_input(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "v.avi", 18, fourcc="MJPG").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])  # the headers and a piece of the first frame
    with pytest.raises(InputError, match="not one frame"):
        read_all(VideoCamera(cut, paced=False))


def test_a_whole_video_does_not_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_all(VideoCamera(write_video(tmp_path / "v.mp4"), paced=False))
    assert caplog.text == ""


def jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def test_a_video_may_change_its_size_midway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "v.mjpeg"  # raw motion JPEG: pictures one after the other
    pictures = [numbered_image(1), numbered_image(2), numbered_image(3, 128, 96), numbered_image(4, 64, 160)]
    path.write_bytes(b"".join(jpeg(image) for image in pictures))
    with caplog.at_level(logging.WARNING):
        frames = read_all(VideoCamera(path, paced=False))
    # An OpenCV that would repeat the last picture instead is not believed.
    assert [number_of(frame.image) for frame in frames] == ([1, 2] if OPENCV_STICKS else [1, 2, 3, 4])
    assert ("changes its size after 2 frames" in caplog.text) == OPENCV_STICKS


@pytest.mark.parametrize("suffix", INTERLACED)
def test_interlaced_video_plays_or_is_refused_and_never_is_an_empty_room(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    path.write_bytes(INTERLACED[suffix])
    if REFUSES_INTERLACED:
        with pytest.raises(InputError, match=f"v{suffix}: is interlaced, which OpenCV .* cannot convert"):
            read_all(VideoCamera(path, paced=False))
    else:
        frames = read_all(VideoCamera(path, paced=False))
        assert len(frames) == 3
        assert all(frame.image.std() > 50 for frame in frames)  # a test card


def test_a_long_interlaced_video_plays_or_is_refused_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "v.m2v"
    path.write_bytes(INTERLACED[".m2v"] * 100)
    camera = VideoCamera(path, paced=False)
    camera.open()
    if REFUSES_INTERLACED:
        with pytest.raises(InputError, match="interlaced"):
            camera.read()
        assert camera._round_index == 25
    else:
        frame = camera.read()
        assert frame is not None
        assert frame.image.std() > 50
    camera.close()


@pytest.mark.parametrize("colour", [0, 90])
def test_a_video_that_shows_nothing_at_all_is_wrong_input(tmp_path: Path, colour: int) -> None:
    path = tmp_path / "v.mjpeg"
    path.write_bytes(jpeg(np.full((64, 96, 3), colour, np.uint8)) * 5)
    with pytest.raises(InputError, match="every picture of this video has one colour only"):
        read_all(VideoCamera(path, paced=False))


def test_a_video_may_begin_and_end_in_black(tmp_path: Path) -> None:
    path = tmp_path / "v.mjpeg"
    black = jpeg(np.zeros((64, 96, 3), np.uint8))
    path.write_bytes(black * 3 + jpeg(numbered_image(4)) + black)
    assert len(read_all(VideoCamera(path, paced=False))) == 5


DISPLAY_MATRICES = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_clip_of_a_telephone_is_upright(tmp_path: Path, degrees: int) -> None:
    path = write_video(tmp_path / "v.mp4", 3)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # the matrix: a, b, u, c, d, v, ... in fixed point
    a, b, c, d = (value << 16 for value in DISPLAY_MATRICES[degrees])
    data[at : at + 20] = struct.pack(">5i", a, b, 0, c, d)
    path.write_bytes(data)
    camera = VideoCamera(path, paced=False)
    camera.open()
    size = camera.size
    camera.close()
    frame = read_all(camera)[0]
    assert size == frame.size == ((96, 64) if degrees == 180 else (64, 96))
    upright = read_all(VideoCamera(write_video(tmp_path / "u.mp4", 3), paced=False))[0].image
    assert np.abs(np.rot90(upright, -degrees // 90).astype(int) - frame.image).mean() < 8


@pytest.mark.parametrize(
    ("code", "size"),
    [(1, (96, 64)), (2, (96, 72)), (3, (114, 64)), (4, (141, 64))],  # square, 4:3, 16:9, 2.21:1
)
@pytest.mark.parametrize("rotate", [0, 90])
def test_pixels_that_are_not_square_are_made_so(tmp_path: Path, code: int, size: tuple[int, int], rotate: int) -> None:
    path = write_video(tmp_path / "v.m2v", 3, fourcc="mpg2")
    data = path.read_bytes()
    assert data.count(b"\0\0\1\xb3") >= 1
    pieces = data.split(b"\0\0\1\xb3")  # headers of a sequence: width and height, then the aspect
    path.write_bytes(
        b"\0\0\1\xb3".join([pieces[0], *(p[:3] + bytes([code << 4 | p[3] & 15]) + p[4:] for p in pieces[1:])])
    )
    camera = VideoCamera(path, paced=False, rotate=rotate)
    camera.open()
    told = camera.size
    frame = camera.read()
    camera.close()
    assert frame is not None
    assert told == frame.size == (size[::-1] if rotate else size)


@pytest.mark.parametrize(
    ("numbers", "aspect"),
    [
        ((1, 1), 1),
        ((0, 1), 1),
        ((0, 0), 1),
        ((8, 3), 8 / 3),
        ((20, 11), 20 / 11),
        ((71, 72), 1),
        ((1, 9), 1),
        ((9, 1), 1),
    ],
)
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_the_shape_of_a_pixel_is_believed_within_reason(numbers: tuple[int, int], aspect: float, turned: int) -> None:
    told = dict(zip((cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN), numbers, strict=True))

    class Told:
        def get(self, prop: int, /) -> float:
            return {**told, cv2.CAP_PROP_ORIENTATION_META: turned}[prop]

    assert pixel_aspect(Told()) == pytest.approx(1 / aspect if turned in (90, 270) else aspect)


def test_pictures_that_come_twice_are_not_read_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "v.mjpeg"
    path.write_bytes(b"".join(jpeg(numbered_image(index % 20)) * 2 for index in range(400)))
    camera = VideoCamera(path, paced=False)
    camera.open()
    read = 0
    while camera.read() is not None:
        read += 1
    assert read == 800
    assert camera._looked_back <= 2 * 800
    camera.close()


def test_a_video_that_stands_still_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "v.mjpeg"
    pictures = [numbered_image(index) for index in (1, 5, 5, 5, 5, 2, 2)]
    path.write_bytes(b"".join(jpeg(image) for image in pictures))
    frames = read_all(VideoCamera(path, paced=False))
    assert [number_of(frame.image) for frame in frames] == [1, 5, 5, 5, 5, 2, 2]


@needs_data
@pytest.mark.parametrize(
    ("name", "count", "size"),
    [("classroom.gif", 45, (480, 270)), ("crowd_540p_5frames.mp4", 5, (960, 540))],
)
def test_real_files_are_read_whole(name: str, count: int, size: tuple[int, int]) -> None:
    frames = read_all(VideoCamera(data(f"video/{name}"), paced=False))
    assert len(frames) == count
    assert {frame.size for frame in frames} == {size}


def test_pictures_come_sorted_by_name(tmp_path: Path) -> None:
    frames = read_all(ImagesCamera(write_pictures(tmp_path / "p", suffix=".jpg"), paced=False))
    assert [number_of(frame.image) for frame in frames] == list(range(10))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_a_broken_picture_is_skipped_with_a_warning_and_its_index_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    folder = write_pictures(tmp_path / "p", 5, suffix=suffix)
    (folder / f"000{suffix}").write_text("not a picture")
    half = folder / f"003{suffix}"
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    frames = read_all(ImagesCamera(folder, paced=False))
    assert [frame.index for frame in frames] == [1, 2, 4]
    assert [number_of(frame.image) for frame in frames] == [1, 2, 4]
    assert caplog.text.count("skipped") == 2


def test_a_picture_with_data_behind_it_is_whole(tmp_path: Path) -> None:
    """Telephones append a film to it."""
    folder = write_pictures(tmp_path / "p", 2, suffix=".jpg")
    (folder / "001.jpg").write_bytes((folder / "001.jpg").read_bytes() + bytes(20_000))
    assert len(read_all(ImagesCamera(folder, paced=False))) == 2


def test_a_broken_picture_in_a_loop_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_pictures(tmp_path / "p", 2)
    (folder / "000.png").write_text("no picture")
    read_all(ImagesCamera(folder, paced=False, loop=True), at_most=9)
    assert caplog.text.count("skipped") == 1


def test_a_file_name_with_a_colon_is_no_protocol(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 3).rename(tmp_path / "12:00:00.mp4")
    relative = Path(os.path.relpath(tmp_path / "12:00:00.mp4"))
    assert len(read_all(VideoCamera(relative, paced=False))) == 3


def test_pictures_of_several_sizes_are_one_source(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", 2)
    cv2.imwrite(str(folder / "009.png"), numbered_image(9, 50, 70))
    assert [frame.size for frame in read_all(ImagesCamera(folder, paced=False))] == [(96, 64), (96, 64), (50, 70)]


def test_one_picture_is_a_source_too(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", 2)
    (frame,) = read_all(ImagesCamera(folder / "001.png", paced=False))
    assert number_of(frame.image) == 1


def test_folders_without_a_picture_that_can_be_read_are_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures in this folder"):
        ImagesCamera(tmp_path).open()
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(InputError, match="no picture in it can be read"):
        ImagesCamera(tmp_path).open()
    with pytest.raises(InputError, match="no such file or folder"):
        ImagesCamera(tmp_path / "none").open()


def test_a_video_that_is_too_large_is_wrong_input(tmp_path: Path) -> None:
    path = tmp_path / "v.mjpeg"
    path.write_bytes(jpeg(numbered_image(1, 8208, 16)) * 3)
    with pytest.raises(InputError, match="8208x16 pixels: more than 8192 a side"):
        VideoCamera(path).open()


def test_a_folder_can_loop(tmp_path: Path) -> None:
    frames = read_all(ImagesCamera(write_pictures(tmp_path / "p", 3), paced=False, loop=True), at_most=7)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert [frame.index for frame in frames] == list(range(7))
