import socket
import threading
from pathlib import Path

import pytest

from brokers import ANONYMOUS, Ear, Mosquitto, eventually, free_port, needs_mosquitto
from certificates import Authority, needs_openssl
from edge.errors import UnavailableError
from edge.mqtt.embedded_broker import EmbeddedBroker
from edge.mqtt.settings import MqttSettings
from edge.mqtt.subscriber import Subscriber

pytestmark = needs_mosquitto


class Heard:
    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.kept: list[tuple[str, bytes]] = []
        self.links: list[tuple[bool, str]] = []

    def subscriber(
        self, port: int, *topics: str, login: MqttSettings | None = None, host: str = "127.0.0.1"
    ) -> Subscriber:
        return Subscriber(
            host,
            port,
            topics,
            lambda topic, payload: self.messages.append((topic, payload)),
            on_kept=lambda topic, payload: self.kept.append((topic, payload)),
            on_link=lambda up, reason: self.links.append((up, reason)),
            login=login,
            min_retry_s=0.05,
            max_retry_s=0.1,
        )


def hears(subscriber_of: Heard, ear: Ear, topic: str) -> None:
    """Publish until it arrives: a subscription needs its time."""

    def arrived() -> bool:
        ear.publish(topic, b"now", retain=False)
        return (topic, b"now") in subscriber_of.messages

    eventually(arrived)


def test_messages_arrive_and_retained_ones_are_marked(broker: Mosquitto) -> None:
    heard = Heard()
    with Ear(broker.port, "nothing") as ear:
        ear.publish("a/b", b"kept", retain=True)
        subscriber = heard.subscriber(broker.port, "a/+")
        subscriber.start()
        eventually(lambda: heard.kept == [("a/b", b"kept")])
        hears(heard, ear, "a/c")
        subscriber.stop()
    assert heard.links == []


def test_other_topics_are_heard_after_a_change_and_the_former_ones_no_longer(broker: Mosquitto) -> None:
    heard = Heard()
    with Ear(broker.port, "nothing") as ear:
        subscriber = heard.subscriber(broker.port, "old", "both")
        subscriber.start()
        hears(heard, ear, "old")
        subscriber.set_topics(["both", "new"])
        hears(heard, ear, "new")
        heard.messages.clear()
        ear.publish("old", b"late", retain=False)
        hears(heard, ear, "both")
        subscriber.stop()
    assert ("old", b"late") not in heard.messages


def test_a_broker_that_was_gone_is_heard_again(broker: Mosquitto) -> None:
    heard = Heard()
    subscriber = heard.subscriber(broker.port, "a/b")
    subscriber.start()
    broker.kill()
    eventually(lambda: [up for up, _ in heard.links] == [False])
    assert heard.links[0][1] != ""
    broker.start()
    eventually(lambda: [up for up, _ in heard.links] == [False, True])
    with Ear(broker.port, "nothing") as ear:
        hears(heard, ear, "a/b")
    subscriber.stop()


def test_a_broker_of_the_older_protocol_is_stepped_down_to() -> None:
    heard = Heard()
    with EmbeddedBroker() as broker:
        subscriber = heard.subscriber(broker.port, "a/b")
        subscriber.start()
        with Ear(broker.port, "nothing", version="3.1.1") as ear:
            hears(heard, ear, "a/b")
        subscriber.stop()


def test_no_broker_is_said_in_one_line() -> None:
    port = free_port()
    with pytest.raises(UnavailableError, match=f"^broker 127.0.0.1:{port} cannot be reached \\(Connection refused\\)$"):
        Heard().subscriber(port, "a").start()


def test_a_refused_login_is_said_in_one_line(tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path, "allow_anonymous false").start()
    try:
        with pytest.raises(UnavailableError, match="refuses the login"):
            Heard().subscriber(mosquitto.port, "a").start()
    finally:
        mosquitto.kill()


def test_a_subscriber_logs_in_and_never_as_the_device_that_it_listens_to(broker: Mosquitto) -> None:
    heard = Heard()
    secret = str(broker.port)
    login = MqttSettings(host="elsewhere", port=1, device="hall", username="eva", password=secret)
    subscriber = heard.subscriber(broker.port, "a/b", login=login)
    subscriber.start()
    with Ear(broker.port, "nothing") as ear:
        hears(heard, ear, "a/b")
    subscriber.stop()
    assert subscriber._settings.client_id != login.client_id
    assert subscriber._settings.username == "eva"
    assert f"'{secret}'" not in repr(subscriber._settings)


@needs_openssl
def test_a_broker_with_tls_that_asks_for_a_certificate_is_heard(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.sign("localhost"), authority.sign("eva")
    plain_port = free_port()
    tls = (f"certfile {server.cert}", f"keyfile {server.key}", f"cafile {authority.cert}", "require_certificate true")
    mosquitto = Mosquitto(tmp_path, ANONYMOUS, *tls, f"listener {plain_port} 127.0.0.1").start()
    login = MqttSettings(host="", device="hall", tls=True, ca_file=str(authority.cert), **client.settings())
    try:
        heard = Heard()
        subscriber = heard.subscriber(mosquitto.port, "a/b", login=login, host="localhost")
        subscriber.start()
        with Ear(plain_port, "nothing") as ear:
            hears(heard, ear, "a/b")
        subscriber.stop()
        with pytest.raises(UnavailableError, match="is not trusted"):
            heard.subscriber(mosquitto.port, "a/b", login=login, host="127.0.0.1").start()
    finally:
        mosquitto.kill()


def test_a_callback_that_fails_is_not_lost(broker: Mosquitto) -> None:
    def fail(topic: str, payload: bytes) -> None:
        raise ZeroDivisionError(topic, payload)

    subscriber = Subscriber("127.0.0.1", broker.port, ["a/b"], fail)
    with Ear(broker.port, "nothing") as ear:
        ear.publish("a/b", b"1", retain=True)
        subscriber.start()
        eventually(lambda: subscriber.error is not None)
    assert isinstance(subscriber.error, ZeroDivisionError)
    subscriber.stop()


def test_stopping_without_a_start_is_harmless() -> None:
    Heard().subscriber(1, "a").stop()


def test_a_host_that_answers_nothing_to_the_login_is_no_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def close_twice() -> None:
            for _ in range(2):
                server.accept()[0].close()

        closer = threading.Thread(target=close_twice)
        closer.start()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            Heard().subscriber(port, "a").start()
        closer.join()
