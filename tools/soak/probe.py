"""Subscriber that times the first pose after a fault."""

import threading
import time
from datetime import datetime
from typing import Self

import msgspec

from edge.mqtt.subscriber import Subscriber
from edge.payload import HealthMessage, PoseMessage
from tools.soak.rig.agent import DEVICE

__all__ = ["PoseSubscriber"]

TOPIC = f"edge-pose/{DEVICE}"
RETRY_S = 0.05
"""It has to be there before the agent is, or its own wait would be measured."""


class PoseSubscriber:
    """Subscribes from `__enter__` to `__exit__`, reconnecting to each new broker.

    Args:
        port: of the broker.

    Attributes:
        messages: pose messages so far.
        people: people in them.
        size: (width, height) of the camera's pictures.
        health: the agent's last word on itself.
    """

    def __init__(self, port: int) -> None:
        self.messages = self.people = 0
        self.size = (0, 0)
        self.health: HealthMessage | None = None
        topics = [f"{TOPIC}/pose", f"{TOPIC}/health"]
        self._subscriber = Subscriber(
            "127.0.0.1", port, topics, self._take, min_retry_s=RETRY_S, max_retry_s=RETRY_S * 2
        )
        self._news = threading.Condition()
        self._since_s = self._since_wall_s = 0.0
        self._arrived_s: float | None = None

    def __enter__(self) -> Self:
        """Connect. Raises UnavailableError."""
        self._subscriber.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._subscriber.stop()

    def watch(self) -> None:
        """Start the clock: poses count whose picture is taken from now on."""
        with self._news:
            self._since_s, self._since_wall_s = time.monotonic(), time.time()
            self._arrived_s = None

    def wait(self, timeout_s: float) -> float | None:
        """Return the seconds from `watch` to the first pose, None on timeout."""
        with self._news:
            self._news.wait_for(lambda: self._arrived_s is not None, timeout_s)
            return None if self._arrived_s is None else self._arrived_s - self._since_s

    def raise_error(self) -> None:
        """Raise the exception that ended the subscriber, if any: a bug."""
        if self._subscriber.error is not None:
            raise self._subscriber.error

    def _take(self, topic: str, payload: bytes) -> None:
        now_s = time.monotonic()
        if topic.endswith("/health"):
            self.health = msgspec.json.decode(payload, type=HealthMessage)
            return
        message = msgspec.json.decode(payload, type=PoseMessage)
        captured_s = datetime.fromisoformat(message.time).timestamp()
        with self._news:
            self.messages += 1
            self.people += len(message.poses)
            self.size = message.size
            if self._arrived_s is None and captured_s > self._since_wall_s:
                self._arrived_s = now_s
                self._news.notify_all()
