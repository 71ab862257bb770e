"""Publishes poses and states over MQTT."""

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from edge.backoff import Backoff
from edge.errors import UnavailableError
from edge.host.random_id import random_id
from edge.mqtt.connection_log import ConnectionLog
from edge.mqtt.errors import (
    ConnectionClosedError,
    DuplicateClientError,
    FilesError,
    LinkError,
    RefusedError,
    UnsupportedProtocolError,
    blame_clock,
)
from edge.mqtt.link import Limits, Link
from edge.mqtt.outbox import Outbox
from edge.mqtt.presence import find_other_run
from edge.mqtt.session import Session, SuspectError
from edge.mqtt.settings import MqttSettings, Version
from edge.mqtt.tls import FreshContext
from edge.mqtt.waker import Waker
from edge.payload import Message, Origin, StatusMessage, encode, status_message
from edge.ports import PoseFrame

__all__ = ["MqttSink"]

_CLOSE_S = 0.9
_STABLE_S = 10.0
"""A connection that lasted so long was a good one; a run with one has the name, and another steps back."""
_RETAIN_REFUSED, _QOS_REFUSED = 0x9A, 0x9B
"""MQTT 5, 3.2.2.2: the will may not be retained, or have this QoS."""
_LOWER_LIMITS = (Limits(retain=False), Limits(retain=False, max_qos=0))
"""To try with a broker of MQTT 3.1.1 that accepts a login without a will and closes one with it."""


