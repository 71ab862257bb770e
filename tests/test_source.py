from pathlib import Path

import pytest

from edge.errors import UnavailableError, UsageError
from edge.source import parse_source


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("scene", "scene", "scene"),
        ("street.mp4", "video", "street.mp4"),
        ("/a/b/class.gif", "video", "class.gif"),
        ("photo.JPG", "images", "photo.JPG"),
        ("rtsp://cam/1", "stream", "rtsp://cam/1"),
        ("https://user:geheim@cam:8080/x.mjpg", "stream", "https://***@cam:8080/x.mjpg"),
    ],
)
def test_a_source_is_known_by_its_form(text: str, kind: str, name: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.name, source.text) == (kind, name, text)


def test_a_folder_is_a_source_of_pictures(tmp_path: Path) -> None:
    assert parse_source(str(tmp_path)).kind == "images"


@pytest.mark.parametrize("text", ["", "-x", "ftp://host/x", "rtsp://", "a\0b"])
def test_what_is_no_source_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


@pytest.mark.parametrize("text", ["pi", "pi:1", "/dev/video0", "/dev/v4l/by-id/usb-cam"])
def test_cameras_that_this_version_lacks_are_named(text: str) -> None:
    with pytest.raises(UnavailableError, match=text):
        parse_source(text)
