"""Takes one file out of a .tar.gz: nothing else of it ever touches the disk."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO, Any

from edge.errors import UnavailableError

__all__ = ["ArchiveError", "extract_member"]

MAX_UNPACKED_BYTES = 1 << 30
SHOWN_MEMBERS = 5
SHOWN_BYTES = 16
GZIP_MAGIC = b"\x1f\x8b"


class ArchiveError(UnavailableError):
    """The file is not the archive that was expected."""


class _Limited:
    """Reads gzip up to a size: a small file can unpack to any amount."""

    def __init__(self, file: gzip.GzipFile, max_bytes: int) -> None:
        self._file = file
        self._left_bytes = max_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise ArchiveError("unpacks to far more than a model")
        return data


def extract_member(archive: Path, member: str, target: Path, *, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Write one regular file of a .tar.gz to `target`; names in the archive decide nothing about where.

    Args:
        archive: the .tar.gz.
        member: its name in there; a leading `./` does not matter.
        target: where its content goes.
        max_bytes: what may be unpacked on the way to it, and of it, in all.

    Raises:
        ArchiveError: no archive, damaged, too large, or without such a file; begins with what it "is" or "has".
        OSError: `target` cannot be written.
    """
    try:
        with gzip.open(archive) as unpacked:
            stream: Any = _Limited(unpacked, max_bytes)
            with (
                tarfile.open(fileobj=stream, mode="r|") as tar,
                _find(tar, member) as source,
                target.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink)
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        head = _head(archive)
        if not head.startswith(GZIP_MAGIC):
            shown = ascii(head.decode("ascii", "replace"))
            raise ArchiveError(f"is no .tar.gz archive (it begins with {shown})") from None
        raise ArchiveError(f"is a damaged .tar.gz archive ({' '.join(str(error).split())})") from None


def _find(tar: tarfile.TarFile, member: str) -> IO[bytes]:
    seen = []
    for info in tar:
        if info.name.removeprefix("./") != member:
            seen.append(info.name)
            continue
        if not info.isreg():
            raise ArchiveError(f"has {member} not as a file, but as a link, folder or device")
        source = tar.extractfile(info)
        assert source is not None
        return source
    shown = ", ".join(map(ascii, seen[:SHOWN_MEMBERS])) + (", …" if len(seen) > SHOWN_MEMBERS else "")
    raise ArchiveError(f"has no {member} in it, only {shown or 'nothing'}")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SHOWN_BYTES)
