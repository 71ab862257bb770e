"""Settings of the connection to an MQTT broker."""

import hashlib
import re
import ssl
from dataclasses import dataclass, field
from typing import Literal

from edge.mqtt.tls import make_context

__all__ = ["MqttSettings", "Version", "odd_characters"]

Version = Literal["5", "3.1.1"]


def odd_characters(text: str) -> str:
    """Return the characters of a name that some brokers refuse in topics, in words; empty if there are none.

    NATS and RabbitMQ make levels of dots; NATS refuses blanks, `*` and `>`.
    """
    found = sorted({char for char in text if not (char.isascii() and (char.isalnum() or char in "-_/"))})
    return ", ".join("blanks" if char == " " else "dots" if char == "." else f"'{char}'" for char in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Address, login, encryption and topics.

    Attributes:
        host: name or address.
        port: TCP port.
        device: the last part of the topics' prefix.
        base_topic: the first part of the topics' prefix.
        tls: encrypt, and verify the broker's certificate and name.
        version: `auto` is MQTT 5, and 3.1.1 for a broker that does not speak it.
        username: None for an anonymous login.
        password: never printed.
        ca_file: PEM file of the authority to trust instead of the system's.
        cert_file: PEM file of the client's certificate, for brokers that ask for one.
        key_file: PEM file of its key, not encrypted.
        own_client_id: the MQTT client id; empty: made of base topic and device.
        keepalive_s: longest time without a packet before the client pings the broker (MQTT keep alive).
    """

    host: str
    port: int = 1883
    device: str
    base_topic: str = "edge-pose"
    tls: bool = False
    version: Literal["auto", "5", "3.1.1"] = "auto"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    own_client_id: str = ""
    keepalive_s: int = 10

    def topic(self, name: str) -> str:
        """Return the full topic of `pose`, `people`, `status` or `health`."""
        return f"{self.base_topic}/{self.device}/{name}"

    @property
    def client_id(self) -> str:
        """The MQTT client id, one per device.

        It has 1..23 letters, digits, - and _, which every broker has to accept (MQTT 3.1.1, section 3.1.3.1).
        """
        if self.own_client_id:
            return self.own_client_id
        plain = f"edge-pose-{self.device}"
        if self.base_topic == "edge-pose" and re.fullmatch(r"[0-9A-Za-z_-]{1,23}", plain):
            return plain
        name = f"{self.base_topic}/{self.device}".encode()
        return f"edge-pose-{hashlib.sha256(name).hexdigest()[:13]}"

    def other_client_id(self, name: str) -> str:
        """Return the id of another client than the agent, which would take over its session by the same.

        With an id of one's own it begins with that, because a broker may allow a prefix only.
        """
        return f"{self.own_client_id}-{name}" if self.own_client_id else f"edge-pose-{name}"

    @property
    def tls_files(self) -> tuple[str, ...]:
        """The files that `tls_context` reads, without the system's authorities."""
        return tuple(filter(None, (self.ca_file, self.cert_file, self.key_file)))

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the TLS context, None without encryption.

        Raises:
            UnavailableError: a file of certificates or keys cannot be read or used.
        """
        return make_context(self.ca_file, self.cert_file, self.key_file) if self.tls else None
