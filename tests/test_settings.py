"""Where the broker is, and what this device is called there."""

import re

import pytest

from edge.publish.settings import MqttSettings


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
