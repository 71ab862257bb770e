"""What waits to be published: the newest result, and of each state topic the latest message."""

import threading

from edge.ports import PoseFrame

__all__ = ["Outbox"]


class Outbox:
    """Filled by any thread, emptied by one. It never holds more than one of anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._result: PoseFrame | None = None
        self._dropped = 0
        self._states: dict[str, bytes] = {}
        self._unsent: set[str] = set()

    @property
    def dropped(self) -> int:
        """Results that were offered and not published."""
        return self._dropped

    @property
    def is_open(self) -> bool:
        """Whether results are taken."""
        return self._open

    def open(self) -> None:
        """Take results from now on, and count every state as unsent."""
        with self._lock:
            self._open = True
            self._unsent = set(self._states)

    def close(self) -> None:
        """Refuse results from now on, and drop the one that waits."""
        with self._lock:
            self._open = False
            self._dropped += self._result is not None
            self._result = None

    def offer(self, result: PoseFrame) -> bool:
        """Let a result wait in place of an older one; False when it was dropped instead."""
        with self._lock:
            self._dropped += not self._open or self._result is not None
            if self._open:
                self._result = result
            return self._open

    def has_result(self) -> bool:
        """Return whether a result waits."""
        return self._result is not None

    def take_result(self) -> PoseFrame | None:
        """Return the result that waits; it counts as published."""
        with self._lock:
            result, self._result = self._result, None
            return result

    def set_state(self, topic: str, payload: bytes) -> None:
        """Replace the state of a topic."""
        with self._lock:
            self._states[topic] = payload
            self._unsent.add(topic)

    def unsent(self) -> list[str]:
        """Return the topics whose state was not taken since it was set, in the order of their first use."""
        with self._lock:
            return [topic for topic in self._states if topic in self._unsent]

    def take_state(self, topic: str) -> bytes:
        """Return the latest state of a topic; it counts as sent."""
        with self._lock:
            self._unsent.discard(topic)
            return self._states[topic]
