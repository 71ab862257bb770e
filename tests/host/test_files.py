"""Small files are read whole, and nothing else: no pipe is waited for, no device read without end."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.check import read_toml
from edge.config.credentials import read_password
from edge.errors import EdgeError
from edge.host.atomic_write import write_new, write_whole
from edge.host.files import MAX_SMALL_BYTES, read_small
from edge.models.manifest import load_manifest
from edge.mqtt.tls import make_context
from edge.tflite.notes import notes_path, read_notes
from tiny_models import echo_model


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_folder(path: Path) -> None:
    path.mkdir()


def too_large(path: Path) -> None:
    path.write_bytes(b"#" * (MAX_SMALL_BYTES + 1))


def _notes(path: Path) -> None:
    model = echo_model(path.with_name("m.tflite"))
    path.rename(notes_path(model))
    read_notes(model)


def _manifest(path: Path) -> None:
    path.rename(path.with_name("models.toml"))
    load_manifest(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "config": lambda path: read_toml(path, "config file"),
    "password": read_password,
    "manifest": _manifest,
    "notes": _notes,
}


@pytest.mark.parametrize("make", [a_pipe, a_device, a_folder, too_large])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_small_file_is_refused_in_one_line_by_every_reader(
    tmp_path: Path, reader: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "file")
    with pytest.raises(EdgeError) as caught:
        READERS[reader](tmp_path / "file")
    assert str(caught.value).count("\n") == 0
    assert any(word in str(caught.value) for word in ("pipe or a device", "directory", "larger than"))


@pytest.mark.parametrize("make", [a_pipe, a_device, a_folder])
def test_a_certificate_is_a_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "ca.pem")
    with pytest.raises(EdgeError, match=r"mqtt\.ca_file: cannot read .*: (is a pipe or a device|Is a directory)"):
        make_context(str(tmp_path / "ca.pem"))


def test_a_link_to_a_file_is_read_and_its_largest_size_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * MAX_SMALL_BYTES)
    (tmp_path / "link").symlink_to("file")
    assert len(read_small(tmp_path / "link")) == MAX_SMALL_BYTES


def test_a_temporary_file_is_never_written_through_a_link_that_somebody_laid(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "new").symlink_to("theirs")
    write_new(tmp_path / "new", b"ours", mode=0o600)
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "new").read_bytes() == b"ours"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / f".file.{os.getpid()}.new").write_text("half")
    write_whole(tmp_path / "file", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
