"""State of one device, from its messages alone.

Pure: the time is an argument.
"""

from collections import deque
from dataclasses import dataclass, field

from edge.commands.watch.message import (
    KNOWN_VERSION,
    Metrics,
    ReceivedPoses,
    decode_poses,
    integer,
    read,
    seconds_of,
    text,
)
from edge.commands.watch.text import clean, duration

__all__ = ["Connection", "Device"]

MAX_IDS = 100
NO_POSES_S = 5.0
NOTHING_HEARD_S = 30.0
"""Three times the default of `health.interval_s`: the longest pause of an agent that is well."""
FRESH_S = 2.0
"""An older pose is not drawn: it would look like now."""
RATE_WINDOW_S = 3.0


@dataclass(frozen=True, slots=True)
class Connection:
    """State of the connection to the broker.

    Attributes:
        up: whether it is connected.
        since_s: time of the last change.
        reason: why it is not connected.
    """

    up: bool
    since_s: float
    reason: str = ""


@dataclass(slots=True)
class Device:
    """State of one device.

    Times are on the caller's clock, except `since_s` (seconds since the epoch).

    Attributes:
        name: as in its topics.
        label: the name, cleaned for a terminal.
        state: `online`, `degraded`, `offline`, a newer agent's own word, or empty before the first status.
        heard_s: arrival of the last message that was not retained.
        pose_s: arrival of the last pose.
        followed_s: since when its poses are subscribed; None while they are not.
        not_understood: number of messages that could not be read.
        version: highest version of its messages.
    """

    name: str
    label: str
    state: str = ""
    reason: str = ""
    since_s: float | None = None
    count: int | None = None
    ids: list[int] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    heard_s: float | None = None
    pose_s: float | None = None
    followed_s: float | None = None
    not_understood: int = 0
    version: int = KNOWN_VERSION
    camera: str = ""
    _pose: bytes | ReceivedPoses | None = None
    _arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=200))

    def latest_poses(self, now_s: float) -> ReceivedPoses | None:
        """Return the newest pose message, decoded only now.

        None if there is none from the last two seconds.
        """
        if self.pose_s is None or now_s - self.pose_s > FRESH_S:
            self._pose = None
        if isinstance(self._pose, bytes):
            self._pose = self._decode(self._pose)
        return self._pose

    def _decode(self, payload: bytes) -> ReceivedPoses | None:
        found = decode_poses(payload)
        if found is None:
            # A newer agent's pose may have another form; its version is in the notes, which is enough.
            fields = read(payload)
            self.version = max(self.version, (integer(fields, "v") or 0) if fields else 0)
            self.not_understood += self.version == KNOWN_VERSION
            return None
        self.version = max(self.version, found.v)
        self.camera = clean(found.camera)
        return found

    def fps(self, now_s: float) -> float | None:
        """Return the rate of arriving poses while followed, else the published fps."""
        recent = [at_s for at_s in self._arrivals if now_s - at_s <= RATE_WINDOW_S]
        if len(recent) > 1 and recent[-1] > recent[0]:
            return (len(recent) - 1) / (recent[-1] - recent[0])
        return 0.0 if self._is_quiet(now_s) else self.metrics.fps

    def _is_quiet(self, now_s: float) -> bool:
        return self.followed_s is not None and now_s - self.followed_s > NO_POSES_S and self._arrivals_ended(now_s)

    def _arrivals_ended(self, now_s: float) -> bool:
        return self.pose_s is None or now_s - self.pose_s > NO_POSES_S

    def silence(self, now_s: float, connection: Connection) -> str:
        """Describe how long an expected message is overdue; empty if none is."""
        if self.state == "offline" or not connection.up:
            return ""
        if self._expects_poses() and self.followed_s is not None:
            quiet_s = now_s - max(self.pose_s or connection.since_s, self.followed_s, connection.since_s)
            return f"no poses for {duration(quiet_s)}" if quiet_s >= NO_POSES_S else ""
        quiet_s = now_s - max(self.heard_s or connection.since_s, connection.since_s)
        return f"nothing heard for {duration(quiet_s)}" if quiet_s >= NOTHING_HEARD_S else ""

    def _expects_poses(self) -> bool:
        """Return whether poses are expected; not without a camera or an engine, when `count` is null."""
        return self.state == "online" or (self.state == "degraded" and self.count is not None)

    def notes(self, now_s: float, connection: Connection) -> list[str]:
        """Return notes for a user besides state and metrics."""
        found = [self.silence(now_s, connection)]
        if self.version > KNOWN_VERSION:
            found.append(f"message version {self.version}, this watch knows {KNOWN_VERSION}: update it")
        if self.not_understood:
            plural = "" if self.not_understood == 1 else "s"
            found.append(f"{self.not_understood} message{plural} not understood")
        return [note for note in found if note]

    def take_status(self, payload: bytes) -> bool:
        """Read a status; return whether state or reason changed."""
        fields = self._read(payload, "state")
        if fields is None:
            return False
        before = (self.state, self.reason)
        self.state, self.reason = text(fields, "state"), text(fields, "reason")
        self.since_s = seconds_of(fields, "since")
        return before != (self.state, self.reason)

    def take_people(self, payload: bytes) -> None:
        """Read number and ids of the people."""
        fields = self._read(payload, "count")
        if fields is not None:
            ids = fields.get("ids")
            self.count = integer(fields, "count")
            self.ids = [i for i in ids[:MAX_IDS] if type(i) is int] if isinstance(ids, list) else []

    def take_health(self, payload: bytes) -> None:
        """Read a health message."""
        fields = self._read(payload, "fps")
        if fields is not None:
            self.metrics = Metrics.of(fields)

    def take_pose(self, payload: bytes, now_s: float) -> None:
        """Keep the newest pose message undecoded: most are replaced before they are shown."""
        self._pose = payload
        self.pose_s = now_s
        self._arrivals.append(now_s)

    def forget_poses(self) -> None:
        """Drop the poses of a device that is no longer followed."""
        self.followed_s = self.pose_s = self._pose = None
        self._arrivals.clear()

    def _read(self, payload: bytes, needed: str) -> dict[str, object] | None:
        """Return the fields, or None; our version requires the `needed` one."""
        fields = read(payload)
        version = (integer(fields, "v") or 0) if fields else 0
        if fields is None or (version == KNOWN_VERSION and needed not in fields):
            self.not_understood += 1
            return None
        self.version = max(self.version, version)
        return fields
