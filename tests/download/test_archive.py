"""Archives: one file comes out, and nothing that they hold decides where it goes."""

import gzip
import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from archives import tar_gz
from edge.download.archive import ArchiveError, extract_member

MODEL = b"TFL3 a model" * 999


def extract(folder: Path, archive: bytes, member: str = "1.tflite", *, max_bytes: int = 10**6) -> bytes:
    path = folder / "m.tar.gz"
    path.write_bytes(archive)
    extract_member(path, member, folder / "out" / "m.new", max_bytes=max_bytes)
    return (folder / "out" / "m.new").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path


def refusal(folder: Path, archive: bytes, *, max_bytes: int = 10**6) -> str:
    with pytest.raises(ArchiveError) as caught:
        extract(folder, archive, max_bytes=max_bytes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["1.tflite", "./1.tflite"])
def test_the_member_comes_out_and_nothing_else(folder: Path, name: str) -> None:
    assert extract(folder, tar_gz({"README": b"read me", name: MODEL, "2.tflite": b"other"})) == MODEL
    assert [path.name for path in (folder / "out").iterdir()] == ["m.new"]


def test_a_member_in_a_folder_is_named_by_its_path(folder: Path) -> None:
    assert extract(folder, tar_gz({"1.tflite": b"other", "a/1.tflite": MODEL}), "a/1.tflite") == MODEL


@pytest.mark.parametrize("name", ["../1.tflite", "/1.tflite", "a/../1.tflite", "../out/m.new"])
def test_a_name_that_leads_elsewhere_is_not_the_member(folder: Path, name: str) -> None:
    assert refusal(folder, tar_gz({name: MODEL})) == f"has no 1.tflite in it, only '{name}'"
    assert list((folder / "out").iterdir()) == []


def test_a_missing_member_is_named_with_what_is_there_instead(folder: Path) -> None:
    names = {f"{number}.bin": b"" for number in range(7)}
    expected = "has no 1.tflite in it, only '0.bin', '1.bin', '2.bin', '3.bin', '4.bin', …"
    assert refusal(folder, tar_gz(names)) == expected
    assert refusal(folder, tar_gz({})) == "has no 1.tflite in it, only nothing"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_file_is_refused(folder: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("1.tflite")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    assert refusal(folder, buffer.getvalue()).startswith("has 1.tflite not as a file")


def test_what_is_no_archive_is_refused_with_how_it_begins(folder: Path) -> None:
    line = refusal(folder, b"<!DOCTYPE html><title>Sign in</title>")
    assert line == "is no .tar.gz archive (it begins with '<!DOCTYPE html><')"


def test_a_gzip_of_something_else_is_refused(folder: Path) -> None:
    assert refusal(folder, gzip.compress(b"no tar" * 500)).startswith("is a damaged .tar.gz archive")


@pytest.mark.parametrize("left", [5, 200, -20])
def test_a_truncated_archive_is_refused(folder: Path, left: int) -> None:
    content = bytes(range(256)) * 40
    assert refusal(folder, tar_gz({"1.tflite": content})[:left]).startswith("is a damaged .tar.gz archive")


def test_a_damaged_archive_is_refused_or_gives_what_the_digest_will_refuse(folder: Path) -> None:
    content = b"".join(b"line %d of a model\n" % (number * number) for number in range(9000))
    archive = tar_gz({"1.tflite": content})
    complaints = []
    for position in range(12, len(archive), len(archive) // 50):
        damaged = bytearray(archive)
        damaged[position] ^= 0x55
        try:
            extract(folder, bytes(damaged))
        except ArchiveError as error:
            complaints.append(str(error))
    assert len(complaints) > 10
    assert all(line.startswith(("is a damaged .tar.gz archive", "has no 1.tflite")) for line in complaints)


@pytest.mark.parametrize("name", ["1.tflite", "0.bin"])
def test_an_archive_that_unpacks_to_far_more_is_refused(folder: Path, name: str) -> None:
    archive = tar_gz({name: bytes(50_000)})
    assert refusal(folder, archive, max_bytes=40_000) == "unpacks to far more than a model"


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def sparse(size: int) -> bytes:
    """A GNU sparse member that is all hole: no data, and `size` zeros when it is read."""
    plain = bytearray(header("1.tflite", 0, tarfile.GNUTYPE_SPARSE))
    plain[386:398] = b"%011o\0" % size  # the map's only entry: 0 bytes at the end
    plain[398:410] = b"%011o\0" % 0
    plain[483:495] = b"%011o\0" % size
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain)
    return bytes(plain)


LARGE = 900 << 20


@pytest.mark.parametrize(
    "content",
    [
        sparse(LARGE),
        sparse(100),
        header("1.tflite", LARGE),
        header("long", LARGE, tarfile.GNUTYPE_LONGNAME),
        header("long", LARGE, tarfile.GNUTYPE_LONGLINK),
        header("pax", LARGE, tarfile.XHDTYPE),
        header("pax", LARGE, tarfile.XGLTYPE),
        header("pax", LARGE, tarfile.SOLARIS_XHDTYPE),
        header("pax", 20, tarfile.XHDTYPE) + b"20 size=-1000000000\n".ljust(512, b"\0") + header("1.tflite", 5),
        header("pax", 18, tarfile.XHDTYPE) + b"18 size=900000000\n".ljust(512, b"\0") + header("1.tflite", 5),
        b"".join(header(f"{number}.bin", 0) for number in range(10_001)) + header("1.tflite", 0),
    ],
    ids=[
        "sparse",
        "small sparse",
        "size",
        "name",
        "link",
        "pax",
        "global pax",
        "Solaris",
        "less than 0",
        "by pax",
        "many",
    ],
)
def test_what_an_archive_announces_is_never_read_or_written(folder: Path, content: bytes) -> None:
    tracemalloc.start()
    try:
        line = refusal(folder, gzip.compress(content + bytes(1 << 20)), max_bytes=1 << 24)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert line == "unpacks to far more than a model"
    assert sum(path.stat().st_size for path in (folder / "out").iterdir()) == 0
    assert peak < 16 << 20
