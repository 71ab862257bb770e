"""The parent's end of an engine's process: started by exec, heard with a deadline, ended for certain."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import edge
from edge.engine.isolation.wire import Job, Reply, decode, encode
from edge.errors import EngineLostError

__all__ = ["Child"]

MAX_PACKET_BYTES = 1 << 18
LEAVE_S = 0.2
REAP_S = 1.0


class Child:
    """One process of `edge.engine.worker`. It lives no longer than the thread that makes this object.

    (Linux tells a child of the end of the thread that started it, which is what ends it when its parent is killed.)

    Args:
        job: what it is to load.
    """

    def __init__(self, job: Job) -> None:
        try:
            self._link, self._process = _start()
        except OSError as error:
            raise EngineLostError(f"its process cannot be started: {error.strerror}") from error
        self.send(encode(job))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, packet: bytes) -> None:
        """Send a packet; that nobody is there any more shows when the answer is waited for."""
        with contextlib.suppress(ConnectionError):
            self._link.send(packet)

    def receive(self, deadline_s: float) -> tuple[Reply, list[int]]:
        """Wait for a reply, and for descriptors that come with it.

        Args:
            deadline_s: on the clock of `time.monotonic`.

        Raises:
            EngineLostError: it ended, or said nothing in time; it is gone then in either case.
        """
        try:
            self._link.settimeout(max(deadline_s - time.monotonic(), 0.001))
            packet, descriptors, _, _ = socket.recv_fds(self._link, MAX_PACKET_BYTES, 1)
        except TimeoutError:
            self.kill()
            raise EngineLostError("its process hangs") from None
        except ConnectionError:
            packet, descriptors = b"", []
        if not packet:
            raise EngineLostError(self._last_words())
        return decode(packet), descriptors

    def close(self) -> None:
        """Let it end, or end it; harmless when it has."""
        self._link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
            return
        self.kill()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may be stuck in the kernel: it is left behind then
            self._process.wait(REAP_S)

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(REAP_S)
            return (
                f"its process was ended by {signal.Signals(-code).name}" if code < 0 else f"its process left ({code})"
            )
        self.kill()
        return "its process went silent"


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - this Python, and a module of ours
                [sys.executable, "-m", "edge.engine.worker", str(theirs.fileno()), str(os.getpid())],
                cwd=Path(edge.__file__).parents[1],  # where the package is found first
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
    return ours, process
