"""Receives the messages of topics from a broker."""

import dataclasses
import threading
from collections.abc import Callable, Iterable

from edge.backoff import Backoff
from edge.errors import UnavailableError
from edge.host.random_id import random_id
from edge.mqtt.errors import ConnectionClosedError, LinkError, UnsupportedProtocolError
from edge.mqtt.link import Link
from edge.mqtt.settings import MqttSettings, Version
from edge.mqtt.waker import Waker

__all__ = ["Subscriber"]

_STOP_S = 2.0
MAX_PACKET_BYTES = 1 << 18
"""Thirty people are 16 kB."""
_DISCONNECT_S = 0.3

OnMessage = Callable[[str, bytes], None]


class Subscriber:
    """Subscribes to topics, on a thread that reconnects by itself.

    MQTT 5 is tried first, then 3.1.1. Every subscriber has a client id of its own, so that any number can connect.

    Args:
        host: of the broker.
        port: of the broker.
        topics: topic filters to subscribe to; `set_topics` changes them.
        on_message: called with topic and payload, on the subscriber's thread.
        login: encryption, login and version; its host, port, base topic and device are ignored.
        on_kept: called for retained messages in place of `on_message`.
        on_link: called on the subscriber's thread with whether there is a connection, and why not, at every change
            after the connection that `start` makes.
        min_retry_s: shortest wait before another attempt.
        max_retry_s: longest wait.
    """

    def __init__(
        self,
        host: str,
        port: int,
        topics: Iterable[str],
        on_message: OnMessage,
        *,
        login: MqttSettings | None = None,
        on_kept: OnMessage | None = None,
        on_link: Callable[[bool, str], None] | None = None,
        min_retry_s: float = 1.0,
        max_retry_s: float = 30.0,
    ) -> None:
        # A client id that no agent has: else the broker would treat this login as a takeover of the agent's session.
        name = f"sub-{random_id(8)}"
        settings = login or MqttSettings(host=host, port=port, device=name)
        self._settings = dataclasses.replace(settings, host=host, port=port, device=name)
        self._client_id = self._settings.other_client_id(name)
        self._topics = frozenset(topics)
        self._on_message = on_message
        self._on_kept = on_kept or on_message
        self._on_link = on_link or (lambda _up, _reason: None)
        self._backoff = Backoff(min_s=min_retry_s, max_s=max_retry_s)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._versions: tuple[Version, ...] = ("5", "3.1.1") if settings.version == "auto" else (settings.version,)
        self.error: Exception | None = None
        """The exception that ended the thread: a bug, here or in a callback."""

    def start(self) -> None:
        """Connect, then receive in the background.

        Raises:
            UnavailableError: there is no broker, it refuses the login, or a file of certificates cannot be read.
        """
        self._tls = self._settings.tls_context()
        self._waker = Waker()
        try:
            link = self._connect()
        except BaseException as error:
            self._waker.close()
            if isinstance(error, LinkError):
                raise UnavailableError(self._explain(error)) from error
            raise
        self._thread = threading.Thread(target=self._run, args=(link,), name="subscriber", daemon=True)
        self._thread.start()

    def set_topics(self, topics: Iterable[str]) -> None:
        """Replace the topic filters; only the differences go to the broker. Never blocks."""
        self._topics = frozenset(topics)
        self._wake()

    def stop(self) -> None:
        """Disconnect and end the thread; harmless if it does not run."""
        if self._thread is None:
            return
        self._stop.set()
        self._wake()
        self._thread.join(_STOP_S)
        self._thread = None

    def _wake(self) -> None:
        if self._thread is not None:
            self._waker.wake()

    def _explain(self, error: LinkError) -> str:
        where = f"broker {self._settings.host}:{self._settings.port}"
        return f"{where} {error.what} ({error})" if error.what else f"{where} cannot be reached ({error})"

    def _run(self, link: Link) -> None:
        with self._waker:
            try:
                self._receive(link)
            except Exception as error:  # noqa: BLE001 - the owner reads `error`
                self.error = error
                self._on_link(False, f"a bug in edge-pose: {error}")

    def _receive(self, first: Link) -> None:
        link: Link | None = first
        up = True
        while not self._stop.is_set():
            try:
                link = link or self._connect()
                if not up:
                    up = True
                    self._on_link(True, "")
                self._serve(link)
            except LinkError as error:
                if up and not self._stop.is_set():
                    up = False
                    self._on_link(False, str(error))
                self._stop.wait(self._backoff.next_s())
            finally:
                if link is not None:
                    link.abort()
                    link = None

    def _connect(self) -> Link:
        """Connect with the first version that the broker speaks; it is tried first from now on."""
        for version in self._versions:
            link = Link(
                self._settings,
                version,
                self._waker,
                tls=self._tls,
                client_id=self._client_id,
                max_packet_bytes=MAX_PACKET_BYTES,
            )
            try:
                link.connect(self._stop.is_set)
            except BaseException as error:
                link.abort()
                if version == self._versions[-1] or not isinstance(
                    error, UnsupportedProtocolError | ConnectionClosedError
                ):
                    raise
            else:
                self._versions = (version, *(other for other in self._versions if other != version))
                return link
        raise AssertionError("there is at least one version")

    def _serve(self, link: Link) -> None:
        subscribed: frozenset[str] = frozenset()
        while not self._stop.is_set():
            wanted = self._topics
            for topic in sorted(wanted - subscribed):
                link.subscribe(topic)
            for topic in subscribed - wanted:
                link.unsubscribe(topic)
            subscribed = wanted
            link.poll(0.5)
            self._deliver(link)
        link.disconnect(timeout_s=_DISCONNECT_S)

    def _deliver(self, link: Link) -> None:
        messages, link.messages = link.messages, []
        for message in messages:
            self._backoff.reset()  # not at the login: a broker may accept it and close at once
            handler = self._on_kept if message.retain else self._on_message
            handler(message.topic, bytes(message.payload))
