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
CHECK_S = 1.0
STDOUT = 1
BEGINNING = b'{"v":1,'
PRIVATE = 0o600
"""Mode of a file that is created: it tells who was where. One that is there keeps its mode, through rotation too."""


class _Outage:
    """Logs the start and end of an outage once each, and times the retries."""

    def __init__(self, what: str, retry_s: float) -> None:
        self._what = what
        self._retry_s = retry_s
        self._retry_at_s: float | None = None

    def is_waiting(self) -> bool:
        """Return whether the next retry is not due yet."""
        return self._retry_at_s is not None and time.monotonic() < self._retry_at_s

    def begin(self, error: OSError) -> None:
        if self._retry_at_s is None:
            log.warning(
                "%s: cannot be written: %s; lines are lost, retry every %g s",
                self._what, error.strerror, self._retry_s,
            )  # fmt: skip
        self._retry_at_s = time.monotonic() + self._retry_s

    def end(self) -> None:
        if self._retry_at_s is not None:
            log.warning("%s: writing again", self._what)
            self._retry_at_s = None


class JsonlFileSink:
    """Appends to a file, flushed per line, with rotation to `FILE.1`.

    A full disk or a missing folder costs lines, with one warning, never the run; no line stays half written. Pipes and
    devices are never rotated.

    Args:
        path: the file; its folder must exist.
        origin: the common fields of this run's messages.
        max_bytes: the file is rotated before it gets larger.
        retry_s: interval of retries after a failed write.
        check_s: interval of checks that the file is still the one at `path`.
    """

    name = "jsonl"
    blocks: Literal[True] = True
    lossless = True
    wants_image = False

    def __init__(
        self, path: Path, origin: Origin, *, max_bytes: int, retry_s: float = RETRY_S, check_s: float = CHECK_S
    ) -> None:
        self._path = path
        self._origin = origin
        self._max_bytes = max_bytes
        self._check_s = check_s
        self._checked_s = 0.0
        self._descriptor: int | None = None
        self._info: os.stat_result | None = None
        self._size_bytes = 0
        self._may_rotate = True
        self._mode = PRIVATE
        self._outage = _Outage(str(path), retry_s)

    def open(self) -> None:
        """Open the file to append to it. Raises UnavailableError."""
        try:
            self._open()
        except OSError as error:
            reason = "no process reads this pipe" if error.errno == errno.ENXIO else error.strerror
            raise UnavailableError(f"{self._path}: cannot be written: {reason}") from error

    def write(self, result: PoseFrame) -> None:
        """Append one line; lines are lost while writes fail."""
        if self._outage.is_waiting():
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
        # Non-blocking: opening a pipe without a reader would never return.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(self._path, flags, self._mode)
        os.set_blocking(self._descriptor, True)
        self._info = os.fstat(self._descriptor)
        self._mode = stat.S_IMODE(self._info.st_mode)
        self._size_bytes = self._info.st_size if self._is_regular() else 0
        self._checked_s = time.monotonic()
        if self._size_bytes > 0:
            self._end_last_line()

    def _is_regular(self) -> bool:
        return self._info is not None and stat.S_ISREG(self._info.st_mode)

    def _end_last_line(self) -> None:
        """End a line that a power cut left unfinished, before the next one."""
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
        if written < len(data):  # the disk became full within the line
            if self._is_regular():
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size_bytes += written

    def _has_gone(self) -> bool:
        """Return whether the file was deleted, moved or replaced: writes would be lost."""
        now_s = time.monotonic()
        if not self._is_regular() or now_s - self._checked_s < self._check_s:
            return False
        self._checked_s = now_s
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor or -1))
        except FileNotFoundError:
            return True

    def _rotate(self) -> None:
        target = self._path.resolve()  # a link stays a link
        older = target.with_name(target.name + ".1")
        try:
            _require_ours(older)
            target.replace(older)
        except PermissionError as error:
            self._may_rotate = False
            log.warning("%s: cannot be rotated: %s; it grows further", self._path, error.strerror)
            return
        self.close()
        self._open()


def _require_ours(path: Path) -> None:
    """Raise PermissionError where a file exists and does not begin as ours do; OSError where it cannot be read."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        if file.read(len(BEGINNING)) not in (BEGINNING, b""):
            raise PermissionError(errno.EPERM, f"{path.name} is not of this program: move it away")


class JsonlStdoutSink:
    """Writes to stdout; a closed pipe (`| head`) ends the run.

    Args:
        origin: the common fields of this run's messages.
        on_closed: called once when the reader has closed the pipe.
        descriptor: file descriptor to write to; 1 is stdout.
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
        """Check that stdout is open. Raises UnavailableError."""
        try:
            os.fstat(self._descriptor)
            is_closed = self._descriptor == STDOUT and sys.stdout is None
        except OSError:
            is_closed = True
        if is_closed:
            raise UnavailableError("stdout is closed: --jsonl - has nowhere to write")

    def write(self, result: PoseFrame) -> None:
        """Write one line, waiting for the reader."""
        if self._closed or self._outage.is_waiting():
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
        """Do nothing: lines are not buffered."""

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._is_torn = self._is_torn or len(rest) < len(data)
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # the parent process made the pipe non-blocking
                select.select([], [self._descriptor], [])
        self._is_torn = False
