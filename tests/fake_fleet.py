"""Devices that exist only as messages on a broker."""

import json
import threading
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from builders import pose, result
from edge.payload import DropCounts, HealthMessage, Origin, encode, people_message, pose_message, status_message

WALL_S = 1_769_860_800.0


def origin(device: str = "hall") -> Origin:
    return Origin(device=device, run="k3f9", camera="front", model="movenet-multipose-lightning-f16")


def status(state: Any = "online", reason: str = "", *, device: str = "hall", since_s: float = WALL_S) -> bytes:
    return encode(status_message(state, reason, origin(device), since_s, since_s))


def people(*ids: int, device: str = "hall") -> bytes:
    return encode(people_message(len(ids), list(ids), origin(device), WALL_S))


def health(*, device: str = "hall") -> bytes:
    message = HealthMessage(
        device=device,
        run="k3f9",
        time="2026-01-31T12:00:00.123Z",
        fps=24.9,
        latency_ms={"p50": 25.2, "p95": 31.8},
        inference_ms=15.12,
        drops=DropCounts(camera=12, outputs={"mqtt": 3, "jsonl": 0}),
        engine="cpu",
        model="movenet-multipose-lightning-f16",
        people=2,
        rss_bytes=125_000_000,
        cpu_temperature_c=52.4,
        throttled=True,
        clock_synced=False,
        uptime_s=8000.0,
        version="0.3.0",
    )
    return encode(message)


def poses(*ids: int, device: str = "hall", seq: int = 812) -> bytes:
    found = [pose(x=0.1 + 0.2 * at, track_id=track_id) for at, track_id in enumerate(ids)]
    return encode(pose_message(result(*found, index=seq), origin(device), 100.0412))


def other(payload: bytes, **fields: Any) -> bytes:
    """Return a message with some fields changed."""
    return json.dumps({**json.loads(payload), **fields}).encode()


class Fleet:
    """Publishes as if there were devices; `play` repeats poses until the end."""

    def __init__(self, port: int) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._over = threading.Event()
        self._player: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._player is not None:
            self._player.join()
        self._client.disconnect()
        self._client.loop_stop()

    def tell(self, device: str, kind: str, payload: bytes, *, retain: bool = True) -> None:
        self._client.publish(f"edge-pose/{device}/{kind}", payload, qos=1, retain=retain).wait_for_publish(10)

    def arrive(self, *devices: str) -> None:
        """Let devices come online with two people each."""
        for device in devices:
            self.tell(device, "status", status(device=device))
            self.tell(device, "people", people(3, 5, device=device))
            self.tell(device, "health", health(device=device))

    def play(self, *devices: str, period_s: float = 0.05) -> None:
        """Publish poses of these devices from now on."""

        def keep_on() -> None:
            while not self._over.wait(period_s):
                for device in devices:
                    self._client.publish(f"edge-pose/{device}/pose", poses(3, 5, device=device))

        self._player = threading.Thread(target=keep_on)
        self._player.start()
