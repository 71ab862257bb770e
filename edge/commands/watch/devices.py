"""State of every device on a broker, from their messages alone.

Pure: the time is an argument.
"""

from collections.abc import Collection

from edge.commands.watch.device import Connection, Device
from edge.commands.watch.text import clean

__all__ = ["Devices"]

STATE_TOPICS = ("status", "people", "health")
MAX_DEVICES = 2000
RANKS = {"degraded": 0, "offline": 1, "": 2, "online": 4}
SILENT_RANK = 0


class Devices:
    """Every device with a message so far. Not thread-safe.

    Args:
        base_topic: first part of their topics.
        only: the one device to take messages of; None for all.
        now_s: start of the connection.
        max_devices: messages of further ones are counted in `left_out` and ignored.
    """

    def __init__(
        self, base_topic: str, *, only: str | None = None, now_s: float = 0.0, max_devices: int = MAX_DEVICES
    ) -> None:
        self._base = base_topic
        self._only = only
        self._max = max_devices
        self._known: dict[str, Device] = {}
        self._followed: frozenset[str] = frozenset()
        self.left_out = 0
        self.connection = Connection(up=True, since_s=now_s)

    def __len__(self) -> int:
        return len(self._known)

    def topics(self) -> list[str]:
        """Return the topics to subscribe: all states, poses of followed devices."""
        whom = self._only or "+"
        states = [f"{self._base}/{whom}/{name}" for name in STATE_TOPICS]
        return states + [f"{self._base}/{name}/pose" for name in sorted(self._followed)]

    def follow(self, names: Collection[str], now_s: float) -> bool:
        """Set the devices whose poses are kept; return whether that is a change."""
        if self._followed == frozenset(names):
            return False
        for name in self._followed - frozenset(names):
            if name in self._known:
                self._known[name].forget_poses()
        for name in frozenset(names) - self._followed:
            if name in self._known:
                self._known[name].followed_s = now_s
        self._followed = frozenset(names)
        return True

    def set_connection(self, *, up: bool, now_s: float, reason: str = "") -> bool:
        """Set the state of the connection; return whether it changed."""
        changed = up != self.connection.up
        self.connection = Connection(up, now_s if changed else self.connection.since_s, clean(reason))
        return changed

    def take(self, topic: str, payload: bytes, now_s: float, *, retained: bool = False) -> Device | None:
        """Take one message.

        Args:
            topic: its topic.
            payload: its bytes; none on `status` removes the device, as at the broker.
            now_s: time of arrival.
            retained: True for a message that the broker had retained.

        Returns:
            The device, if its state or reason changed.
        """
        name, _, kind = topic.removeprefix(f"{self._base}/").partition("/")
        if not topic.startswith(f"{self._base}/") or (self._only or name) != name or not name:
            return None
        if not payload:
            if kind == "status":
                self._known.pop(name, None)
            return None
        device = self._device(name, kind, now_s)
        if device is None:
            return None
        if not retained:
            device.heard_s = now_s
        return device if self._hand(device, kind, payload, now_s) else None

    def _device(self, name: str, kind: str, now_s: float) -> Device | None:
        if kind not in (*STATE_TOPICS, "pose"):
            return None
        if name not in self._known and len(self._known) >= self._max:
            self.left_out += 1
            return None
        if name not in self._known:
            self._known[name] = Device(name, clean(name, max_characters=64))
            self._known[name].followed_s = now_s if name in self._followed else None
        return self._known[name]

    def _hand(self, device: Device, kind: str, payload: bytes, now_s: float) -> bool:
        if kind == "status":
            return device.take_status(payload)
        if kind == "people":
            device.take_people(payload)
        elif kind == "health":
            device.take_health(payload)
        elif device.name in self._followed:
            device.take_pose(payload, now_s)
        return False

    def ordered(self, now_s: float) -> list[Device]:
        """Return all devices, those with problems first, then by name."""
        return sorted(self._known.values(), key=lambda device: (self._rank(device, now_s), device.label, device.name))

    def _rank(self, device: Device, now_s: float) -> int:
        if device.state == "online" and device.silence(now_s, self.connection):
            return SILENT_RANK
        return RANKS.get(device.state, 3)

    def counts(self) -> dict[str, int]:
        """Return the number of devices in each of the usual states."""
        states = ("online", "degraded", "offline")
        return {state: n for state in states if (n := sum(d.state == state for d in self._known.values()))}
