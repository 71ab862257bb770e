"""Brokers for tests: Debian's mosquitto as a process, and a subscriber that remembers what it heard."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import jsonschema
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

import edge

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")

ANONYMOUS = "allow_anonymous true"

SCHEMAS = {file.stem: json.loads(file.read_text()) for file in (Path(edge.__file__).parent / "schemas").glob("*.json")}


def eventually(is_so: Callable[[], Any], within_s: float = 10.0) -> None:
    """Wait until `is_so`; fail when it is not so in time."""
    deadline_s = time.monotonic() + within_s
    pause = threading.Event()
    while not is_so():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        pause.wait(0.01)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto:
    """A mosquitto that can be killed, stopped from reading, and started again on the same port."""

    def __init__(self, folder: Path, *config: str) -> None:
        self.port = free_port()
        self.config = config
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        file = self.folder / "mosquitto.conf"
        # As root it would become another user, who cannot read the test's files.
        lines = (f"listener {self.port} 127.0.0.1", "user root", *self.config)
        file.write_text("\n".join(lines) + "\n")
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._listens)
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "mosquitto ended"
        return can_connect(self.port)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Ear:
    """A subscriber to everything, or to one topic, that keeps what it heard in order."""

    def __init__(self, port: int, topic: str = "#", *, version: str = "5") -> None:
        self.heard: list[MQTTMessage] = []
        five = version == "5"
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        )
        self._subscribed = threading.Event()
        self._topic = topic
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _userdata, message: self.heard.append(message)
        self._client.connect("127.0.0.1", port)

    def _subscribe(self, client: Client, *_: Any) -> None:
        client.subscribe(self._topic, 2)

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._subscribed.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the messages on topics that end in `name`; each fits the schema of its topic."""
        texts = [m.payload for m in list(self.heard) if m.topic.endswith(f"/{name}")]
        messages = [json.loads(text) for text in texts]
        for message in messages:
            jsonschema.validate(message, SCHEMAS[name])
        return messages


def states(ear: Ear) -> list[tuple[str, str]]:
    """Return state and reason of every status that was heard."""
    return [(message["state"], message["reason"]) for message in ear.of("status")]
