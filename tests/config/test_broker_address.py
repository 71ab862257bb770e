"""Broker URLs, and credentials that stay out of logs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.broker_address import BrokerAddress, parse_broker


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://hall.local", BrokerAddress("hall.local", 1883, tls=False)),
        ("mqtts://hall.local", BrokerAddress("hall.local", 8883, tls=True)),
        ("mqtt://hall.local:2883/", BrokerAddress("hall.local", 2883, tls=False)),
        ("MQTTS://10.0.0.7:443", BrokerAddress("10.0.0.7", 443, tls=True)),
        ("mqtt://[fe80::7]", BrokerAddress("fe80::7", 1883, tls=False)),
        ("mqtts://[::1]:8884", BrokerAddress("::1", 8884, tls=True)),
        ("mqtt://bob%40home@hall.local", BrokerAddress("hall.local", 1883, tls=False, username="bob@home")),
    ],
)
def test_a_broker_url_gives_host_port_tls_and_user(url: str, address: BrokerAddress) -> None:
    assert parse_broker(url) == address


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("hall.local:1883", "expected mqtt://host[:port]"),
        ("hall.local", "expected mqtt://host[:port]"),
        ("hall.local:1883", "(did you mean mqtt://hall.local:1883?)"),
        ("mqtt:hall.local", "(did you mean mqtt://hall.local?)"),
        ("http://hall.local", "the address of a web page: a broker's is mqtt://HOST:1883"),
        ("https://hall.local/mqtt", "the address of a web page: a broker's is mqtts://HOST:8883"),
        ("tcp://hall.local", "tcp:// is written mqtt:// here"),
        ("ssl://hall.local:8883", "ssl:// is written mqtts:// here"),
        ("ws://hall.local:9001", "websockets are not supported: use the broker's own port, usually mqtt://HOST:1883"),
        ("wss://hall.local/mqtt", "websockets are not supported"),
        ("mqtt://::1:1883", "IPv6 is written mqtt://[::1]:1883"),
        ("mqtt://a.local,b.local", "expected one broker, got several"),
        ("mqtt://a:1883,b:1883", "expected one broker, got several"),
        ("mqtt://", "expected mqtt://host[:port]"),
        ("mqtt://:1883", "expected mqtt://host[:port]"),
        ("mqtt://hall.local:0", "the port must be"),
        ("mqtt://hall.local:65536", "the port must be"),
        ("mqtt://hall.local:mqtt", "the port must be"),
        ("mqtt://[::1", "IPv6 is written"),
        ("mqtt://hall.local/people", "mqtt.base_topic"),
        ("mqtt://hall.local?qos=1", "mqtt.base_topic"),
    ],
)
def test_what_is_no_broker_url_is_refused_with_its_reason(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse_broker(url)


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://bob:geheim@hall",
        "mqtt://:geheim@hall",
        "bob:geheim@hall",
        "ftp://bob:geheim@hall",
        "mqtt://bob:geheim@[::1",
        "mqtt://bob:geheim@hall:port",
    ],
)
def test_a_password_in_a_broker_url_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        parse_broker(url)
    assert "geheim" not in str(caught.value)


def test_the_line_about_a_password_in_a_url_says_what_to_use_instead() -> None:
    with pytest.raises(
        ValueError, match=r"write mqtt://USER@HOST, and the file that holds the password into mqtt\.password_file"
    ):
        parse_broker("mqtt://bob:geheim@hall")


@given(
    host=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True) | st.ip_addresses().map(str),
    port=st.integers(1, 65535),
    tls=st.booleans(),
)
def test_an_address_reads_back_from_how_it_is_written(host: str, port: int, tls: bool) -> None:
    address = BrokerAddress(host, port, tls)
    assert parse_broker(str(address)) == address
