"""The traffic of one connection: who else uses the name, then publishing.

Behind every send goes a probe, and no more than a few may be unanswered. A broker that stops reading is therefore
noticed before the next pose is sent, not after 4 MB of them.
"""

import time
from collections.abc import Callable

import msgspec

from edge.mqtt.errors import DuplicateClientError, LinkError
from edge.mqtt.link import Link
from edge.mqtt.outbox import Outbox
from edge.mqtt.settings import MqttSettings
from edge.payload import Origin, StatusMessage, encode, pose_message

__all__ = ["Session", "SuspectError", "other_run"]

WINDOW = 4
"""Unanswered probes up to which poses are sent: 25 per second up to a round trip of 160 ms."""
MEND_S = 1.0
"""Between two corrections of a status that is not ours: a stranger may write there all the time."""
MAX_STATUS_BYTES = 1 << 13
MAX_RUN_CHARACTERS = 16
_POSE_EXPIRY_S = 2
_STATE_QOS = {"people": 1, "status": 1, "health": 0}


class SuspectError(LinkError):
    """The broker keeps a status of another run that may be there still."""

    kind = "suspect"


class Session:
    """Publishes from an outbox over one link; for the thread that owns the link.

    Args:
        link: logged in.
        outbox: opened once the broker has answered.
        settings: the topics.
        origin: this device and run.
        was_alone: whether it is known that no other run was there a moment ago.
        max_silence_s: a broker that leaves a probe unanswered for longer counts as lost.

    Attributes:
        ready: whether the broker has answered a probe.
        is_established: whether the owner calls this run the one that has the name; another is to step back then.
        duplicate: the last other run that said it is there, while this one is established; the owner empties it.
        too_large: topics of messages that the broker does not take for their size; the owner empties it.
    """

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        settings: MqttSettings,
        origin: Origin,
        *,
        was_alone: bool,
        max_silence_s: float,
    ) -> None:
        self.ready = False
        self.is_established = False
        self.duplicate = ""
        self.too_large: list[str] = []
        self._link = link
        self._outbox = outbox
        self._settings = settings
        self._origin = origin
        self._was_alone = was_alone
        self._max_silence_s = max_silence_s
        self._mended_s = 0.0
        self._last_status = b""
        self._in_flight: dict[str, Callable[[], bool]] = {}
        link.subscribe(settings.topic("status"))
        link.probe()

    def poll(self, timeout_s: float) -> None:
        """Wait for traffic or a wake-up, then read and publish.

        Raises:
            LinkError: the connection is lost, or the broker does not answer.
            DuplicateClientError: another agent uses this device's name.
            SuspectError: perhaps one does.
        """
        self._link.poll(timeout_s)
        self._read_messages()
        if self._link.take_probe_answer() and not self.ready:
            self.ready = True
            self._outbox.open()
        if self.ready and self._link.pending_probes < WINDOW and self._has_work():
            self._publish_newest()
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
            payload, retained = bytes(message.payload), bool(message.retain)
            if (run := other_run(payload, self._origin.run)) is not None:
                self._meet(run, retained=retained)
            elif self._last_status and payload != self._last_status and not retained:
                self._mend()  # a late will of this run's former connection

    def _meet(self, run: str, *, retained: bool) -> None:
        if self.is_established:
            self.duplicate = run
        elif not retained:
            raise DuplicateClientError(f"run {run}")
        elif not self._was_alone and not self.ready:
            raise SuspectError(f"run {run}")

    def _mend(self) -> None:
        if time.monotonic() - self._mended_s >= MEND_S:
            self._mended_s = time.monotonic()
            self._outbox.send_again("status")

    def _publish_newest(self) -> None:
        for topic in self._outbox.unsent():
            if self._is_idle(topic):
                payload, expiry_s = self._outbox.take_state(topic)
                if topic == "status":
                    self._last_status = payload
                self._send(topic, payload, qos=_STATE_QOS[topic], retain=True, expiry_s=expiry_s)
        result = self._outbox.take_result() if self._is_idle("pose") else None
        if result is not None:
            message = pose_message(result, self._origin, time.monotonic())
            if not self._send("pose", encode(message), qos=0, retain=False, expiry_s=_POSE_EXPIRY_S):
                self._outbox.count_dropped()

    def _send(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None = None) -> bool:
        """Send a message; return False if it is larger than the broker takes, which would end the connection."""
        name = self._settings.topic(topic)
        if not self._link.limits.takes(name, payload):
            self.too_large.append(topic)
            return False
        self._in_flight[topic] = self._link.publish(name, payload, qos=qos, retain=retain, expiry_s=expiry_s)
        return True

    def _is_idle(self, topic: str) -> bool:
        """Return whether no message of a topic is in flight: each is written if QoS 0, acknowledged if QoS 1."""
        return topic not in self._in_flight or self._in_flight[topic]()

    def _has_work(self) -> bool:
        poses = self._outbox.has_result() and self._is_idle("pose")
        return poses or any(map(self._is_idle, self._outbox.unsent()))

    def _all_sent(self) -> bool:
        return self.ready and not self._outbox.unsent() and all(map(self._is_idle, self._in_flight))


def other_run(payload: bytes, run: str) -> str | None:
    """Return the run of another agent with this device's name that says it is there, by a message of its status.

    `offline` is nobody who is there. Anybody may publish on the topic, so nothing that is too large or no status
    counts, and the name is short and printable.

    Args:
        payload: of the message.
        run: this run.
    """
    if len(payload) > MAX_STATUS_BYTES:
        return None
    try:
        status = msgspec.json.decode(payload, type=StatusMessage)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is text that is not UTF-8
        return None
    if status.run == run or status.state == "offline":
        return None
    return "".join(filter(str.isprintable, status.run))[:MAX_RUN_CHARACTERS]
