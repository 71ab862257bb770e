import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config.source import parse_source
from edge.errors import InputError, UsageError


@pytest.fixture
def shared_memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (Path(folder) / "street.mp4").touch()
        yield Path(folder)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("scene", "scene", "scene"),
        ("rtsp://cam/1", "stream", "rtsp://cam/1"),
        ("tcp://pi.local:8888", "stream", "tcp://pi.local:8888"),
        ("udp://@239.0.0.1:5000", "stream", "udp://239.0.0.1:5000"),
        ("rtmp://cam/live/geheim?token=geheim", "stream", "rtmp://cam/live/geheim"),
        ("https://user:geheim@cam:8080/x.mjpg", "stream", "https://cam:8080/x.mjpg"),
    ],
)
def test_a_source_is_known_by_its_form(text: str, kind: str, name: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.name, source.text) == (kind, name, text)


@pytest.mark.parametrize("text", ["rtsp:/admin:geheim@cam/1", "HTTP:admin:geheim@cam/1", "rtsp:///admin:geheim@cam"])
def test_a_url_that_lacks_a_slash_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(UsageError, match=r"URL|did you mean rtsp://\*\*\*@cam/1\?") as caught:
        parse_source(text)
    assert "geheim" not in str(caught.value)


def test_a_file_that_is_named_like_a_url_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "rtsp:x.mp4").touch()
    with contextlib.chdir(tmp_path):
        assert parse_source("rtsp:x.mp4").kind == "video"


@pytest.mark.parametrize(("file", "kind"), [("street.mp4", "video"), ("class.gif", "video"), ("photo.JPG", "images")])
def test_a_file_is_known_by_its_suffix(tmp_path: Path, file: str, kind: str) -> None:
    (tmp_path / file).touch()
    source = parse_source(str(tmp_path / file))
    assert (source.kind, source.name) == (kind, file)


def test_a_file_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.mp4: no such file"):
        parse_source(str(tmp_path / "none.mp4"))


def test_a_folder_is_a_source_of_pictures(tmp_path: Path) -> None:
    assert parse_source(str(tmp_path)).kind == "images"


@pytest.mark.parametrize("text", ["", "-x", "ftp://host/x", "rtsp://", "a\0b"])
def test_what_is_no_source_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


def test_the_cameras_of_a_pi_are_numbered_and_named_as_they_were_written() -> None:
    assert [(source.kind, source.text, source.name) for source in map(parse_source, ("pi", "pi:0", "pi:12"))] == [
        ("pi", "0", "pi"),
        ("pi", "0", "pi:0"),
        ("pi", "12", "pi:12"),
    ]


@pytest.mark.parametrize("text", ["pi1", "PI", "picamera2", "libcamera", "rpicam", "csi", "pi:"])
def test_other_words_for_the_camera_of_a_pi_lead_to_it(text: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}': the Pi's camera port is pi, a second camera on it pi:1"):
        parse_source(text)


@pytest.mark.parametrize("text", ["/dev/video99", "/dev/v4l/by-id/usb-Acme_Cam_7-video-index0", "/dev/null"])
def test_a_device_is_a_camera_even_while_it_is_not_there(text: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.text, source.name) == ("v4l2", text, Path(text).name)


def test_a_file_below_dev_is_a_file(shared_memory: Path) -> None:
    assert parse_source(str(shared_memory / "street.mp4")).kind == "video"
    assert parse_source(str(shared_memory)).kind == "images"


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("0", "video0"),
        ("3", "video3"),
        ("video2", "video2"),
        ("usb", "video0"),
        ("webcam", "video0"),
        ("cam1", "video1"),
    ],
)
def test_other_words_for_a_usb_camera_lead_to_its_path(text: str, device: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}'.*/dev/{device},.*edge-pose doctor"):
        parse_source(text)


def test_a_folder_that_is_named_like_a_camera_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    with contextlib.chdir(tmp_path):
        assert parse_source("usb").kind == "images"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("http//cam", "http://cam"),
        ("http:/cam/x", "http://cam/x"),
        ("rtsp:/cam:554/1", "rtsp://cam:554/1"),
        ("RTSP//cam", "RTSP://cam"),
        ("/dev/vidoe0", "/dev/video0"),
        ("/dev/vdeo2", "/dev/video2"),
    ],
)
def test_a_slip_in_an_address_is_answered_with_what_was_meant(text: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert str(caught.value) == f"camera '{text}': did you mean {meant}?"


@pytest.mark.parametrize("text", ["/dev/hall-camera", "/dev/cam0", "/dev/webcam1"])
def test_a_name_by_a_udev_rule_is_a_camera(text: str) -> None:
    assert parse_source(text).kind == "v4l2"


def test_a_file_of_a_similar_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "street.mp4").touch()
    with pytest.raises(InputError) as caught:
        parse_source(str(tmp_path / "stret.mp4"))
    assert str(caught.value) == f"{tmp_path}/stret.mp4: no such file or folder (did you mean {tmp_path}/street.mp4?)"
    with pytest.raises(InputError, match=r"attic\.mp4: no such file or folder$"):
        parse_source(str(tmp_path / "attic.mp4"))
    with pytest.raises(InputError, match=r"no such file or folder$"):
        parse_source(str(tmp_path / "none" / "street.mp4"))


@pytest.mark.parametrize("text", ["~nobodyatall/x.mp4", "~nobodyatall"])
def test_a_home_folder_of_nobody_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="no such home folder: give the whole path"):
        parse_source(text)


@pytest.mark.parametrize("text", ["x" * 300, "http:/" + "true" * 100, "/dev/" + "video" * 60, "a/" * 3000, "é" * 200])
def test_a_name_longer_than_a_file_can_have_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"…': longer than the name of a file can be$") as caught:
        parse_source(text)
    assert len(str(caught.value)) < 150
