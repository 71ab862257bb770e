from pathlib import Path

import pytest

from edge.errors import InputError, UnavailableError, UsageError
from edge.source import parse_source


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("scene", "scene", "scene"),
        ("rtsp://cam/1", "stream", "rtsp://cam/1"),
        ("https://user:geheim@cam:8080/x.mjpg", "stream", "https://***@cam:8080/x.mjpg"),
    ],
)
def test_a_source_is_known_by_its_form(text: str, kind: str, name: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.name, source.text) == (kind, name, text)


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


@pytest.mark.parametrize("text", ["pi", "pi:1", "/dev/video0", "/dev/v4l/by-id/usb-cam", "0", "usb"])
def test_cameras_that_this_version_lacks_are_named(text: str) -> None:
    with pytest.raises(UnavailableError, match=text):
        parse_source(text)
