"""The address of an MQTT broker."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["BrokerAddress", "parse_broker"]

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
OTHER_SCHEMES = {
    "tcp": "tcp:// is written mqtt:// here",
    "ssl": "ssl:// is written mqtts:// here",
    "tls": "tls:// is written mqtts:// here",
    "ws": "websockets are not supported: use the broker's own port, usually mqtt://HOST:1883",
    "wss": "websockets are not supported: use the broker's own port for TLS, usually mqtts://HOST:8883",
    "http": "this is the address of a web page: a broker's is mqtt://HOST:1883",
    "https": "this is the address of a web page: a broker's is mqtts://HOST:8883",
}
"""What is meant by schemes that users know from elsewhere."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Address of an MQTT broker.

    Attributes:
        host: name or IP address; IPv6 without brackets.
        port: TCP port, 1..65535.
        tls: True for `mqtts://`.
        username: from the URL; empty if it has none.
    """

    host: str
    port: int
    tls: bool
    username: str = ""

    def __str__(self) -> str:
        scheme = "mqtts" if self.tls else "mqtt"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def parse_broker(url: str) -> BrokerAddress:
    """Parse `mqtt://[user@]host[:port]`, or `mqtts://…` for TLS.

    Raises:
        ValueError: not such a URL, or one with a password; the text never shows the credentials.
    """
    parts = _split(url)
    if parts.password is not None:
        raise ValueError(
            "a password in a URL is seen by every user of the machine: write mqtt://USER@HOST, and the file that holds "
            "the password into mqtt.password_file"
        )
    if parts.scheme in OTHER_SCHEMES:
        raise ValueError(OTHER_SCHEMES[parts.scheme])
    port = _port(parts)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"expected mqtt://host[:port] or mqtts://host[:port]{_got(url)}{_meant(url)}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("nothing may follow the host and port; topics start with mqtt.base_topic")
    return BrokerAddress(
        host=parts.hostname,
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        tls=parts.scheme == "mqtts",
        username=unquote(parts.username or ""),
    )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError(f"not a valid address{_got(url)}; IPv6 is written mqtt://[::1]:1883") from None


def _port(parts: SplitResult) -> int | None:
    place = parts.netloc.rpartition("@")[2]
    if "," in place:
        raise ValueError("expected one broker, got several")
    if place.count(":") > 1 and "[" not in place:
        raise ValueError("IPv6 is written mqtt://[::1]:1883")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the port must be a number from 1 to 65535")
    return port


def _meant(url: str) -> str:
    """Return ` (did you mean …?)` for an address that lacks its scheme."""
    place = url.removeprefix("mqtt:").lstrip("/")
    is_address = re.fullmatch(r"[\w.-]+(?::\d{1,5})?", place, re.ASCII)
    return f" (did you mean mqtt://{place}?)" if is_address else ""


def _got(url: str) -> str:
    return "" if "@" in url else f", got '{url}'"
