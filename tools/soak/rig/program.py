"""Child processes that can be killed and restarted.

The kernel ends them when the soak dies (PDEATHSIG).
"""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.errors import UnavailableError

__all__ = ["Program", "free_port"]

LISTEN_S = 30.0
POLL_S = 0.005
LOG_CHARACTERS = 300


class Program:
    """One command that can run again and again.

    Args:
        name: in messages.
        words: the command.
        log: gets what it writes to stderr, appended over all its lives.
        env: its environment; None: this process's own.
        last_signal: what it gets when this process dies.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        last_signal: str = "KILL",
    ) -> None:
        self._name = name
        self._words = ["setpriv", "--pdeathsig", last_signal, *words]
        self._log = log
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 when it was never started."""
        return 0 if self._process is None else self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it. Raises UnavailableError."""
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=self._env
                )
        except OSError as error:
            raise UnavailableError(f"{self._name}: cannot be started: {error}") from error

    def wait_for(self, port: int) -> None:
        """Wait until the port is open. Raises UnavailableError on timeout or exit."""
        deadline_s = time.monotonic() + LISTEN_S
        pause = threading.Event()
        while not _is_open(port):
            if self.code is not None or time.monotonic() > deadline_s:
                last = self._log.read_text(errors="replace")[-LOG_CHARACTERS:].strip()
                raise UnavailableError(f"{self._name}: does not listen on port {port}: {last or 'its log is empty'}")
            pause.wait(POLL_S)

    def kill(self) -> None:
        """Send SIGKILL; harmless when it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, timeout_s: float) -> tuple[int | None, float]:
        """Stop it by SIGTERM.

        Returns:
            Its exit code and the seconds it took; (None, timeout_s) when it had to be killed.
        """
        assert self._process is not None
        began_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s), time.monotonic() - began_s
        except subprocess.TimeoutExpired:
            self.kill()
            return None, timeout_s


def free_port() -> int:
    """Return a free TCP port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
