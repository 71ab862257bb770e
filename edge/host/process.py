"""Standard streams, signals and exit of this process."""

import faulthandler
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn, TextIO

__all__ = [
    "PYTHON",
    "Signals",
    "Stopped",
    "keep_stderr",
    "leave",
    "open_missing_streams",
    "print_any_text",
    "redirected_stderr",
]

PYTHON = (sys.executable, "-P")
"""Words that start this Python; -P: without modules of the current folder, which may be anybody's."""
UNWRITABLE_CODE = 69
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AGAIN_S = 0.05
_redirecting = threading.Lock()


def open_missing_streams() -> None:
    """Open /dev/null on descriptors 0, 1 and 2 where closed.

    The next socket would be taken for stdout otherwise.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free one
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for good; print() would go to stdout instead


def print_any_text() -> None:
    """Let stdout take every character, whatever the locale.

    A file or a pipe gets UTF-8, as our configs and messages are; a terminal question marks for what it lacks.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def keep_stderr(*, debug: bool) -> None:
    """Hide what native libraries write to descriptor 2, unless in debug mode.

    FFmpeg, LiteRT and libpng do; `sys.stderr` still works, and a crash in native code leaves a traceback.
    """
    if not debug:
        ours = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        sys.stderr = os.fdopen(ours, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    faulthandler.enable(sys.stderr)


@contextmanager
def redirected_stderr(descriptor: int) -> Iterator[None]:
    """Send what native libraries write to descriptor 2 to another one, for a moment.

    Lines of other threads go there, too. One thread at a time: descriptor 2 comes back in the right order.
    """
    with _redirecting:
        stderr = os.dup(2)
        os.dup2(descriptor, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def leave(code: int) -> NoReturn:
    """Exit with a code, even with broken streams or hanging native threads."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)  # a stop that was to come again has nothing left to stop
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code))  # the last flush may wait for a reader for ever
    logging.shutdown()  # writes the summaries of repeated records
    for stream in (sys.stdout, sys.stderr):
        code = _flushed(stream, code)
    if any(thread.daemon for thread in threading.enumerate()):
        os._exit(code)  # a thread hangs in native code, which would not survive Python's clean-up
    sys.exit(code)


def _flushed(stream: TextIO | None, code: int) -> int:
    """Flush a stream; return the exit code.

    A closed pipe is no error, a full disk is one.
    """
    try:
        if stream is not None:
            stream.flush()
    except BrokenPipeError:
        _forget(stream)
    except OSError as error:
        _forget(stream)
        os.write(2, f"edge-pose: output cannot be written: {error.strerror}\n".encode())
        return code or UNWRITABLE_CODE
    return code


def _forget(stream: TextIO | None) -> None:
    """Discard what a stream still holds; Python would retry at exit and fail with 120."""
    if stream is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Stopped(BaseException):
    """A signal came before there was a run to stop."""


class Signals:
    """Handles SIGTERM, SIGINT and SIGHUP: graceful for a run, else immediate."""

    def __init__(self) -> None:
        self.stop: Callable[[], None] | None = None
        self.came = False
        sys.unraisablehook = self._on_unraisable
        sys.excepthook = self._on_printed
        for number in STOP_SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup wants it so
            signal.signal(number, self._handle)

    def hand_over(self, stop: Callable[[], None]) -> None:
        """Let signals call `stop` from now on.

        It is called at once if a signal came before whose exception an import swallowed.
        """
        self.stop = stop
        if self.came:
            stop()

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self.came = True
        if self.stop is None:
            raise Stopped
        self.stop()

    def _on_unraisable(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Print what Python cannot raise, such as an error in the callback of a weak reference, as it does by itself.

        Importing uses such callbacks.
        """
        if isinstance(unraisable.exc_value, Stopped):
            self._stop_again()
        else:
            sys.__unraisablehook__(unraisable)

    def _on_printed(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Print an error that nothing caught, or that native code prints where it cannot raise it."""
        if isinstance(error, Stopped):
            self._stop_again()
        else:
            sys.__excepthook__(kind, error, trace)

    def _stop_again(self) -> None:
        """Have the signal come again soon: the exception of this one is lost here."""
        signal.signal(signal.SIGALRM, self._handle)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
