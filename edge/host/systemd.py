"""sd_notify(3) client and watchdog; does nothing outside systemd."""

import logging
import os
import socket
from collections.abc import Mapping

__all__ = ["Notifier", "Watchdog"]

log = logging.getLogger(__name__)

WAIT_S = 0.5
"""How long an essential message waits for room in systemd's queue."""
FEEDS_PER_TIMEOUT = 4


class Notifier:
    """Sends a service's state to systemd's socket; thread-safe.

    Args:
        environ: systemd sets `NOTIFY_SOCKET`, a path, or `@name` for an abstract socket; `WATCHDOG_USEC` and
            `WATCHDOG_PID`, the watchdog's timeout and the process that has to feed it (sd_watchdog_enabled(3)).
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address[:1] == "@" else address
        self.watchdog_s = _watchdog_s(environ)

    def ready(self) -> None:
        """Send READY: the start is complete."""
        self._send("READY=1", WAIT_S)

    def status(self, text: str) -> None:
        """Send one line for `systemctl status`; never blocks."""
        self._send(f"STATUS={' '.join(text.split())}", 0)

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1", WAIT_S)

    def stopping(self) -> None:
        """Send STOPPING: the shutdown has begun."""
        self._send("STOPPING=1", WAIT_S)

    def _send(self, text: str, wait_s: float) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(wait_s)
                sender.sendto(text.encode(), self._address)
        except OSError as error:
            log.debug("systemd: %s cannot be sent: %s", text, error)


class Watchdog:
    """Feeds systemd's watchdog, only after progress; used by one thread.

    Args:
        notifier: the connection to systemd.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._interval_s = notifier.watchdog_s / FEEDS_PER_TIMEOUT
        self._progress = 0
        self._has_moved = False
        self._fed_s = float("-inf")

    def update(self, progress: int, time_s: float, *, idle_expected: bool) -> None:
        """Feed the watchdog if there was progress.

        Call it a few times a second.

        Args:
            progress: a number that grows with the work, such as the frames done.
            time_s: now, on a monotonic clock.
            idle_expected: there is nothing to do now, for a known reason.
        """
        if progress != self._progress or idle_expected:
            self._progress, self._has_moved = progress, True
        is_due = time_s - self._fed_s >= self._interval_s
        if self._notifier.watchdog_s and self._has_moved and is_due:
            self._notifier.alive()
            self._has_moved, self._fed_s = False, time_s


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """Return systemd's watchdog timeout in seconds; 0 for none."""
    limit_us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    is_ours = pid in ("", str(os.getpid()))
    return int(limit_us) / 1e6 if is_ours and limit_us.isdecimal() else 0.0
