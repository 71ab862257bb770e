"""Wakes a thread that waits in `select` (the self-pipe trick)."""

import contextlib
import socket
from types import TracebackType
from typing import Self

__all__ = ["Waker"]


class Waker:
    """A pair of sockets: one thread waits for it, any other wakes that thread.

    It is given to `select` as it is, and closed by the thread that waits.
    """

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both ends."""
        self.close()

    def close(self) -> None:
        """Close both ends; `wake` does nothing from now on."""
        self._receiver.close()
        self._sender.close()

    def fileno(self) -> int:
        """Return the file descriptor that is readable after `wake`."""
        return self._receiver.fileno()

    def wake(self) -> None:
        """End the wait of the thread, or its next one. Never blocks; harmless from any thread."""
        # Full: the thread is about to wake anyway. Closed: it has ended.
        with contextlib.suppress(OSError):
            self._sender.send(b"\0")

    def clear(self) -> None:
        """Forget the wake-ups so far; called by the thread that waits, once `select` says so."""
        self._receiver.recv(4096)
