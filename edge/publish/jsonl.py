"""Sink `jsonl`: pose messages, one per line, to a file or to stdout."""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from edge.errors import UnavailableError
from edge.payload import Origin, encode, pose_message
from edge.ports import PoseFrame

__all__ = ["JsonlFileSink", "JsonlStdoutSink"]

log = logging.getLogger(__name__)

RETRY_S = 10.0


class _Outage:
    """Says once that lines are being lost and once that they are not, and when to try again."""

    def __init__(self, what: str, retry_s: float) -> None:
        self._what = what
        self._retry_s = retry_s
        self._retry_at_s: float | None = None

    def rests(self) -> bool:
        """True while the next try is not due yet."""
        return self._retry_at_s is not None and time.monotonic() < self._retry_at_s

    def begin(self, error: OSError) -> None:
        if self._retry_at_s is None:
            log.warning(
                "%s: cannot be written: %s; lines are lost, next try every %g s",
                self._what, error.strerror, self._retry_s,
            )  # fmt: skip
        self._retry_at_s = time.monotonic() + self._retry_s

    def end(self) -> None:
        if self._retry_at_s is not None:
            log.warning("%s: writing again", self._what)
            self._retry_at_s = None


class JsonlFileSink:
    """Appends to a file, flushed per line; a full file is kept as `FILE.1` and a new one begun.

    A full disk or a vanished folder costs lines, with one warning, never the run; no line is left half written.

    Args:
        path: the file; its folder must exist.
        origin: what the messages of this run have in common.
        max_bytes: the file is rotated before it grows beyond this.
        retry_s: how long a disk that refuses is left alone before the next try.
    """

    name = "jsonl"
    lossless = True
    wants_image = False

    def __init__(self, path: Path, origin: Origin, *, max_bytes: int, retry_s: float = RETRY_S) -> None:
        self._path = path
        self._origin = origin
        self._max_bytes = max_bytes
        self._descriptor: int | None = None
        self._size_bytes = 0
        self._outage = _Outage(str(path), retry_s)

    def open(self) -> None:
        """Open the file to append. Raises UnavailableError."""
        try:
            self._open()
        except OSError as error:
            raise UnavailableError(f"{self._path}: cannot be written: {error.strerror}") from error

    def write(self, result: PoseFrame) -> None:
        """Append one line, or lose it while the disk refuses."""
        if self._outage.rests():
            return
        line = encode(pose_message(result, self._origin, time.monotonic())) + b"\n"
        try:
            self._append(line)
        except OSError as error:
            self._outage.begin(error)
            self.close()
        else:
            self._outage.end()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size_bytes = os.fstat(self._descriptor).st_size
        self._end_last_line()

    def _end_last_line(self) -> None:
        """A power cut may have left half a line; a new one must not be glued to it."""
        if self._size_bytes == 0 or not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            ended = file.read(1) == b"\n"
        if not ended:
            self._append(b"\n")

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            self._open()
        elif self._size_bytes > 0 and self._size_bytes + len(line) > self._max_bytes:
            self._rotate()
        assert self._descriptor is not None
        written = os.write(self._descriptor, line)
        if written < len(line):  # the disk got full within the line
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size_bytes += written

    def _rotate(self) -> None:
        self.close()
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._open()


class JsonlStdoutSink:
    """Writes to stdout; a reader that closes the pipe (`| head`) ends the run.

    Args:
        origin: what the messages of this run have in common.
        on_closed: called once when nobody reads any more.
        descriptor: where to write; 1 is stdout.
    """

    name = "jsonl"
    lossless = True
    wants_image = False

    def __init__(self, origin: Origin, on_closed: Callable[[], None], *, descriptor: int = 1) -> None:
        self._origin = origin
        self._on_closed = on_closed
        self._descriptor = descriptor
        self._outage = _Outage("stdout", RETRY_S)
        self._closed = False

    def open(self) -> None:
        """See that stdout is open. Raises UnavailableError."""
        try:
            os.fstat(self._descriptor)
        except OSError as error:
            raise UnavailableError("stdout is closed: --jsonl - has nowhere to write") from error

    def write(self, result: PoseFrame) -> None:
        """Write one line, waiting for the reader."""
        if self._closed or self._outage.rests():
            return
        rest = memoryview(encode(pose_message(result, self._origin, time.monotonic())) + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            self._closed = True
            self._on_closed()
        except OSError as error:
            self._outage.begin(error)
        else:
            self._outage.end()

    def close(self) -> None:
        """Nothing is buffered, so there is nothing to flush."""
