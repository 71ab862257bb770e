"""Unpacks a SavedModel from a .tar.gz: known members only."""

import errno
import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Any

from edge.download.archive import LimitedReader, list_members
from edge.errors import InputError, ModelError, UnavailableError, one_line

__all__ = ["unpack_saved_model"]

WANTED = re.compile(r"(?:.*/)?(saved_model\.pb|variables/variables\.(?:index|data-\d{5}-of-\d{5}))")
MAX_UNPACKED_BYTES = 1 << 30
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def unpack_saved_model(archive: Path, folder: Path, *, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Write the one SavedModel of a .tar.gz into `folder`.

    Nothing else of the archive is written, whatever it holds and however its members are called.

    Args:
        archive: the .tar.gz.
        folder: an empty one.
        max_bytes: what may be unpacked in all.

    Raises:
        ModelError: truncated, damaged, too large, or without exactly one SavedModel.
        InputError: it cannot be read.
        UnavailableError: there is no room.
    """
    try:
        with gzip.open(archive) as unpacked:
            stream: Any = LimitedReader(unpacked, max_bytes)
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                seen = [member.name for member in tar if not _write(tar, member, folder)]
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile) as error:
        raise ModelError(
            f"{archive}: the archive is truncated or damaged ({one_line(error)}): fetch it again"
        ) from None
    except OSError as error:
        if error.errno in NO_ROOM:
            raise UnavailableError(
                f"{archive}: no room to unpack it ({error.strerror}): make room, or name another folder in TMPDIR"
            ) from error
        raise InputError(f"{archive}: cannot be unpacked: {error.strerror or error}") from error
    if not (folder / "saved_model.pb").is_file():
        raise ModelError(f"{archive}: no SavedModel in the archive: no saved_model.pb, only {list_members(seen)}")


def _write(tar: Any, member: tarfile.TarInfo, folder: Path) -> bool:
    """Write a member if it is a file of a SavedModel.

    Its name only selects one of the known names.
    """
    name = WANTED.fullmatch(member.name)
    if name is None or not member.isreg():
        return False
    target = folder / name[1]
    if target.exists():
        raise tarfile.ReadError("there are two SavedModels in it")
    target.parent.mkdir(exist_ok=True)
    source = tar.extractfile(member)
    with target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    return True
