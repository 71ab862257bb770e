"""The address of an MQTT broker."""

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["BrokerAddress", "parse_broker"]

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


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
        raise ValueError("a password in a URL is seen by every user of the machine: use mqtt.password_file")
    port = _port(parts)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"expected mqtt://host[:port] or mqtts://host[:port]{_got(url)}")
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
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the port must be a number from 1 to 65535")
    return port


def _got(url: str) -> str:
    return "" if "@" in url else f", got '{url}'"
