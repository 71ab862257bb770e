"""Publish over MQTT: poses as they come, never late; states once they change, and again on every connection."""

import contextlib
import logging
import socket
import threading
import time
from typing import Literal

from edge.payload import Message, Origin, encode, status_message, utc
from edge.ports import PoseFrame
from edge.publish.link import Link
from edge.publish.outbox import Outbox
from edge.publish.retry import Backoff
from edge.publish.session import Session
from edge.publish.settings import MqttSettings, Version
from edge.publish.trouble import HungUpError, LinkError, NamesakeError, OldProtocolError, RefusedError

__all__ = ["MqttSettings", "MqttSink"]

_log = logging.getLogger(__name__)

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
    """

    name = "mqtt"
    lossless = False
    wants_image = False

    def __init__(
        self,
        settings: MqttSettings,
        origin: Origin,
        *,
        min_retry_s: float = 1.0,
        max_retry_s: float = 60.0,
        max_silence_s: float = 2.0,
    ) -> None:
        self._settings = settings
        self._origin = origin
        self._max_silence_s = max_silence_s
        self._broker = f"{settings.host}:{settings.port}"
        self._backoff = Backoff(min_s=min_retry_s, max_s=max_retry_s)
        self._outbox = Outbox()
        self._told: set[str] = set()
        self._known_since: str | None = None
        self._stop = threading.Event()
        self._deadline_s = 0.0
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None  # a byte to it wakes the thread
        self._fixed: Version | None = None if settings.version == "auto" else settings.version
        self._version = self._fixed
        self._stepped_down = False

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
            UnavailableError: a file of certificates or keys cannot be read.
        """
        self._tls = self._settings.tls_context()
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
                    _log.exception("broker %s: the connection is given up", self._broker)
                    self._wait(LinkError(str(error)))

    def _wait(self, error: LinkError) -> None:
        if not self._stop.is_set():
            clash = isinstance(error, NamesakeError)
            retry_s = self._backoff.longest_s() if clash else self._backoff.next_s()
            self._tell(error, retry_s)
            self._stop.wait(retry_s)

    def _attempt(self) -> None:
        link = self._dial()
        began_s = time.monotonic()
        try:
            self._serve(link)
        finally:
            self._outbox.close()
            link.hang_up()
            if time.monotonic() - began_s > _STABLE_S:
                self._backoff.reset()

    def _serve(self, link: Link) -> None:
        session = Session(
            link,
            self._outbox,
            self._settings,
            self._origin,
            known_since=self._known_since,
            max_silence_s=self._max_silence_s,
        )
        while not session.ready and not self._stop.is_set():
            session.turn(0.5)
        if session.ready:
            self._welcome(link.version)
        while not self._stop.is_set():
            session.turn(0.5)
        session.finish(self._deadline_s)

    def _dial(self) -> Link:
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
        except (OldProtocolError, HungUpError):
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
        if version == "3.1.1" and self._fixed is None and not self._stepped_down:
            self._stepped_down = True
            _log.info("broker %s does not speak MQTT 5: going on with 3.1.1", self._broker)
        _log.info("broker %s %s", self._broker, "connected" if self._known_since is None else "back")
        self._known_since = self._known_since or utc(time.time())
        self._told.clear()

    def _tell(self, error: LinkError, retry_s: float) -> None:
        """Log each kind of trouble once, until the broker is back."""
        if error.kind in self._told:
            _log.debug("broker %s: another try failed, retry in %.0f s (%s)", self._broker, retry_s, error)
            return
        self._told.add(error.kind)
        if isinstance(error, NamesakeError):
            _log.error(
                "another agent is called %s/%s too (run %s): publishing stops, retry in %.0f s; "
                "give one of them another device.name",
                self._settings.base_topic,
                self._settings.device,
                error,
                retry_s,
            )
            return
        if isinstance(error, RefusedError):
            what = "refuses the login: nothing is published"
        elif self._known_since is None:
            what = "cannot be reached: nothing is published"
        else:
            what = "gone: publishing stops"
        _log.warning("broker %s %s, retry in %.0f s (%s)", self._broker, what, retry_s, error)
