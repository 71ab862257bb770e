"""One connection to an MQTT broker; the only module that imports paho.

What a broker sends is bounded: MQTT 5 tells it the largest packet, and the connection ends where a larger one is
announced, before it is read.

One thread makes every call here, and paho runs inside `Link.poll`, so its locks never meet ours.

A successful send proves nothing: Linux buffers 4 MB for a broker that has stopped reading (43 s of poses at 30 fps),
and the peer still reads what its kernel holds after a reset. Only an answer proves that the broker reads. MQTT
acknowledges nothing of QoS 0, so `probe` sends an UNSUBSCRIBE for a topic that was never subscribed: by the standard
it is answered at once and in order, and no other client sees it.
"""

import contextlib
import errno
import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.mqtt.errors import (
    ConnectionClosedError,
    LinkError,
    RefusedError,
    TakeoverError,
    UnsupportedProtocolError,
    explain,
)
from edge.mqtt.settings import MqttSettings, Version, odd_characters
from edge.mqtt.tls import RememberingSocket
from edge.mqtt.waker import Waker

__all__ = ["Limits", "Link"]

_DISCARD = struct.pack("ii", 1, 0)  # struct linger: close with a reset, discard unsent data
_UNSUPPORTED_VERSION = 0x84
_BAD_LOGINS = {"Bad user name or password", "Not authorized"}
_TAKEN_OVER = 0x8E
MAX_PACKET_BYTES = 1 << 16
"""From a broker to an agent, which only listens to its own status."""
PUBLISH_OVERHEAD_BYTES = 32
"""Of a PUBLISH packet beside topic and payload: header, lengths, packet id, properties."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a broker takes, by its answer to the login (MQTT 5, 3.2.2.3).

    Attributes:
        retain: whether it keeps messages.
        max_qos: 0, 1 or 2.
        max_packet_bytes: of one packet; None: no limit is known.
    """

    retain: bool = True
    max_qos: int = 2
    max_packet_bytes: int | None = None

    def takes(self, topic: str, payload: bytes) -> bool:
        """Return whether a message is small enough."""
        size = len(topic.encode()) + len(payload) + PUBLISH_OVERHEAD_BYTES
        return self.max_packet_bytes is None or size <= self.max_packet_bytes


class _BoundedClient(Client):
    """Ends the connection where a packet is announced that is larger than `max_packet_bytes`.

    paho asks its socket for the whole rest of a packet, whose length has at most four bytes: up to 256 MB.
    """

    max_packet_bytes = MAX_PACKET_BYTES
    announced_bytes = 0

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > self.max_packet_bytes:
            self.announced_bytes = bufsize
            raise OSError(errno.EMSGSIZE, "packet too large")
        return super()._sock_recv(bufsize)


