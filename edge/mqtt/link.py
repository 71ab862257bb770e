"""One connection to an MQTT broker; the only module that imports paho.

One thread makes every call here, and paho runs inside `Link.poll`, so its locks never meet ours.

A successful send proves nothing: Linux buffers 4 MB for a broker that has stopped reading (43 s of poses at 30 fps),
and the peer still reads what its kernel holds after a reset. Only an answer proves that the broker reads. MQTT
acknowledges nothing of QoS 0, so `probe` sends an UNSUBSCRIBE for a topic that was never subscribed: by the standard
it is answered at once and in order, and no other client sees it.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
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
from edge.mqtt.settings import MqttSettings, Version
from edge.mqtt.tls import RememberingSocket
from edge.mqtt.waker import Waker

__all__ = ["Link"]

_DISCARD = struct.pack("ii", 1, 0)  # struct linger: close with a reset, discard unsent data
_UNSUPPORTED_VERSION = 0x84
_TAKEN_OVER = 0x8E


class Link:
    """One connection, from its login to its end; make a new one for the next.

    Args:
        settings: where the broker is, and the login.
        version: of MQTT.
        waker: ends a wait in `poll` early.
        tls: None for no encryption.
        will: topic and payload that the broker publishes, retained, if the connection is lost.

    Attributes:
        version: of MQTT.
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
    ) -> None:
        self.version = version
        self.messages: list[MQTTMessage] = []
        self.forbidden: list[tuple[str, str]] = []
        self._settings = settings
        self._waker = waker
        self._accepted = False
        self._close_reason: LinkError | None = None
        self._probe_id: int | None = None
        self._probe_sent_s = 0.0
        self._probe_answered = False
        self._unacknowledged: dict[int, str] = {}  # topics of messages with QoS 1
        self._sock: Any = None
        self._client = self._make_client(tls, will)

    def _make_client(self, tls: ssl.SSLContext | None, will: tuple[str, bytes] | None) -> Client:
        five = self.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            self._settings.client_id,
            clean_session=None if five else True,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        if tls is not None:
            client.tls_set_context(tls)
        if will is not None:
            client.will_set(*will, qos=1, retain=True)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_unsubscribe = self._on_unsubscribe
        return client

    def connect(
        self, give_up: Callable[[], bool], *, connect_timeout_s: float = 5.0, login_timeout_s: float = 5.0
    ) -> None:
        """Connect and log in. Raises LinkError, also when `give_up` returns True after a wake-up."""
        self._client.connect_timeout = connect_timeout_s
        try:
            self._client.connect(self._settings.host, self._settings.port, self._settings.keepalive_s)
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
        _, self._probe_id = self._client.unsubscribe(self._settings.topic("-"))  # never subscribed
        self._probe_sent_s = time.monotonic()

    @property
    def probe_pending(self) -> bool:
        """Whether the last probe is not answered yet."""
        return self._probe_id is not None

    @property
    def silence_s(self) -> float:
        """Seconds since the pending probe was sent; 0 without one."""
        return time.monotonic() - self._probe_sent_s if self.probe_pending else 0.0

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
        if not self._accepted:
            hint = "" if self._settings.tls else "; if this is its port for TLS, write mqtts:// in mqtt.url"
            return ConnectionClosedError(f"it closed the connection during the login{hint}")
        return LinkError("connection lost")

    def _on_socket_open(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._sock = sock
        # Without this a small packet waits up to 40 ms for the acknowledgement of the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self, _client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if not reason.is_failure:
            self._accepted = True
        elif reason.value == _UNSUPPORTED_VERSION:
            self._close_reason = UnsupportedProtocolError(reason.getName())
        else:
            self._close_reason = RefusedError(reason.getName())

    def _on_disconnect(
        self, _client: Client, _userdata: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.value == _TAKEN_OVER:
            self._close_reason = TakeoverError("a client that took over the session")
        elif flags.is_disconnect_packet_from_server:
            self._close_reason = LinkError(reason.getName())

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        self.messages.append(message)

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        topic = self._unacknowledged.pop(mid, None)
        if topic is not None and reason.is_failure:
            self.forbidden.append((topic, reason.getName()))

    def _on_unsubscribe(self, _client: Client, _userdata: Any, mid: int, _reasons: Any, _properties: Any) -> None:
        if mid == self._probe_id:
            self._probe_id = None
            self._probe_answered = True
