"""Starts isolated engines on a background thread."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from edge.engine.isolation.isolated import IsolatedEngine
from edge.errors import EdgeError, EngineLostError

__all__ = ["Outcome", "Spawner"]

POLL_S = 0.5
JOIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a start: without an error the engine runs, else it is closed."""

    engine: IsolatedEngine
    error: EdgeError | None = None


class Spawner:
    """Starts engines on request, one at a time.

    The caller does not block while a device is missing.

    The thread lives as long as this object: a child process ends with the thread that started it (see `Child`).

    Args:
        make: returns an engine that is not started yet.
        devices: returns what is plugged in; a change since the last attempt ends the wait before the next.
    """

    def __init__(self, make: Callable[[], IsolatedEngine], devices: Callable[[], object]) -> None:
        self._make = make
        self._devices = devices
        self._requests: SimpleQueue[float | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._stopping = threading.Event()
        self._current: IsolatedEngine | None = None
        self._tried_with: object = None
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def request(self, delay_s: float = 0.0) -> None:
        """Request one attempt after `delay_s`."""
        self._requests.put(delay_s)

    def take(self, wait_s: float | None = None) -> Outcome | None:
        """Return an attempt's outcome; None after `wait_s` without one."""
        try:
            return self._outcomes.get(timeout=wait_s) if wait_s != 0 else self._outcomes.get_nowait()
        except Empty:
            return None

    def close(self) -> None:
        """Stop the thread; close an engine that was not taken."""
        self._stopping.set()
        self._requests.put(None)
        current = self._current
        if current is not None:
            current.abort()
        self._thread.join(JOIN_S)
        while (outcome := self.take(0)) is not None:
            outcome.engine.close()

    def _work(self) -> None:
        while (delay_s := self._requests.get()) is not None:
            self._pause(delay_s)
            if self._stopping.is_set():
                return
            self._tried_with = self._devices()
            self._outcomes.put(self._attempt())

    def _pause(self, delay_s: float) -> None:
        end_s = time.monotonic() + delay_s
        while (left_s := end_s - time.monotonic()) > 0 and self._devices() == self._tried_with:
            if self._stopping.wait(min(left_s, POLL_S)):
                return

    def _attempt(self) -> Outcome:
        engine = self._current = self._make()
        try:
            engine.start()
        except EdgeError as error:
            return Outcome(engine, error)
        except Exception as error:  # noqa: BLE001 - no memory or descriptors left: that may pass, so the agent goes on
            engine.close()
            return Outcome(engine, EngineLostError(f"{type(error).__name__}: {error}"))
        finally:
            self._current = None
        return Outcome(engine)