class Link:
    """One connection, from its login to its end; make a new one for the next.

    Args:
        settings: where the broker is, and the login.
        version: of MQTT.
        waker: ends a wait in `poll` early.
        tls: None for no encryption.
        will: topic and payload that the broker publishes if the connection is lost.
        limits: of the broker, as far as they are known.
        client_id: None: that of the settings.
        max_packet_bytes: largest packet that is read.
        announces_limit: tell a broker of MQTT 5 the largest packet; one that may be of 3.1.1 would misread the login.

    Attributes:
        version: of MQTT.
        limits: of the broker; its answer to the login may lower them.
        round_trip_s: of the last answered probe; None before.
        messages: what has arrived; the caller empties it.
        forbidden: (topic, reason) of publications with QoS 1 that the broker discarded; only MQTT 5 reports them.
    """

    def __init__(
        self,
        settings: MqttSettings,
        version: Version,
        waker: Waker,
        *,
        tls: ssl.SSLContext | None = None,
        will: tuple[str, bytes] | None = None,
        limits: Limits = Limits(),
        client_id: str | None = None,
        max_packet_bytes: int = MAX_PACKET_BYTES,
        announces_limit: bool = False,
    ) -> None:
        self.version = version
        self.limits = limits
        self.round_trip_s: float | None = None
        self.messages: list[MQTTMessage] = []
        self.forbidden: list[tuple[str, str]] = []
        self._announces_limit = announces_limit
        self._settings = settings
        self._waker = waker
        self._accepted = False
        self._close_reason: LinkError | None = None
        self._probes: deque[tuple[int, float]] = deque()  # packet id and time of those without an answer, oldest first
        self._probe_answered = False
        self._unacknowledged: dict[int, str] = {}  # topics of messages with QoS 1
        self._sock: Any = None
        self._client = self._make_client(tls, will, client_id or settings.client_id)
        self._client.max_packet_bytes = max_packet_bytes

    def _make_client(
        self, tls: ssl.SSLContext | None, will: tuple[str, bytes] | None, client_id: str
    ) -> _BoundedClient:
        five = self.version == "5"
        client = _BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if five else True,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        if tls is not None:
            client.tls_set_context(tls)
        if will is not None:
            client.will_set(*will, qos=min(1, self.limits.max_qos), retain=self.limits.retain)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_unsubscribe = self._on_unsubscribe
        return client

    def connect(
        self, give_up: Callable[[], bool], *, connect_timeout_s: float = 5.0, login_timeout_s: float = 10.0
    ) -> None:
        """Connect and log in. Raises LinkError, also when `give_up` returns True after a wake-up."""
        self._client.connect_timeout = connect_timeout_s
        properties = None
        if self.version == "5" and self._announces_limit:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # untyped in paho
            properties.MaximumPacketSize = self._client.max_packet_bytes
        where = self._settings.host, self._settings.port, self._settings.keepalive_s
        try:
            self._client.connect(*where, properties=properties)
        except (OSError, ValueError) as error:  # ValueError: a host name that IDNA cannot encode
            raise explain(error) from error
        deadline_s = time.monotonic() + login_timeout_s
        while not self._accepted:
            if time.monotonic() > deadline_s or give_up():
                raise LinkError("no answer to the login")
            self.poll(0.2)

    def poll(self, timeout_s: float) -> None:
        """Wait for traffic, a wake-up or the timeout, then read and write.

        Raises:
            LinkError: the connection is lost.
        """
        sock: Any = self._client.socket()
        if sock is None:
            raise self._lost()
        # Bytes that TLS has decrypted already are invisible to select.
        has_pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        writers = [sock] if self._client.want_write() else []
        readable, writable, _ = select.select([sock, self._waker], writers, [], 0 if has_pending else timeout_s)
        if self._waker in readable:
            self._waker.clear()
        if sock in readable or has_pending:
            self._client.loop_read()
        if sock in writable:
            self._client.loop_write()
        self._client.loop_misc()
        if self._client.socket() is None:
            raise self._lost()

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic filter with QoS 0; `poll` appends what arrives to `messages`."""
        self._client.subscribe(topic, 0)

    def unsubscribe(self, topic: str) -> None:
        """End a subscription."""
        self._client.unsubscribe(topic)

    def probe(self) -> None:
        """Send a request that the broker answers once it has read everything before it."""
        _, number = self._client.unsubscribe(self._settings.topic("-"))  # never subscribed
        if number is not None:
            self._probes.append((number, time.monotonic()))

    @property
    def pending_probes(self) -> int:
        """Number of probes that are not answered yet."""
        return len(self._probes)

    @property
    def silence_s(self) -> float:
        """Seconds since the oldest pending probe was sent; 0 without one."""
        return time.monotonic() - self._probes[0][1] if self._probes else 0.0

    def take_probe_answer(self) -> bool:
        """Return whether a probe was answered since the last call."""
        answered, self._probe_answered = self._probe_answered, False
        return answered

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None = None
    ) -> Callable[[], bool]:
        """Send one message.

        Returns:
            A function that returns whether paho is done with it: written if QoS 0, acknowledged if QoS 1.

        Raises:
            LinkError: the connection is lost.
        """
        properties = None
        if expiry_s is not None and self.version == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # untyped in paho
            properties.MessageExpiryInterval = expiry_s
        qos, retain = min(qos, self.limits.max_qos), retain and self.limits.retain
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != 0:
            raise self._lost()
        if qos > 0:
            self._unacknowledged[info.mid] = topic
        return info.is_published

    def disconnect(self, *, timeout_s: float) -> None:
        """Send DISCONNECT, so that the broker discards the will."""
        deadline_s = time.monotonic() + timeout_s
        self._client.disconnect()
        with contextlib.suppress(LinkError):
            while time.monotonic() < deadline_s:
                self.poll(0.05)

    def abort(self) -> None:
        """Close at once and discard unsent data; the broker then publishes the will."""
        sock: Any = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
            sock.close()

    def _lost(self) -> LinkError:
        if self._close_reason is not None:
            return self._close_reason
        if isinstance(self._sock, RememberingSocket) and self._sock.failure is not None:
            return explain(self._sock.failure)
        if self._client.announced_bytes:
            return LinkError(f"it sent a packet of {self._client.announced_bytes} bytes, more than any is for us")
        if not self._accepted:
            return ConnectionClosedError(f"it closed the connection during the login{self._closed_hint()}")
        return LinkError("connection lost")

    def _closed_hint(self) -> str:
        hints = [] if self._settings.tls else ["no MQTT broker is at this port, or it is its port for TLS: mqtts://"]
        if odd := odd_characters(f"{self._settings.base_topic}{self._settings.device}"):
            hints.append(f"it may refuse {odd} in topics: set device.name and mqtt.base_topic")
        return "".join(f"; {hint}" for hint in hints)

    def _on_socket_open(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._sock = sock
        # Without this a small packet waits up to 40 ms for the acknowledgement of the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self, _client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Any
    ) -> None:
        if not reason.is_failure:
            self._accepted = True
            self.limits = Limits(
                retain=self.limits.retain and getattr(properties, "RetainAvailable", 1) != 0,
                max_qos=min(self.limits.max_qos, getattr(properties, "MaximumQoS", 2)),
                max_packet_bytes=getattr(properties, "MaximumPacketSize", None) or self.limits.max_packet_bytes,
            )
        elif reason.value == _UNSUPPORTED_VERSION:
            self._close_reason = UnsupportedProtocolError(reason.getName())
        else:
            self._close_reason = RefusedError(f"{reason.getName()}{self._login_hint(reason)}", reason.value)

    def _login_hint(self, reason: ReasonCode) -> str:
        """Return what to do about a refused login, where this side lacks something."""
        if reason.getName() not in _BAD_LOGINS:
            return ""
        if self._settings.username is None:
            return ": it wants a login: set mqtt.username and mqtt.password_file"
        return "" if self._settings.password is not None else ": no password was found: set mqtt.password_file"

    def _on_disconnect(
        self, _client: Client, _userdata: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.value == _TAKEN_OVER:
            self._close_reason = TakeoverError("a client that took over the session")
        elif flags.is_disconnect_packet_from_server:
            self._close_reason = LinkError(reason.getName())

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            _ = message.topic  # decoded here
        except UnicodeDecodeError:
            self._close_reason = LinkError("it sent a topic that is not UTF-8")
            self._client.disconnect()
            return
        self.messages.append(message)

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        topic = self._unacknowledged.pop(mid, None)
        if topic is not None and reason.is_failure:
            self.forbidden.append((topic, reason.getName()))

    def _on_unsubscribe(self, _client: Client, _userdata: Any, mid: int, _reasons: Any, _properties: Any) -> None:
        # In order, by the standard: an answer is one to those before it too.
        while any(number == mid for number, _ in self._probes):
            number, sent_s = self._probes.popleft()
            if number == mid:
                self.round_trip_s = time.monotonic() - sent_s
                self._probe_answered = True
