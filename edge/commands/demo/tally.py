"""Statistics of the pose messages that the demo receives."""

import time
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from edge.payload import PoseMessage
from edge.rolling import Rolling

__all__ = ["Tally"]


@dataclass
class Tally:
    """Statistics of received messages; filled on the subscriber's thread."""

    messages: int = 0
    people: int = 0
    first_s: float | None = None
    last_s: float = 0.0
    latest: PoseMessage | None = None
    fullest: PoseMessage | None = None
    latency_ms: Rolling = field(default_factory=lambda: Rolling(2000))

    def take(self, payload: bytes) -> None:
        """Count one pose message that has just arrived."""
        message = msgspec.json.decode(payload, type=PoseMessage)
        captured_s = datetime.fromisoformat(message.time).timestamp()
        self.last_s = time.monotonic()
        self.first_s = self.first_s or self.last_s
        self.latency_ms.add((time.time() - captured_s) * 1e3)
        self.messages += 1
        self.people += len(message.poses)
        self.latest = message
        if self.fullest is None or _known(message) >= _known(self.fullest):
            self.fullest = message

    @property
    def fps(self) -> float:
        """Messages per second between the first and the last."""
        seconds = self.last_s - (self.first_s or self.last_s)
        return (self.messages - 1) / seconds if seconds > 0 else 0.0

    def summary(self) -> str:
        """Return the statistics in one line."""
        mean = self.people / self.messages if self.messages else 0.0
        seconds = self.last_s - (self.first_s or self.last_s)
        p50, p95 = (self.latency_ms.percentile(p) or 0.0 for p in (50, 95))
        model = f" ({self.latest.model})" if self.latest else ""
        return (
            f"{self.messages} messages, {seconds:.0f} s, {self.fps:.1f} fps, "
            f"latency p50 {p50:.0f} p95 {p95:.0f} ms, {mean:.1f} people per frame{model}"
        )


def _known(message: PoseMessage) -> int:
    """Count the people who have a track id."""
    return sum(person.id is not None for person in message.poses)
