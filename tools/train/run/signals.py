"""Ends a training on SIGINT or SIGTERM, at once or deferred."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self

__all__ = ["Signals", "Stopped"]

CODE = 128
"""Exit code of a program ended by signal n: CODE + n, as in shells."""


class Stopped(BaseException):
    """A signal ended the program; `code` is its exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = CODE + number


class Signals:
    """Handles this process's signals while entered; for the main thread."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def received(self) -> bool:
        """True once a signal has arrived."""
        return self._number is not None

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer signals until `check`, or the end of this context.

        Raises:
            Stopped: one came meanwhile, and nothing else has gone wrong.
        """
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        self.check()

    def check(self) -> None:
        """Raise Stopped if a signal has arrived."""
        if self._number is not None:
            raise Stopped(self._number)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self._number = number
        if not self._waits:
            raise Stopped(number)
