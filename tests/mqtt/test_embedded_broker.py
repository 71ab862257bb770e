"""The embedded broker."""

import contextlib
import logging
import socket

import pytest

from brokers import Ear, eventually
from edge.errors import UnavailableError
from edge.mqtt.embedded_broker import EmbeddedBroker


def test_a_message_reaches_a_subscriber_and_a_kept_one_a_newcomer() -> None:
    with EmbeddedBroker() as broker:
        with Ear(broker.port, "edge-pose/#", version="3.1.1") as ear:
            ear.publish("edge-pose/hall/pose", b"now", retain=False)
            ear.publish("edge-pose/hall/people", b"kept", retain=True)
            eventually(lambda: len(ear.heard) == 2)
        with Ear(broker.port, "edge-pose/hall/people", version="3.1.1") as newcomer:
            eventually(lambda: newcomer.heard)
        assert newcomer.heard[0].payload == b"kept"
        assert newcomer.heard[0].retain


def test_two_brokers_get_different_ports() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert 0 < one.port != other.port > 0


def test_a_port_that_is_taken_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"cannot listen on 127.0.0.1:{port}"):
            EmbeddedBroker(port=port).__enter__()


def test_after_the_end_the_port_is_closed_and_clients_are_disconnected() -> None:
    with EmbeddedBroker() as broker:
        client = socket.create_connection(("127.0.0.1", broker.port))
    with client:
        client.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", broker.port)) != 0


def test_it_says_nothing_of_clients_that_misbehave(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with EmbeddedBroker() as broker:
        for first_words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x01", b"\x10\x04\x00\x04MQ"):
            with socket.create_connection(("127.0.0.1", broker.port)) as client:
                client.sendall(first_words)
        with Ear(broker.port, version="3.1.1") as ear:
            ear.publish("edge-pose/hall/pose", b"still here", retain=False)
            eventually(lambda: ear.heard)
    assert not caplog.records
