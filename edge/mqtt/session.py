"""The traffic of one connection: duplicate check, then publishing.

Every send waits for the broker's answer to a probe, then takes the newest messages. A broker that stops reading is
therefore noticed before the next pose is sent, not after 4 MB of them.
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
    """Publishes from an outbox over one link; for the thread that owns the link.

    Args:
        link: logged in.
        outbox: opened once the broker has answered.
        settings: the topics.
        origin: this device and run.
        published_since: when this run first published its status, as in `StatusMessage.time`; None if it has not.
        max_silence_s: a broker that leaves a probe unanswered for longer counts as lost.

    Attributes:
        ready: whether the broker has answered a probe.
    """

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
        self._in_flight: dict[str, Callable[[], bool]] = {}
        link.subscribe(settings.topic("status"))
        link.probe()

    def poll(self, timeout_s: float) -> None:
        """Wait for traffic or a wake-up, then read and publish.

        Raises:
            LinkError: the connection is lost, or the broker does not answer.
            DuplicateClientError: another agent uses this device's name.
        """
        self._link.poll(timeout_s)
        self._read_messages()
        if self._link.take_probe_answer():
            self._publish_newest()
        if not self._link.probe_pending and self._has_work():
            self._link.probe()
        if self._link.silence_s > self._max_silence_s:
            raise LinkError(f"no answer for {self._max_silence_s:g} s")

    def finish(self, deadline_s: float) -> None:
        """Publish the remaining states, then disconnect; `deadline_s` is on `time.monotonic`."""
        while not self._all_sent() and time.monotonic() < deadline_s:
            self.poll(0.05)
        self._link.disconnect(timeout_s=max(0.0, deadline_s - time.monotonic()))

    def _read_messages(self) -> None:
        messages, self._link.messages = self._link.messages, []
        for message in messages:
            if message.topic != self._settings.topic("status"):
                continue  # amqtt also sends a new client what others have subscribed to
            run = duplicate_run(bytes(message.payload), message.retain, self._origin.run, self._published_since)
            if run is not None:
                raise DuplicateClientError(f"run {run}")

    def _publish_newest(self) -> None:
        if not self.ready:
            self.ready = True
            self._outbox.open()
        for topic in self._outbox.unsent():
            if self._is_idle(topic):
                payload = self._outbox.take_state(topic)
                self._send(topic, payload, qos=_STATE_QOS[topic], retain=True)
        result = self._outbox.take_result() if self._is_idle("pose") else None
        if result is not None:
            message = pose_message(result, self._origin, time.monotonic())
            self._send("pose", encode(message), qos=0, retain=False, expiry_s=_POSE_EXPIRY_S)

    def _send(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None = None) -> None:
        self._in_flight[topic] = self._link.publish(
            self._settings.topic(topic), payload, qos=qos, retain=retain, expiry_s=expiry_s
        )

    def _is_idle(self, topic: str) -> bool:
        """Return whether no message of a topic is in flight: each is written if QoS 0, acknowledged if QoS 1."""
        return topic not in self._in_flight or self._in_flight[topic]()

    def _has_work(self) -> bool:
        poses = self._outbox.has_result() and self._is_idle("pose")
        return poses or any(map(self._is_idle, self._outbox.unsent()))

    def _all_sent(self) -> bool:
        return self.ready and not self._outbox.unsent() and all(map(self._is_idle, self._in_flight))


def duplicate_run(payload: bytes, retained: bool, run: str, published_since: str | None) -> str | None:
    """Return the run of another agent with this device's name, by one status message.

    A message of another run may be left by the run before this one: the retained status, or a last will that is
    published late. So only two count: a live message that is not `offline`, and a retained one that is newer than
    the first status of this run, which it has replaced.

    Args:
        payload: of the message.
        retained: True for a retained message.
        run: this run.
        published_since: when this run first published its status, as in `StatusMessage.time`; None if it has not.
    """
    try:
        status = msgspec.json.decode(payload, type=StatusMessage)
    except msgspec.DecodeError:
        return None
    if status.run == run:
        return None
    is_live = not retained and status.state != "offline"
    has_replaced_ours = retained and published_since is not None and status.time > published_since
    return status.run if is_live or has_replaced_ours else None
