"""Publish over MQTT: poses as they come, never late; states once they change, and again on every connection."""

import contextlib
import socket
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
from edge.payload import Message, Origin, encode, status_message, utc
from edge.ports import PoseFrame

__all__ = ["MqttSettings", "MqttSink"]

_CLOSE_S = 0.9
_STABLE_S = 10.0


class MqttSink:
    """A sink whose own thread connects, waits, and connects again for as long as it is open.

    Nothing is published while there is no connection, and of poses only the newest waits for its turn: at most one
    is on its way, which takes a round trip to the broker. States are kept here, the latest of each topic, and sent
    on every connection.

    Args:
        settings: where the broker is.
        origin: what the messages have in common.
        min_retry_s: shortest wait before another attempt.
        max_retry_s: longest wait; also that after a clash of names.
        max_silence_s: a broker that answers nothing for so long is hung up on, and what was not sent is forgotten.
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
        self._encryption = FreshContext(settings.tls_context, settings.tls_files)
        self._tls: ssl.SSLContext | None = None
        self._published_since: str | None = None
        self._stop = threading.Event()
        self._deadline_s = 0.0
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None  # a byte to it wakes the thread
        self._fixed: Version | None = None if settings.version == "auto" else settings.version
        self._version = self._fixed
        self._clashed = False

    @property
    def dropped(self) -> int:
        """Results that were written and not published: no connection, or a newer one came first."""
        return self._outbox.dropped

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the login and answers."""
        return self._outbox.is_open

    def open(self) -> None:
        """Start to connect in the background; an absent broker is no error.

        Raises:
            UnavailableError: a file of certificates or keys cannot be read or used.
        """
        self._tls = self._encryption.get()
        self._wake, waker = socket.socketpair()
        waker.setblocking(False)
        self._waker = waker
        self._thread = threading.Thread(target=self._run, args=(waker,), name="mqtt", daemon=True)
        self._thread.start()

    def write(self, result: PoseFrame) -> None:
        """Let a result wait for the broker's next answer, in place of an older one. Never blocks."""
        if self._outbox.offer(result):
            self._nudge()

    def set_state(self, topic: Literal["people", "status", "health"], message: Message) -> None:
        """Replace the state of a topic; it goes out as soon as there is a connection. Never blocks."""
        self._outbox.set_state(topic, encode(message))
        self._nudge()

    def close(self) -> None:
        """Publish the states that are left, and disconnect; within a second, whatever the broker does."""
        if self._thread is None:
            return
        self._deadline_s = time.monotonic() + _CLOSE_S
        self._stop.set()
        self._nudge()
        self._thread.join(_CLOSE_S + 0.1)
        self._thread = None

    def _nudge(self) -> None:
        if self._waker is not None:
            # Full: the thread is about to wake anyway. Closed: it has ended.
            with contextlib.suppress(OSError):
                self._waker.send(b"\0")

    def _run(self, waker: socket.socket) -> None:
        with self._wake, waker:
            while not self._stop.is_set():
                try:
                    self._attempt()
                except LinkError as error:
                    self._wait(error)
                except Exception as error:  # noqa: BLE001 - a bug must not end the only way to say so
                    self._log.crashed()
                    self._wait(LinkError(str(error)))

    def _wait(self, error: LinkError) -> None:
        if not self._stop.is_set():
            retry_s = self._choose_wait(error)
            self._log.failed(blame_clock(error, self._clock_synced(), time.time()), retry_s)
            self._stop.wait(retry_s)

    def _choose_wait(self, error: LinkError) -> float:
        """Return the longest wait after a clash of names, save for the next try that shows who the other one is."""
        if not isinstance(error, DuplicateClientError):
            return self._backoff.next_s()
        known = self._clashed or not isinstance(error, TakeoverError)
        self._clashed = True
        return self._backoff.longest_s() if known else self._backoff.next_s()

    def _attempt(self) -> None:
        link = self._dial()
        began_s = time.monotonic()
        try:
            self._serve(link)
        finally:
            self._outbox.close()
            link.hang_up()
            self._settle(time.monotonic() - began_s)

    def _settle(self, lasted_s: float) -> None:
        """Forget earlier failures after a connection that lasted; a duplicate may take a while to return."""
        if lasted_s > _STABLE_S:
            self._backoff.reset()
        if lasted_s > 2 * self._max_retry_s:
            self._clashed = False

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
            session.turn(0.5)
        if session.ready:
            self._welcome(link.version)
        while not self._stop.is_set():
            session.turn(0.5)
            while link.forbidden:
                self._log.forbidden(*link.forbidden.pop(0))
        session.finish(self._deadline_s)

    def _dial(self) -> Link:
        try:
            self._tls = self._encryption.get()
        except UnavailableError as error:
            raise FilesError(str(error)) from error
        version = self._version or self._probe()
        link = self._make_link(version, with_will=True)
        self._version = self._fixed
        try:
            link.dial(self._stop.is_set)
        except LinkError:
            link.hang_up()
            raise
        self._version = version
        return link

    def _probe(self) -> Version:
        """Find out whether the broker speaks MQTT 5, by a login without a will.

        A broker of 3.1.1 that reads the whole login before it looks at the version takes the lengths of the will for
        others, and waits for more instead of refusing (amqtt 0.12). Without a will it answers at once.
        """
        link = self._make_link("5", with_will=False)
        try:
            link.dial(self._stop.is_set)
            link.disconnect(timeout_s=1.0)
        except (UnsupportedProtocolError, ConnectionClosedError):
            return "3.1.1"
        finally:
            link.hang_up()
        return "5"

    def _make_link(self, version: Version, *, with_will: bool) -> Link:
        now_s = time.time()
        will = status_message("offline", "connection lost", self._origin, now_s, now_s)
        return Link(
            self._settings,
            version,
            self._wake,
            tls=self._tls,
            will=(self._settings.topic("status"), encode(will)) if with_will else None,
        )

    def _welcome(self, version: Version) -> None:
        if version == "3.1.1" and self._fixed is None:
            self._log.downgraded()
        self._log.connected()
        self._published_since = self._published_since or utc(time.time())
