"""The files of a recording: names, rotation, limits of disk space."""

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UnavailableError
from edge.host.atomic_write import sync
from edge.host.files import free_bytes
from edge.output.record.encoder import CODECS, Segment, can_read, can_write, working

__all__ = ["MIN_FREE_BYTES", "Segments"]

log = logging.getLogger(__name__)

MIN_FREE_BYTES = 64 * 2**20
"""Free space that a recording leaves: for a file's index, and for the system."""
PRIVATE = 0o600
"""Mode of a recording: people are to be seen in it."""
SHARE = 4
"""A segment takes at most 1/4 of `max_bytes`: otherwise the one being written could exceed it alone."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A finished file of this recording."""

    path: Path
    size_bytes: int


class Segments:
    """A recording's series of files: `out.mp4`, `out-0001.mp4`, ...

    Existing names are never reused: another run continues after the highest number.

    Args:
        path: the first file; its suffix chooses the encoder.
        max_bytes: the oldest files of this recording are deleted beyond this; None for no limit.
        segment_s: length of a file in seconds.
        min_free_bytes: the recording ends before the disk has less space.
        free: returns the free bytes of a folder; raises OSError.
        codecs: FourCC by suffix.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None,
        segment_s: float,
        min_free_bytes: int = MIN_FREE_BYTES,
        free: Callable[[Path], int] = free_bytes,
        codecs: Mapping[str, str] = CODECS,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._segment_s = segment_s
        self._min_free_bytes = min_free_bytes
        self._free = free
        self._codecs = codecs
        self._folder_id = (0, 0)
        self._kept: deque[_Kept] = deque()
        self._has_deleted = False

    def open(self) -> None:
        """Check that a recording can start; leaves no file. Raises UnavailableError."""
        suffix = self._path.suffix.lower()
        try:
            if self._path.is_dir():
                raise UnavailableError(f"{self._path}: is a folder; name a file in it, such as {self._path}/out.mp4")
            if suffix not in self._codecs:
                raise UnavailableError(f"{self._path}: not a suffix of a video; {working()}")
            self._folder_id = _identity(self._path.parent)
            self._check_space()
            trial = self._claim()
            works = can_write(trial, self._codecs[suffix])
            trial.unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(f"{self._path}: cannot be recorded to: {error.strerror or error}") from error
        if not works:
            raise UnavailableError(f"{self._path}: there is no encoder for {self._codecs[suffix]}; {working()}")

    def begin(self, *, fps: float, size: tuple[int, int], start_s: float) -> Segment:
        """Start the next file; flush the one before in the background. Raises OSError."""
        self._check_folder()
        if self._kept:
            threading.Thread(target=_sync, args=(self._kept[-1].path,), name="sync", daemon=True).start()
        path = self._claim()
        try:
            return Segment(path, self._codecs[path.suffix.lower()], fps=fps, size=size, start_s=start_s)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def is_over(self, segment: Segment) -> bool:
        """Return whether the next frame belongs to another file.

        Raises:
            OSError: the recording has to end.
        """
        if segment.frames >= max(round(self._segment_s * segment.fps), 1):
            return True
        if not segment.is_at_whole_second:
            return False
        self._check_folder()
        if not segment.path.exists():
            log.warning("%s: was deleted while it was recorded; continuing with another file", segment.path)
            return True
        size_bytes = segment.path.stat().st_size
        self._delete_oldest(size_bytes)
        return self._max_bytes is not None and size_bytes > self._max_bytes / SHARE

    def keep(self, segment: Segment) -> None:
        """Finish a file and keep it. Raises OSError: it cannot be read back."""
        segment.finish()
        if not segment.path.exists():
            return
        size_bytes = segment.path.stat().st_size
        self._delete_oldest(size_bytes)
        self._kept.append(_Kept(segment.path, size_bytes))
        if not can_read(segment.path):
            raise OSError(f"{segment.path.name} cannot be read back: writing to the disk failed")

    def _claim(self) -> Path:
        """Create the next free file, so that no other process takes its name."""
        number = self._next_number()
        while True:
            path = self._numbered(number)
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
            except FileExistsError:
                number += 1
            else:
                return path

    def _next_number(self) -> int:
        name = re.compile(re.escape(self._path.stem) + r"-(\d{4,})" + re.escape(self._path.suffix))
        found = [int(match[1]) for file in self._path.parent.iterdir() if (match := name.fullmatch(file.name))]
        return max(found) + 1 if found else 0

    def _numbered(self, number: int) -> Path:
        return self._path if number == 0 else self._path.with_stem(f"{self._path.stem}-{number:04}")

    def _check_folder(self) -> None:
        """Raise OSError if the folder was replaced or the disk is full.

        Under an unplugged disk's mount point lies a folder of the system's own disk.
        """
        if _identity(self._path.parent) != self._folder_id:
            raise FileNotFoundError("another folder is in its place")
        self._check_space()

    def _check_space(self) -> None:
        free = self._free(self._path.parent)
        if free < self._min_free_bytes:
            keep_mb = self._min_free_bytes / 1e6
            raise OSError(f"the disk is full: {free / 1e6:.0f} MB left, and recordings leave {keep_mb:.0f} MB")

    def _delete_oldest(self, newest_bytes: int) -> None:
        """Delete the oldest files until the newest, not kept yet, has room."""
        if self._max_bytes is None:
            return
        while self._kept and sum(kept.size_bytes for kept in self._kept) + newest_bytes > self._max_bytes:
            if not self._has_deleted:
                log.info(
                    "%s: %.0f MB are used: the oldest files are deleted from now on", self._path, self._max_bytes / 1e6
                )
            self._has_deleted = True
            self._kept.popleft().path.unlink(missing_ok=True)


def _identity(folder: Path) -> tuple[int, int]:
    """Return device and inode, which differ for another folder of the same name."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _sync(path: Path) -> None:
    """Flush a finished file to the disk; slow cards take seconds for it."""
    with suppress(OSError):
        sync(path)
        sync(path.parent)
