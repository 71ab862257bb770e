"""Sink `jsonl`: pose messages, one per line, to a file or to stdout."""

import contextlib
import errno
import logging
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from edge.errors import UnavailableError
from edge.payload import Origin, encode, pose_message
from edge.ports import PoseFrame

__all__ = ["JsonlFileSink", "JsonlStdoutSink"]

log = logging.getLogger(__name__)

RETRY_S = 10.0
LOOK_S = 1.0
STDOUT = 1


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
    Pipes and devices are written to, but never rotated.

    Args:
        path: the file; its folder must exist.
        origin: what the messages of this run have in common.
        max_bytes: the file is rotated before it grows beyond this.
        retry_s: how long a disk that refuses is left alone before the next try.
        look_s: how often to look whether the file is still the one at `path`.
    """

    name = "jsonl"
    blocks: Literal[True] = True
    lossless = True
    wants_image = False

    def __init__(
        self, path: Path, origin: Origin, *, max_bytes: int, retry_s: float = RETRY_S, look_s: float = LOOK_S
    ) -> None:
        self._path = path
        self._origin = origin
        self._max_bytes = max_bytes
        self._look_s = look_s
        self._looked_s = 0.0
        self._descriptor: int | None = None
        self._info: os.stat_result | None = None
        self._size_bytes = 0
        self._may_rotate = True
        self._outage = _Outage(str(path), retry_s)

    def open(self) -> None:
        """Open the file to append. Raises UnavailableError."""
        try:
            self._open()
        except OSError as error:
            reason = "nobody reads this pipe" if error.errno == errno.ENXIO else error.strerror
            raise UnavailableError(f"{self._path}: cannot be written: {reason}") from error

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
        # Not blocking: opening a pipe that nobody reads would wait for ever.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(self._path, flags, 0o644)
        os.set_blocking(self._descriptor, True)
        self._info = os.fstat(self._descriptor)
        self._size_bytes = self._info.st_size if self._is_regular() else 0
        self._looked_s = time.monotonic()
        if self._size_bytes > 0:
            self._end_last_line()

    def _is_regular(self) -> bool:
        return self._info is not None and stat.S_ISREG(self._info.st_mode)

    def _end_last_line(self) -> None:
        """A power cut may have left half a line; a new one must not be glued to it."""
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            ended = file.read(1) == b"\n"
        if not ended:
            self._put(b"\n")

    def _append(self, line: bytes) -> None:
        if self._descriptor is not None and self._has_gone():
            self.close()
        if self._descriptor is None:
            self._open()
        if self._is_regular() and self._may_rotate and 0 < self._size_bytes > self._max_bytes - len(line):
            self._rotate()
        self._put(line)

    def _put(self, data: bytes) -> None:
        assert self._descriptor is not None
        written = os.write(self._descriptor, data)
        if written < len(data):  # the disk got full within the line
            if self._is_regular():
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size_bytes += written

    def _has_gone(self) -> bool:
        """Return whether the file was deleted, moved, or replaced: what is written to it now would be lost."""
        now_s = time.monotonic()
        if not self._is_regular() or now_s - self._looked_s < self._look_s:
            return False
        self._looked_s = now_s
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor or -1))
        except FileNotFoundError:
            return True

    def _rotate(self) -> None:
        target = self._path.resolve()  # a link stays a link
        try:
            target.replace(target.with_name(target.name + ".1"))
        except PermissionError as error:
            self._may_rotate = False
            log.warning("%s: cannot be rotated: %s; it grows on", self._path, error.strerror)
            return
        self.close()
        self._open()


class JsonlStdoutSink:
    """Writes to stdout; a reader that closes the pipe (`| head`) ends the run.

    Args:
        origin: what the messages of this run have in common.
        on_closed: called once when nobody reads any more.
        descriptor: where to write; 1 is stdout.
    """

    name = "jsonl"
    blocks: Literal[True] = True
    lossless = True
    wants_image = False

    def __init__(self, origin: Origin, on_closed: Callable[[], None], *, descriptor: int = STDOUT) -> None:
        self._origin = origin
        self._on_closed = on_closed
        self._descriptor = descriptor
        self._outage = _Outage("stdout", RETRY_S)
        self._closed = False
        self._is_torn = False  # the last line was cut short by an error

    def open(self) -> None:
        """See that stdout is open. Raises UnavailableError."""
        try:
            os.fstat(self._descriptor)
            is_closed = self._descriptor == STDOUT and sys.stdout is None
        except OSError:
            is_closed = True
        if is_closed:
            raise UnavailableError("stdout is closed: --jsonl - has nowhere to write")

    def write(self, result: PoseFrame) -> None:
        """Write one line, waiting for the reader."""
        if self._closed or self._outage.rests():
            return
        line = encode(pose_message(result, self._origin, time.monotonic())) + b"\n"
        try:
            self._put(b"\n" + line if self._is_torn else line)
        except BrokenPipeError:
            self._closed = True
            self._on_closed()
        except OSError as error:
            self._outage.begin(error)
        else:
            self._outage.end()

    def close(self) -> None:
        """Nothing is buffered, so there is nothing to flush."""

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._is_torn = self._is_torn or len(rest) < len(data)
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # whoever started us made the pipe so
                select.select([], [self._descriptor], [])
        self._is_torn = False
