"""Log set-up: format, secret masking, rate limit.

Lines are bare on a terminal and carry a priority under systemd.
"""

import contextlib
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from edge.masking import mask

__all__ = ["Repeats", "goes_to_journal", "say", "set_up"]

_MAX_REPEATS = 5
_WINDOW_S = 60.0
_MAX_KNOWN = 1000

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""syslog(3)'s numbers, which systemd reads from `<N>` at the beginning of a line (sd-daemon(3))."""
_DEBUG_PRIORITY = 7

_DEBUG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_JOURNAL_DEBUG_FORMAT = "%(name)s: %(message)s"

# As a dict or JSON shows it; `masking.mask` covers URLs and `password=…`.
_QUOTED_SECRET = re.compile(r"""(?i)(["'](?:password|passwd|token|secret)["']\s*:\s*["']?)[^"',}\s]+""")


def set_up(
    *,
    debug: bool = False,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Send the log of the whole process to one stream.

    An earlier set-up is replaced.

    Args:
        debug: every record, with its origin and, outside systemd, its time.
        stream: None for stderr.
        environ: holds JOURNAL_STREAM under systemd.
        now: monotonic seconds, for the rate limit.
    """
    stream = stream or sys.stderr
    journal = goes_to_journal(stream, environ)
    handler = _Handler(stream, now)
    handler.setFormatter(_Formatter(_choose_format(debug=debug, journal=journal), journal=journal))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    threading.excepthook = _log_thread_error


def say(text: str, level: int = logging.ERROR) -> None:
    """Print a command's final message: not rate-limited, without time or origin.

    Call `set_up` before.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            handler.say(text, level)


def goes_to_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether systemd connected a stream to its journal.

    JOURNAL_STREAM holds its device and inode (systemd.exec(5)).
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _choose_format(*, debug: bool, journal: bool) -> str:
    if not debug:
        return "%(message)s"
    return _JOURNAL_DEBUG_FORMAT if journal else _DEBUG_FORMAT


def _log_thread_error(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        name = failure.thread.name if failure.thread is not None else "?"
        logging.getLogger(__name__).error("thread %s failed", name, exc_info=failure.exc_value)


def _escaped(text: str) -> str:
    """Return a line in which nothing controls a terminal or begins another line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


class _Formatter(logging.Formatter):
    """Masks secrets in the finished text: arguments, errors and tracebacks included."""

    def __init__(self, form: str, *, journal: bool) -> None:
        super().__init__(form)
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        return self.finish(super().format(record), record.levelno)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        # Names of files, processes and devices, and words of brokers, may hold anything: a message is one line.
        record.message = _escaped(record.message)
        return super().formatMessage(record)

    def finish(self, text: str, level: int) -> str:
        text = "\n".join(map(_escaped, _QUOTED_SECRET.sub(r"\1***", mask(text)).split("\n")))
        if not self._journal:
            return text
        priority = next((number for least, number in _PRIORITIES if level >= least), _DEBUG_PRIORITY)
        # Each line needs its prefix: the journal would give one without it the default priority.
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines() or [""])


class _Handler(logging.StreamHandler[TextIO]):
    """Limits repeated records; logs their count with a later record, or at the end."""

    def __init__(self, stream: TextIO, now: Callable[[], float]) -> None:
        super().__init__(stream)
        self._now = now
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        now_s = self._now()
        for summary in self._repeats.due(now_s):
            super().emit(summary)
        if self._repeats.admit(record, now_s):
            super().emit(record)

    def say(self, text: str, level: int) -> None:
        formatter = self.formatter
        assert isinstance(formatter, _Formatter)
        # The reader has closed the pipe: no reason to end.
        with self.lock or threading.Lock(), contextlib.suppress(OSError):
            self.stream.write(formatter.finish(text, level) + self.terminator)
            self.flush()

    def close(self) -> None:
        for summary in self._repeats.due(float("inf")):
            super().emit(summary)
        super().close()


@dataclass(slots=True)
class _Count:
    """Number of records of one text since `since_s`, and of suppressed ones."""

    since_s: float
    record: logging.LogRecord
    seen: int = 0
    suppressed: int = 0


class Repeats:
    """Rate limit: passes the first few equal records per window, counts the rest.

    Args:
        most: records passed per window.
        window_s: length of a window; it starts with the first record of a text.
    """

    def __init__(self, *, most: int = _MAX_REPEATS, window_s: float = _WINDOW_S) -> None:
        self._most = most
        self._window_s = window_s
        self._counts: dict[tuple[Any, ...], _Count] = {}

    def admit(self, record: logging.LogRecord, now_s: float) -> bool:
        """Return whether to write a record; call `due` before.

        Debug records always pass.
        """
        if record.levelno <= logging.DEBUG:
            return True
        key = (record.name, record.levelno, record.getMessage())
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= _MAX_KNOWN:
                return True
            count = self._counts[key] = _Count(now_s, record)
        count.seen += 1
        count.suppressed += count.seen > self._most
        return count.seen <= self._most

    def due(self, now_s: float) -> Iterator[logging.LogRecord]:
        """Yield a summary of each text suppressed in a window that is over.

        These windows are removed.
        """
        over = [key for key, count in self._counts.items() if now_s - count.since_s >= self._window_s]
        for key in over:
            count = self._counts.pop(key)
            if count.suppressed:
                yield _summary(count)


def _summary(count: _Count) -> logging.LogRecord:
    record, text = count.record, count.record.getMessage()
    plural = "time" if count.suppressed == 1 else "times"
    summary = f"{text} (repeated {count.suppressed} {plural})"
    return logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, summary, None, None)
