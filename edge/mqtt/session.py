"""What happens on a connection that has logged in: read back who else is called like this, then publish.

Everything that goes out waits for an answer of the broker first: ask, hear, then send the newest there is. A broker
that stops reading is therefore noticed before a pose is given to it, not after 4 MB of them.
"""

import time
from collections.abc import Callable

import msgspec

from edge.mqtt.errors import DuplicateClientError, LinkError
from edge.mqtt.link import Link
from edge.mqtt.outbox import Outbox
from edge.mqtt.settings import MqttSettings
from edge.payload import Origin, StatusMessage, encode, pose_message

__all__ = ["Session", "duplicate_run"]

_POSE_EXPIRY_S = 2
_STATE_QOS = {"people": 1, "status": 1, "health": 0}


class Session:
    """One login's traffic. Every method belongs to the thread that owns the link."""

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        settings: MqttSettings,
        origin: Origin,
        *,
        published_since: str | None,
        max_silence_s: float,
    ) -> None:
        self.ready = False
        self._link = link
        self._outbox = outbox
        self._settings = settings
        self._origin = origin
        self._published_since = published_since
        self._max_silence_s = max_silence_s
        self._handed: dict[str, Callable[[], bool]] = {}
        link.subscribe(settings.topic("status"))
        self._ask()

    def turn(self, timeout_s: float) -> None:
        """Wait for something to do, and do it.

        Raises:
            LinkError: the connection is lost, or the broker does not answer.
            DuplicateClientError: another agent has this name.
        """
        self._link.turn(timeout_s)
        self._read_back()
        if self._link.take_answer():
            self._heard()
        if not self._link.asking and self._has_work():
            self._ask()
        if self._link.silence_s > self._max_silence_s:
            raise LinkError(f"no answer for {self._max_silence_s:g} s")

    def finish(self, deadline_s: float) -> None:
        """Publish the states that are left, then say goodbye; `deadline_s` is on `time.monotonic`."""
        while not self._settled() and time.monotonic() < deadline_s:
            self.turn(0.05)
        self._link.disconnect(timeout_s=max(0.0, deadline_s - time.monotonic()))

    def _ask(self) -> None:
        self._link.ask(self._settings.topic("-"))

    def _read_back(self) -> None:
        messages, self._link.messages = self._link.messages, []
        for message in messages:
            if message.topic != self._settings.topic("status"):
                continue  # amqtt sends a newcomer what others have subscribed
            run = duplicate_run(bytes(message.payload), message.retain, self._origin.run, self._published_since)
            if run is not None:
                raise DuplicateClientError(f"run {run}")

    def _heard(self) -> None:
        if not self.ready:
            self.ready = True
            self._outbox.open()
        for topic in self._outbox.unsent():
            if self._is_free(topic):
                payload = self._outbox.take_state(topic)
                self._hand(topic, payload, qos=_STATE_QOS[topic], retain=True)
        result = self._outbox.take_result() if self._is_free("pose") else None
        if result is not None:
            message = pose_message(result, self._origin, time.monotonic())
            self._hand("pose", encode(message), qos=0, retain=False, expiry_s=_POSE_EXPIRY_S)

    def _hand(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None = None) -> None:
        self._handed[topic] = self._link.publish(
            self._settings.topic(topic), payload, qos=qos, retain=retain, expiry_s=expiry_s
        )

    def _is_free(self, topic: str) -> bool:
        """Return whether nothing of this topic is in paho's hands: written if QoS 0, acknowledged if QoS 1."""
        return topic not in self._handed or self._handed[topic]()

    def _has_work(self) -> bool:
        poses = self._outbox.has_result() and self._is_free("pose")
        return poses or any(map(self._is_free, self._outbox.unsent()))

    def _settled(self) -> bool:
        return self.ready and not self._outbox.unsent() and all(map(self._is_free, self._handed))


def duplicate_run(payload: bytes, retained: bool, run: str, published_since: str | None) -> str | None:
    """Return the run of another agent that has this device's name, judged by a message on its status topic.

    A message of another run may well be left by the run before this one: what the broker kept, and the last will
    that it publishes late. So what counts is a live one that claims to be there, or a kept one made after this run
    had put its own in that place.

    Args:
        payload: as it came.
        retained: True for a message that the broker had kept.
        run: this run.
        published_since: when this run first published its status, as in `StatusMessage.time`; None if it has not.
    """
    try:
        status = msgspec.json.decode(payload, type=StatusMessage)
    except msgspec.DecodeError:
        return None
    if status.run == run:
        return None
    claims = not retained and status.state != "offline"
    replaced = retained and published_since is not None and status.time > published_since
    return status.run if claims or replaced else None