class MqttSink:
    """A sink whose own thread connects and reconnects while it is open.

    Poses are never published late: without a connection they are dropped, with one only the newest waits. At most four
    are in flight, each for a round trip to the broker. The latest state of each topic is kept, and sent when it changes
    and on every new connection.

    A run that comes looks, as another client, for one of the same name that is there, and leaves it alone: trying
    something by hand never stops a service.

    Args:
        settings: where the broker is.
        origin: what the messages have in common.
        min_retry_s: shortest wait before another attempt.
        max_retry_s: longest wait; also that of a run that finds another with its name.
        max_silence_s: the connection to a broker that does not answer for longer is aborted, unsent data discarded.
        state_expiry_s: with MQTT 5 a broker forgets the states of an agent that is silent for longer; None: never.
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
        max_silence_s: float = 10.0,
        state_expiry_s: int | None = None,
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
        self._state_expiry_s = state_expiry_s
        self._limits = Limits()
        self._must_look = True
        self._was_alone = False
        self._is_established = False
        self._problem = "connecting"
        self._stop = threading.Event()
        self._deadline_s = 0.0
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._fixed: Version | None = None if settings.version == "auto" else settings.version
        self._version = self._fixed

    @property
    def problem(self) -> str:
        """Why nothing is published at the moment; empty while there is a connection."""
        return f"broker {self._settings.host}: {self._problem}" if self._problem else ""

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
        is_last = isinstance(message, StatusMessage) and message.state == "offline"
        self._outbox.set_state(topic, encode(message), None if is_last else self._state_expiry_s)
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
        if self._stop.is_set():
            return
        if isinstance(error, SuspectError):  # at once
            self._must_look = True
            return
        retry_s = self._retry_wait_s(error)
        problem = blame_clock(error, self._clock_synced(), time.time())
        self._problem = f"{problem}, retry in {retry_s:.0f} s"
        self._log.failed(problem, retry_s)
        self._stop.wait(retry_s)

    def _retry_wait_s(self, error: LinkError) -> float:
        """Return how long to wait: longest for a run that came second, so that it hardly disturbs the first."""
        if not isinstance(error, DuplicateClientError) or self._is_established:
            return self._backoff.next_s()
        self._must_look = True
        return self._backoff.longest_s()

    def _run_connection(self, waker: Waker) -> None:
        link = self._connect(waker)
        began_s = time.monotonic()
        try:
            self._serve(link, began_s)
        except SuspectError:
            link.disconnect(timeout_s=1.0)  # without the will, which would call the other one offline
            raise
        finally:
            self._outbox.close()
            link.abort()
            if time.monotonic() - began_s > _STABLE_S:
                self._backoff.reset()

    def _serve(self, link: Link, began_s: float) -> None:
        session = Session(
            link,
            self._outbox,
            self._settings,
            self._origin,
            was_alone=self._was_alone,
            max_silence_s=self._max_silence_s,
        )
        session.is_established = self._is_established
        while not session.ready and not self._stop.is_set():
            session.poll(0.5)
        if session.ready:
            self._on_ready(link)
        while not self._stop.is_set():
            session.poll(0.5)
            self._is_established = self._is_established or time.monotonic() - began_s > _STABLE_S
            session.is_established = self._is_established
            self._tell(link, session)
        session.finish(self._deadline_s)

    def _tell(self, link: Link, session: Session) -> None:
        """Log what the broker and others do."""
        while link.forbidden:
            self._log.forbidden(*link.forbidden.pop(0))
        while session.too_large:
            self._log.too_large(session.too_large.pop(), link.limits.max_packet_bytes)
        if session.duplicate:
            self._log.duplicate(session.duplicate)
            session.duplicate = ""

    def _connect(self, waker: Waker) -> Link:
        try:
            self._tls = self._tls_context.get()
        except UnavailableError as error:
            raise FilesError(str(error)) from error
        self._was_alone = self._look(waker) if self._must_look or self._version is None else False
        self._must_look = False
        version = self._version
        assert version is not None
        tries = [self._limits, *(_LOWER_LIMITS if version == "3.1.1" else ())]
        for limits in tries:
            link = self._make_link(version, waker, limits)
            try:
                link.connect(self._stop.is_set)
            except LinkError as error:
                link.abort()
                self._learn(error)
                if limits is tries[-1] or not isinstance(error, ConnectionClosedError | RefusedError):
                    raise
                if isinstance(error, RefusedError) and error.code not in {_RETAIN_REFUSED, _QOS_REFUSED}:
                    raise
            else:
                if version == "5":  # 3.1.1 tells no limits: a lower one may have been tried for another reason
                    self._limits = link.limits
                return link
        raise AssertionError("the last try returns or raises")

    def _learn(self, error: LinkError) -> None:
        """Lower what is asked of the broker, or forget which version it speaks, by a failed login."""
        if isinstance(error, RefusedError) and error.code == _RETAIN_REFUSED:
            self._limits = replace(self._limits, retain=False)
        elif isinstance(error, RefusedError) and error.code == _QOS_REFUSED:
            self._limits = replace(self._limits, max_qos=0)
        elif isinstance(error, UnsupportedProtocolError | ConnectionClosedError):
            self._version = self._fixed

    def _look(self, waker: Waker) -> bool:
        """Find the broker's version and limits, and whether another run has the name, by a login as another client.

        Without a will: a broker of 3.1.1 that reads the whole CONNECT before it looks at the version misreads the
        lengths of the will, and waits for more instead of refusing (amqtt 0.12). Without one it answers at once.

        Returns:
            Whether nobody else is there; True too where the broker lets no other client in, so that nobody can look.

        Raises:
            DuplicateClientError: somebody is.
            LinkError: there is no broker.
        """
        versions: tuple[Version, ...] = ("5", "3.1.1") if self._version is None else (self._version,)
        name = self._settings.other_client_id(f"look-{random_id(8)}")
        for version in versions:
            link = Link(self._settings, version, waker, tls=self._tls, client_id=name)
            try:
                link.connect(self._stop.is_set)
                self._version, self._limits = version, link.limits
                run = find_other_run(link, self._settings, self._origin.run, self._stop.is_set)
                link.disconnect(timeout_s=1.0)
            except RefusedError:
                self._version = version  # perhaps it lets only the agent's own client id in
                return True
            except (UnsupportedProtocolError, ConnectionClosedError):
                if version != versions[-1]:
                    continue
                self._version = version
                return True
            finally:
                link.abort()
            if run is not None:
                raise DuplicateClientError(f"run {run}")
            return True
        raise AssertionError("there is at least one version")

    def _make_link(self, version: Version, waker: Waker, limits: Limits) -> Link:
        now_s = time.time()
        will = status_message("offline", "connection lost", self._origin, now_s, now_s)
        return Link(
            self._settings,
            version,
            waker,
            tls=self._tls,
            will=(self._settings.topic("status"), encode(will)),
            limits=limits,
            announces_limit=True,
        )

    def _on_ready(self, link: Link) -> None:
        if link.version == "3.1.1" and self._fixed is None:
            self._log.downgraded()
        if not link.limits.retain:
            self._log.keeps_nothing()
        self._log.connected()
        self._problem = ""
