"""Extracts one file from a .tar.gz; writes nothing else of it to disk."""

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from edge.errors import UnavailableError, one_line

__all__ = ["ArchiveError", "LimitedReader", "TooLargeError", "extract_member", "is_gzip", "list_members"]

MAX_UNPACKED_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 16
"""Of a long name or pax record, which tarfile reads as a whole."""
MAX_MEMBERS = 10_000
HEADER_TYPES = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
SHOWN_MEMBERS = 5
SHOWN_BYTES = 16
GZIP_MAGIC = b"\x1f\x8b"


class ArchiveError(UnavailableError):
    """The file is not the archive that was expected."""


class TooLargeError(tarfile.ReadError):
    """An archive unpacks to more than is allowed."""

    def __init__(self) -> None:
        super().__init__("unpacks to far more than a model")


class LimitedReader:
    """Reads gzip up to a limit, against decompression bombs.

    Args:
        file: the compressed file.
        max_bytes: unpacked bytes after which `read` raises TooLargeError.
    """

    def __init__(self, file: gzip.GzipFile, max_bytes: int) -> None:
        self._file = file
        self._left_bytes = max_bytes

    def read(self, size: int) -> bytes:
        """Return at most `size` unpacked bytes."""
        data = self._file.read(size)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise TooLargeError
        return data


class _Member(tarfile.TarInfo):
    """A member whose header is checked before anything that it announces is read."""

    @classmethod
    def frombuf(cls, *arguments: Any, **options: Any) -> "_Member":
        info = super().frombuf(*arguments, **options)
        if info.size < 0 or (info.type in HEADER_TYPES and info.size > MAX_HEADER_BYTES):
            raise TooLargeError
        return info


def is_gzip(head: bytes) -> bool:
    """Return whether a file that starts with `head` is gzip."""
    return head.startswith(GZIP_MAGIC)


def list_members(names: Sequence[str]) -> str:
    """Return the first names of an archive's members, for messages."""
    shown = ", ".join(map(ascii, names[:SHOWN_MEMBERS])) + (", …" if len(names) > SHOWN_MEMBERS else "")
    return shown or "nothing"


def extract_member(archive: Path, member: str, target: Path, *, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Write one regular file of a .tar.gz to `target`.

    Args:
        archive: the .tar.gz.
        member: name of the file in it; a leading `./` does not matter.
        target: the file to write, whatever the archive says about its path.
        max_bytes: limit of what is unpacked in all: the members before it, and itself; and of what is written.

    Raises:
        ArchiveError: no archive, damaged, too large, or without such a file; the message starts with "is" or "has".
        OSError: `target` cannot be written.
    """
    try:
        with gzip.open(archive) as unpacked:
            stream: Any = LimitedReader(unpacked, max_bytes)
            with (
                tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar,
                _find(tar, member, max_bytes) as source,
                target.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink)
    except TooLargeError as error:
        raise ArchiveError(str(error)) from None
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        head = _head(archive)
        if not is_gzip(head):
            shown = ascii(head.decode("ascii", "replace"))
            raise ArchiveError(f"is no .tar.gz archive (it begins with {shown})") from None
        raise ArchiveError(f"is a damaged .tar.gz archive ({one_line(error)})") from None


def _find(tar: tarfile.TarFile, member: str, max_bytes: int) -> IO[bytes]:
    seen: list[str] = []
    for _ in range(MAX_MEMBERS):
        info = tar.next()
        if info is None:
            raise ArchiveError(f"has no {member} in it, only {list_members(seen)}")
        setattr(tar, "members", [])  # noqa: B010 - unknown to the stubs; else tarfile keeps them all
        if info.name.removeprefix("./") != member:
            seen = [*seen, info.name][: SHOWN_MEMBERS + 1]
            continue
        if info.issparse() or not 0 <= info.size <= max_bytes:  # a few bytes may say that gigabytes of zeros follow
            raise TooLargeError
        if not info.isreg():
            raise ArchiveError(f"has {member} not as a file, but as a link, folder or device")
        source = tar.extractfile(info)
        assert source is not None
        return source
    raise TooLargeError


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SHOWN_BYTES)
