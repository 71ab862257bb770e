"""Publishes poses and states over MQTT."""

import ssl
import threading
import time
from collections.abc import Callable
from typing import Literal

from edge.backoff import Backoff
from edge.errors import UnavailableError
from edge.mqtt.connection_log import ConnectionLog
from edge.mqtt.errors import (
    ConnectionClosedError,
    DuplicateClientError,
    FilesError,
    LinkError,
    TakeoverError,
    UnsupportedProtocolError,
    blame_clock,
)
from edge.mqtt.link import Link
from edge.mqtt.outbox import Outbox
from edge.mqtt.session import Session
from edge.mqtt.settings import MqttSettings, Version
from edge.mqtt.tls import FreshContext
from edge.mqtt.waker import Waker
from edge.payload import Message, Origin, encode, status_message, utc
from edge.ports import PoseFrame

__all__ = ["MqttSink"]

_CLOSE_S = 0.9
_STABLE_S = 10.0


class MqttSink:
    """A sink whose own thread connects and reconnects while it is open.

    Poses are never published late: without a connection they are dropped, with one only the newest waits. At most one
    is in flight, for a round trip to the broker. The latest state of each topic is kept, and sent when it changes and
    on every new connection.

    Args:
        settings: where the broker is.
        origin: what the messages have in common.
        min_retry_s: shortest wait before another attempt.
        max_retry_s: longest wait; also the wait after a duplicate device name.
        max_silence_s: the connection to a broker that does not answer for longer is aborted, unsent data discarded.
        clock_synced: whether the kernel calls this machine's clock synchronized; None if it does not say.
    """

    name = "mqtt"
    blocks: Literal[False] = False
    wants_image = False

    def __init__(
        self,
        settings: MqttSettings,
        origin: Origin,
        *,
        min_retry_s: float = 1.0,
        max_retry_s: float = 60.0,
        max_silence_s: float = 2.0,
        clock_synced: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._origin = origin
        self._max_silence_s = max_silence_s
        self._max_retry_s = max_retry_s
        self._clock_synced = clock_synced
        self._log = ConnectionLog(settings)
        self._backoff = Backoff(min_s=min_retry_s, max_s=max_retry_s)
        self._outbox = Outbox()
        self._tls_context = FreshContext(settings.tls_context, settings.tls_files)
        self._tls: ssl.SSLContext | None = None
        self._published_since: str | None = None
        self._stop = threading.Event()
        self._deadline_s = 0.0
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._fixed: Version | None = None if settings.version == "auto" else settings.version
        self._version = self._fixed
        self._had_duplicate = False

    @property
    def dropped(self) -> int:
        """Results that were not published: no connection, or replaced by a newer one."""
        return self._outbox.dropped

    def open(self) -> None:
        """Connect in the background; an absent broker is no error.

        Raises:
            UnavailableError: a file of certificates or keys cannot be read or used.
        """
        self._tls = self._tls_context.get()
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, args=(self._waker,), name="mqtt", daemon=True)
        self._thread.start()

    def write(self, result: PoseFrame) -> None:
        """Leave a result for the thread, in place of an older one. Never blocks."""
        if self._outbox.offer(result):
            self._wake()

    def set_state(self, topic: Literal["people", "status", "health"], message: Message) -> None:
        """Replace the state of a topic; it is sent once there is a connection. Never blocks."""
        self._outbox.set_state(topic, encode(message))
        self._wake()

    def close(self) -> None:
        """Publish the remaining states and disconnect, within a second."""
        if self._thread is None:
            return
        self._deadline_s = time.monotonic() + _CLOSE_S
        self._stop.set()
        self._wake()
        self._thread.join(_CLOSE_S + 0.1)
        self._thread = None

    def _wake(self) -> None:
        if self._waker is not None:
            self._waker.wake()

    def _run(self, waker: Waker) -> None:
        with waker:
            while not self._stop.is_set():
                try:
                    self._run_connection(waker)
                except LinkError as error:
                    self._wait(error)
                except Exception as error:  # noqa: BLE001 - after a bug, too, the status is published again
                    self._log.crashed()
                    self._wait(LinkError(str(error)))

    def _wait(self, error: LinkError) -> None:
        if not self._stop.is_set():
            retry_s = self._retry_wait_s(error)
            self._log.failed(blame_clock(error, self._clock_synced(), time.time()), retry_s)
            self._stop.wait(retry_s)

    def _retry_wait_s(self, error: LinkError) -> float:
        """Return how long to wait: longest after a duplicate name, but for one early try that finds the other run."""
        if not isinstance(error, DuplicateClientError):
            return self._backoff.next_s()
        is_known = self._had_duplicate or not isinstance(error, TakeoverError)
        self._had_duplicate = True
        return self._backoff.longest_s() if is_known else self._backoff.next_s()

    def _run_connection(self, waker: Waker) -> None:
        link = self._connect(waker)
        began_s = time.monotonic()
        try:
            self._serve(link)
        finally:
            self._outbox.close()
            link.abort()
            self._forget_failures(time.monotonic() - began_s)

    def _forget_failures(self, lasted_s: float) -> None:
        """Reset the waits after a connection that lasted; a duplicate client may take a while to return."""
        if lasted_s > _STABLE_S:
            self._backoff.reset()
        if lasted_s > 2 * self._max_retry_s:
            self._had_duplicate = False

    def _serve(self, link: Link) -> None:
        session = Session(
            link,
            self._outbox,
            self._settings,
            self._origin,
            published_since=self._published_since,
            max_silence_s=self._max_silence_s,
        )
        while not session.ready and not self._stop.is_set():
            session.poll(0.5)
        if session.ready:
            self._on_ready(link.version)
        while not self._stop.is_set():
            session.poll(0.5)
            while link.forbidden:
                self._log.forbidden(*link.forbidden.pop(0))
        session.finish(self._deadline_s)

    def _connect(self, waker: Waker) -> Link:
        try:
            self._tls = self._tls_context.get()
        except UnavailableError as error:
            raise FilesError(str(error)) from error
        version = self._version or self._detect_version(waker)
        link = self._make_link(version, waker, with_will=True)
        self._version = self._fixed
        try:
            link.connect(self._stop.is_set)
        except LinkError:
            link.abort()
            raise
        self._version = version
        return link

    def _detect_version(self, waker: Waker) -> Version:
        """Return whether the broker speaks MQTT 5, by a login without a will.

        A broker of 3.1.1 that reads the whole CONNECT before it looks at the version misreads the lengths of the will,
        and waits for more instead of refusing (amqtt 0.12). Without a will it answers at once.
        """
        link = self._make_link("5", waker, with_will=False)
        try:
            link.connect(self._stop.is_set)
            link.disconnect(timeout_s=1.0)
        except (UnsupportedProtocolError, ConnectionClosedError):
            return "3.1.1"
        finally:
            link.abort()
        return "5"

    def _make_link(self, version: Version, waker: Waker, *, with_will: bool) -> Link:
        now_s = time.time()
        will = status_message("offline", "connection lost", self._origin, now_s, now_s)
        return Link(
            self._settings,
            version,
            waker,
            tls=self._tls,
            will=(self._settings.topic("status"), encode(will)) if with_will else None,
        )

    def _on_ready(self, version: Version) -> None:
        if version == "3.1.1" and self._fixed is None:
            self._log.downgraded()
        self._log.connected()
        self._published_since = self._published_since or utc(time.time())
