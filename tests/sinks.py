"""MQTT sinks for tests, and what is done to them."""

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from brokers import Ear, eventually
from builders import ORIGIN, pose, result
from edge.frame import Frame
from edge.mqtt.settings import MqttSettings
from edge.mqtt.sink import MqttSink
from edge.payload import people_message, status_message
from edge.ports import PoseFrame


class SinkMaker:
    """Makes sinks that retry soon, and closes them at the end."""

    def __init__(self) -> None:
        self._sinks: list[MqttSink] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks:
            sink.close()

    def __call__(
        self,
        port: int,
        run: str = "k3f9",
        min_retry_s: float = 0.1,
        max_retry_s: float = 60.0,
        *,
        clock_synced: bool | None = None,
        max_silence_s: float = 10.0,
        **settings: Any,
    ) -> MqttSink:
        sink = MqttSink(
            MqttSettings(port=port, **{"host": "127.0.0.1", "device": "hall", **settings}),
            msgspec.structs.replace(ORIGIN, run=run),
            min_retry_s=min_retry_s,
            max_retry_s=max_retry_s,
            clock_synced=lambda: clock_synced,
            max_silence_s=max_silence_s,
        )
        self._sinks.append(sink)
        return sink


def is_connected(sink: MqttSink) -> bool:
    """Whether the broker has accepted the login and answers."""
    return sink._outbox._open


def connect(sink: MqttSink) -> MqttSink:
    sink.open()
    eventually(lambda: is_connected(sink))
    return sink


def say(sink: MqttSink, state: Any = "online", reason: str = "all is well", run: str = "k3f9") -> None:
    now_s = time.time()
    origin = msgspec.structs.replace(ORIGIN, run=run)
    sink.set_state("status", status_message(state, reason, origin, now_s, now_s))


def count(sink: MqttSink, ids: list[int] | None) -> None:
    number = None if ids is None else len(ids)
    sink.set_state("people", people_message(number, ids or [], ORIGIN, time.time()))


def live(index: int) -> PoseFrame:
    """A result captured now."""
    blank = result(pose(track_id=3), pose(x=0.6), index=index)
    now = Frame(blank.frame.image, index, time.monotonic(), time.time(), time.monotonic())
    return PoseFrame(now, blank.poses, blank.inference_ms)


@contextmanager
def feeding(sink: MqttSink, *, fps: float = 50) -> Iterator[None]:
    """A camera's worth of results, as long as the block lasts."""
    done = threading.Event()

    def feed() -> None:
        index = 0
        while not done.wait(1 / fps):
            sink.write(live(index))
            index += 1

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the product warned of; paho logs what tests do with it."""
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and r.name.startswith("edge")]


def kept(port: int, *names: str, version: str = "5") -> dict[str, dict[str, Any]]:
    """Return the retained messages of the named topics; wait until the broker has them."""
    retained: dict[str, dict[str, Any]] = {}

    def has_all() -> bool:
        with Ear(port, version=version) as newcomer:
            eventually(lambda: all(newcomer.of(name) for name in names))
            retained.update((name, newcomer.of(name)[0]) for name in names)
            return all(m.retain for m in newcomer.heard if not m.topic.endswith("/pose"))

    eventually(has_all)
    return retained


def accounts(folder: Path, **passwords: str) -> tuple[str, ...]:
    """Write mosquitto's password file, and return the lines that use it."""
    file = folder / "passwords"
    file.write_text("".join(f"{name}:{password}\n" for name, password in passwords.items()))
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True)
    return ("allow_anonymous false", f"password_file {file}")
