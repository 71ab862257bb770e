"""The watched broker: its devices and events, updated by a subscriber thread."""

import select
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import TextIO, TypeVar

from edge.commands.watch.devices import Devices
from edge.commands.watch.text import clean
from edge.mqtt.settings import MqttSettings
from edge.mqtt.subscriber import Subscriber
from edge.mqtt.waker import Waker

__all__ = ["WatchedBroker"]

T = TypeVar("T")

MAX_EVENTS = 5000
MAX_RETRY_S = 10.0
"""Short, because a person is waiting for the broker to come back."""


class WatchedBroker:
    """The devices on a broker, updated from `open` to `close`.

    Args:
        settings: address and login of the broker; the device in it is ignored.
        only: the one device to listen to; None for all.

    Attributes:
        address: `mqtt://host:port`, fit for a terminal.
    """

    def __init__(self, settings: MqttSettings, *, only: str | None = None) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.address = clean(f"{'mqtts' if settings.tls else 'mqtt'}://{host}:{settings.port}")
        self._lock = threading.Lock()
        self._devices = Devices(settings.base_topic, only=only)
        self._events: deque[str] = deque(maxlen=MAX_EVENTS)
        self._dirty = True
        self._waker = Waker()
        self._subscriber = Subscriber(
            settings.host,
            settings.port,
            self._devices.topics(),
            lambda topic, payload: self._receive(topic, payload, retained=False),
            login=settings,
            on_kept=lambda topic, payload: self._receive(topic, payload, retained=True),
            on_link=self._on_connection,
            max_retry_s=MAX_RETRY_S,
        )

    def open(self) -> None:
        """Connect to the broker.

        Raises:
            UnavailableError: it cannot be reached, or refuses the login.
        """
        with self._lock:
            self._devices.set_connection(up=False, now_s=time.monotonic())
        self._subscriber.start()
        with self._lock:
            self._devices.set_connection(up=True, now_s=time.monotonic())

    def close(self) -> None:
        """Disconnect."""
        self._subscriber.stop()
        self._waker.close()

    def raise_error(self) -> None:
        """Raise the error that ended the subscriber, if any: a bug."""
        if self._subscriber.error is not None:
            raise self._subscriber.error

    def nudge(self) -> None:
        """End a `wait`; safe in any thread and in a signal handler."""
        self._waker.wake()

    def wait(self, timeout_s: float, out: TextIO, keys: int | None = None) -> bool:
        """Wait for events, a key or the timeout.

        Args:
            timeout_s: longest wait.
            out: the output, watched for a closed reader.
            keys: descriptor of the keyboard, if there is one.

        Returns:
            Whether a key was pressed.

        Raises:
            BrokenPipeError: the reader of `out` has gone; polled, because else only the next line would fail.
        """
        poll = select.poll()
        poll.register(self._waker, select.POLLIN)
        poll.register(out.fileno(), 0)
        if keys is not None:
            poll.register(keys, select.POLLIN)
        found = dict(poll.poll(max(timeout_s, 0.0) * 1e3))
        if self._waker.fileno() in found:
            self._waker.clear()
        if out.fileno() != keys and found.get(out.fileno(), 0) & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError
        return keys in found

    @property
    def is_dirty(self) -> bool:
        """Whether anything arrived since the last `look`."""
        return self._dirty

    def look(self, at: Callable[[Devices], T]) -> T:
        """Return `at(devices)`, called under the lock."""
        with self._lock:
            self._dirty = False
            return at(self._devices)

    def take_events(self) -> list[str]:
        """Return the events since the last call, oldest first."""
        with self._lock:
            events = list(self._events)
            self._events.clear()
        return events

    def follow(self, names: Collection[str]) -> None:
        """Subscribe to the poses of these devices only."""
        with self._lock:
            changed = self._devices.follow(names, time.monotonic())
            topics = self._devices.topics()
        if changed:
            self._subscriber.set_topics(topics)

    def _receive(self, topic: str, payload: bytes, *, retained: bool) -> None:
        with self._lock:
            changed = self._devices.take(topic, payload, time.monotonic(), retained=retained)
            if changed is not None:
                reason = f" ({changed.reason})" if changed.reason else ""
                self._events.append(f"{changed.label} {changed.state}{reason}")
            self._dirty = True
        if changed is not None:
            self.nudge()

    def _on_connection(self, up: bool, reason: str) -> None:
        with self._lock:
            self._devices.set_connection(up=up, now_s=time.monotonic(), reason=reason)
            self._events.append(f"broker {self.address} " + ("back" if up else f"gone, retrying ({clean(reason)})"))
            self._dirty = True
        self.nudge()
