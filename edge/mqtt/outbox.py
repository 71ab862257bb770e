"""Holds what is to be published: the newest result and the latest states."""

import threading

from edge.ports import PoseFrame

__all__ = ["Outbox"]


class Outbox:
    """A buffer of one result, and one message per state topic.

    Any thread fills it, one empties it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._result: PoseFrame | None = None
        self._dropped = 0
        self._states: dict[str, tuple[bytes, int | None]] = {}
        self._unsent: set[str] = set()

    @property
    def dropped(self) -> int:
        """Results that were offered and not taken."""
        return self._dropped

    def open(self) -> None:
        """Accept results from now on, and mark every state unsent."""
        with self._lock:
            self._open = True
            self._unsent = set(self._states)

    def close(self) -> None:
        """Refuse results from now on, and drop the one that is held."""
        with self._lock:
            self._open = False
            self._dropped += self._result is not None
            self._result = None

    def offer(self, result: PoseFrame) -> bool:
        """Hold a result in place of an older one; False if it was dropped."""
        with self._lock:
            self._dropped += not self._open or self._result is not None
            if self._open:
                self._result = result
            return self._open

    def has_result(self) -> bool:
        """Return whether a result is held."""
        return self._result is not None

    def take_result(self) -> PoseFrame | None:
        """Return the held result and forget it; None without one."""
        with self._lock:
            result, self._result = self._result, None
            return result

    def count_dropped(self) -> None:
        """Count a result that was taken and could not be sent."""
        with self._lock:
            self._dropped += 1

    def set_state(self, topic: str, payload: bytes, expiry_s: int | None = None) -> None:
        """Replace the state of a topic, and mark it unsent; with MQTT 5 brokers forget it after `expiry_s`."""
        with self._lock:
            self._states[topic] = payload, expiry_s
            self._unsent.add(topic)

    def send_again(self, topic: str) -> None:
        """Mark the state of a topic unsent, if it has one."""
        with self._lock:
            if topic in self._states:
                self._unsent.add(topic)

    def unsent(self) -> list[str]:
        """Return the topics with an unsent state, by their first use."""
        with self._lock:
            return [topic for topic in self._states if topic in self._unsent]

    def take_state(self, topic: str) -> tuple[bytes, int | None]:
        """Return the latest state of a topic and its expiry, and mark it sent."""
        with self._lock:
            self._unsent.discard(topic)
            return self._states[topic]
