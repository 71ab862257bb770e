"""Where the broker is, and what this device is called there."""

import re
import ssl
from pathlib import Path

import pytest

from edge.errors import UnavailableError
from edge.mqtt.settings import MqttSettings, odd_characters
from edge.mqtt.tls import FreshContext


def client_id(device: str, base_topic: str = "edge-pose") -> str:
    return MqttSettings(host="broker", device=device, base_topic=base_topic).client_id


def test_topics_begin_with_base_and_device() -> None:
    settings = MqttSettings(host="broker", device="hall", base_topic="home/poses")
    assert settings.topic("people") == "home/poses/hall/people"


def test_the_client_id_of_a_short_name_is_readable() -> None:
    assert client_id("hall") == "edge-pose-hall"


@pytest.mark.parametrize("device", ["a-raspberry-pi-in-the-hall", "Küche", "two words"])
def test_every_client_id_is_one_that_any_broker_has_to_take(device: str) -> None:
    assert re.fullmatch("[0-9A-Za-z-]{1,23}", client_id(device))


def test_devices_never_share_a_client_id() -> None:
    names = [("hall", "edge-pose"), ("pose-hall", "edge"), ("hall", "edge"), ("Küche", "edge-pose")]
    assert len({client_id(*name) for name in names}) == 4


def test_a_client_id_does_not_change_from_start_to_start() -> None:
    assert client_id("a-raspberry-pi-in-the-hall") == "edge-pose-cd1ff037d3f30"


def test_without_tls_no_file_is_read() -> None:
    assert MqttSettings(host="broker", device="hall", ca_file="missing").tls_context() is None


def test_encryption_is_tls_1_2_or_later_with_certificate_and_name_verified() -> None:
    context = MqttSettings(host="broker", device="hall", tls=True).tls_context()
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_files_are_read_again_once_one_of_them_has_changed(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    reads: list[str] = []

    def read() -> None:
        reads.append(one.read_text())
        if not other.exists():
            raise UnavailableError("missing")

    context = FreshContext(read, [str(one), str(other)])
    for _ in range(2):
        with pytest.raises(UnavailableError):
            context.get()
    other.touch()
    context.get()
    context.get()
    assert reads == ["1"] * 3
    one.write_text("22")
    context.get()
    context.get()
    assert reads == ["1", "1", "1", "22"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hall", ""),
        ("edge-pose/hall_2", ""),
        ("hall.example", "dots"),
        ("my hall", "blanks"),
        ("a*b>c", "'*', '>'"),
        ("höf", "'ö'"),
    ],
)
def test_characters_that_some_brokers_refuse_are_named(name: str, words: str) -> None:
    assert odd_characters(name) == words


def test_another_clients_id_is_never_the_agents() -> None:
    plain = MqttSettings(host="h", device="hall")
    own = MqttSettings(host="h", device="hall", own_client_id="thing-7")
    assert (plain.client_id, plain.other_client_id("sub-1")) == ("edge-pose-hall", "edge-pose-sub-1")
    assert (own.client_id, own.other_client_id("sub-1")) == ("thing-7", "thing-7-sub-1")
