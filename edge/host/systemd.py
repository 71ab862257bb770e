"""What systemd is told: ready, alive, how things are, stopping (sd_notify(3)); silence where nobody listens."""

import logging
import os
import socket
from collections.abc import Mapping

__all__ = ["Notifier", "Watchdog"]

log = logging.getLogger(__name__)

WAIT_S = 0.5
"""What a message that must arrive may wait for room in systemd's queue."""
FEEDS_PER_TIMEOUT = 4


class Notifier:
    """Sends a service's state to the socket that systemd named; harmless elsewhere and from any thread.

    Args:
        environ: where systemd says it: `NOTIFY_SOCKET`, a path, or `@name` for an abstract socket; `WATCHDOG_USEC` and
            `WATCHDOG_PID`, how often a sign of life is wanted and from which process (sd_watchdog_enabled(3)).
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address[:1] == "@" else address
        self.watchdog_s = _watchdog_s(environ)

    def ready(self) -> None:
        """The start is over: what the run cannot do without is there."""
        self._send("READY=1", WAIT_S)

    def status(self, text: str) -> None:
        """Say in one line how things are, for `systemctl status`; never waits."""
        self._send(f"STATUS={' '.join(text.split())}", 0)

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1", WAIT_S)

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1", WAIT_S)

    def _send(self, text: str, wait_s: float) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(wait_s)
                sender.sendto(text.encode(), self._address)
        except OSError as error:
            log.debug("systemd cannot be told %s: %s", text, error)


class Watchdog:
    """Feeds systemd's watchdog when there was progress, and only then; it is fed from one thread.

    Args:
        notifier: how systemd is reached.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._interval_s = notifier.watchdog_s / FEEDS_PER_TIMEOUT
        self._done = 0
        self._has_moved = False
        self._fed_s = float("-inf")

    def look(self, done: int, time_s: float, *, is_excused: bool) -> None:
        """Feed it if there was progress since it was last fed; to be called a few times a second.

        Args:
            done: a number that grows with the work, such as the frames that are through.
            time_s: now, on a monotonic clock.
            is_excused: it is known that there is nothing to do, and why.
        """
        if done != self._done or is_excused:
            self._done, self._has_moved = done, True
        is_due = time_s - self._fed_s >= self._interval_s
        if self._notifier.watchdog_s and self._has_moved and is_due:
            self._notifier.alive()
            self._has_moved, self._fed_s = False, time_s


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """Return after which time without a sign of life systemd ends this process; 0 for never."""
    limit_us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    is_ours = pid in ("", str(os.getpid()))
    return int(limit_us) / 1e6 if is_ours and limit_us.isdecimal() else 0.0
