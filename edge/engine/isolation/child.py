"""The parent's end of an engine's child process."""

import contextlib
import os
import signal
import socket
import subprocess
import time

from edge.engine.isolation.wire import Job, Reply, decode, encode
from edge.errors import EngineLostError
from edge.host.process import PYTHON

__all__ = ["Child"]

MAX_PACKET_BYTES = 1 << 18
EXIT_S = 0.2
REAP_S = 1.0


class Child:
    """One process of `edge.engine.worker`, started by exec.

    It lives no longer than the thread that constructs this object: the worker asks for PR_SET_PDEATHSIG, which Linux
    sends at the end of the thread that started a process. That also ends it if the parent is killed.

    Args:
        job: the model and delegate to load.

    Raises:
        EngineLostError: the process cannot be started.
    """

    def __init__(self, job: Job) -> None:
        try:
            self._link, self._process = _start()
        except OSError as error:
            raise EngineLostError(f"its process cannot be started: {error.strerror}") from error
        self.send(encode(job))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, packet: bytes) -> None:
        """Send a packet; only `receive` notices a dead process."""
        with contextlib.suppress(ConnectionError):
            self._link.send(packet)

    def receive(self, deadline_s: float) -> tuple[Reply, list[int]]:
        """Return the next reply and its file descriptors.

        Args:
            deadline_s: on the clock of `time.monotonic`.

        Raises:
            EngineLostError: it ended, or sent nothing before the deadline; the process is gone in both cases.
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
            raise EngineLostError(self._exit_reason())
        return decode(packet), descriptors

    def close(self) -> None:
        """Close the socket and end the process; idempotent."""
        self._link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_S)
            return
        self.kill()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: it is left behind
            self._process.wait(REAP_S)

    def _exit_reason(self) -> str:
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
                [*PYTHON, "-m", "edge.engine.worker", str(theirs.fileno()), str(os.getpid())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
    return ours, process
