"""The other side: receives agents' messages from a broker, for as long as it is wanted."""

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterable

from edge.backoff import Backoff
from edge.errors import UnavailableError
from edge.host.random_id import random_id
from edge.mqtt.errors import ConnectionClosedError, LinkError, UnsupportedProtocolError
from edge.mqtt.link import Link
from edge.mqtt.settings import MqttSettings, Version

__all__ = ["Subscriber"]

_STOP_S = 2.0
_GOODBYE_S = 0.3

OnMessage = Callable[[str, bytes], None]


class Subscriber:
    """Receives the messages of some topics on a thread of its own, which connects again whenever it has to.

    MQTT 5 is tried first, then 3.1.1. The client id is new with every subscriber, so any number may listen.

    Args:
        host: of the broker.
        port: of the broker.
        topics: topic filters to subscribe to; `set_topics` changes them.
        on_message: called with topic and payload, on the subscriber's thread.
        login: how to encrypt and log in, and the version; its host, port, base topic and device do not count.
        on_kept: gets the messages that the broker had kept (retained) in place of `on_message`.
        on_link: called with whether there is a connection, and why not; on the subscriber's thread, once per
            change. The connection that `start` makes is not told.
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
        # A name that no agent has: a broker would take the newcomer for the agent, and hang up on the agent.
        name = random_id(8)
        settings = login or MqttSettings(host=host, port=port, device=name)
        self._settings = dataclasses.replace(settings, host=host, port=port, device=f"ear-{name}")
        self._topics = frozenset(topics)
        self._on_message = on_message
        self._on_kept = on_kept or on_message
        self._on_link = on_link or (lambda _up, _reason: None)
        self._backoff = Backoff(min_s=min_retry_s, max_s=max_retry_s)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._versions: tuple[Version, ...] = ("5", "3.1.1") if settings.version == "auto" else (settings.version,)
        self.error: Exception | None = None
        """What ended the thread though nobody had asked for it: a bug, here or in a callback."""

    def start(self) -> None:
        """Connect, then listen in the background.

        Raises:
            UnavailableError: there is no broker, it refuses the login, or a file of certificates cannot be read.
        """
        self._tls = self._settings.tls_context()
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        try:
            link = self._dial()
        except BaseException as error:
            self._wake.close()
            self._waker.close()
            if isinstance(error, LinkError):
                raise UnavailableError(self._explain(error)) from error
            raise
        self._thread = threading.Thread(target=self._run, args=(link,), name="subscriber", daemon=True)
        self._thread.start()

    def set_topics(self, topics: Iterable[str]) -> None:
        """Replace the topic filters; only the differences go to the broker. Never blocks."""
        self._topics = frozenset(topics)
        self._nudge()

    def stop(self) -> None:
        """Disconnect and end the thread; harmless when it does not run."""
        if self._thread is None:
            return
        self._stop.set()
        self._nudge()
        self._thread.join(_STOP_S)
        self._thread = None

    def _nudge(self) -> None:
        if self._thread is not None:
            # Full: the thread is about to wake anyway. Closed: it has ended.
            with contextlib.suppress(OSError):
                self._waker.send(b"\0")

    def _explain(self, error: LinkError) -> str:
        where = f"broker {self._settings.host}:{self._settings.port}"
        return f"{where} {error.what} ({error})" if error.what else f"{where} cannot be reached ({error})"

    def _run(self, link: Link) -> None:
        with self._wake, self._waker:
            try:
                self._keep_on(link)
            except Exception as error:  # noqa: BLE001 - whoever owns the subscriber looks at it
                self.error = error
                self._on_link(False, f"a bug in edge-pose: {error}")

    def _keep_on(self, first: Link) -> None:
        link: Link | None = first
        up = True
        while not self._stop.is_set():
            try:
                link = link or self._dial()
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
                    link.hang_up()
                    link = None

    def _dial(self) -> Link:
        """Connect in the first version that the broker speaks, which is the first to be tried from now on."""
        for version in self._versions:
            link = Link(self._settings, version, self._wake, tls=self._tls)
            try:
                link.dial(self._stop.is_set)
            except BaseException as error:
                link.hang_up()
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
                link.ask(topic)  # it is an UNSUBSCRIBE
            subscribed = wanted
            link.turn(0.5)
            self._hand_on(link)
        link.disconnect(timeout_s=_GOODBYE_S)

    def _hand_on(self, link: Link) -> None:
        messages, link.messages = link.messages, []
        for message in messages:
            self._backoff.reset()  # a broker that lets in and hangs up at once delivers nothing
            take = self._on_kept if message.retain else self._on_message
            take(message.topic, bytes(message.payload))
