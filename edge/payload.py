"""The messages of the MQTT contract, version 1, and their JSON schemas.

Subscribers (`watch` and others) read messages of older agents with these structs, and may be older themselves. So a
change within version 1 only adds: a new field has a default, keeps `v` at 1, and no field is removed, renamed or
given another meaning. Anything else is a version 2. `tests/test_payload.py` holds the fields that version 1 requires.

After a change `python -m edge.payload` rewrites `edge/schemas/`; the same test compares the two.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from edge.ports import PoseFrame
from edge.poses.pose import Pose

__all__ = [
    "DropCounts",
    "HealthMessage",
    "Message",
    "Origin",
    "PeopleMessage",
    "PersonPose",
    "PoseMessage",
    "State",
    "StatusMessage",
    "ThrottlingReport",
    "encode",
    "people_message",
    "pose_message",
    "schemas",
    "status_message",
    "utc",
]

Score = Annotated[float, Meta(ge=0, le=1, description="0..1")]
Utc = Annotated[str, Meta(description="UTC, ISO 8601 with milliseconds", pattern=r"^\d{4}-\d\d-\d\dT[\d:.]{12}Z$")]
Box = Annotated[
    tuple[Score, Score, Score, Score],
    Meta(description="x0, y0, x1, y1, normalized to the camera image, clipped to 0..1"),
]
Keypoint = Annotated[
    tuple[float, float, Score], Meta(description="x, y normalized to the camera image (not clipped), score")
]
State = Literal["online", "degraded", "offline"]


class Origin(Struct, frozen=True):
    """What all messages of one run have in common."""

    device: str
    run: str
    camera: str
    model: str


class Message(Struct, kw_only=True):
    """The fields that every message begins with."""

    v: Literal[1] = 1
    device: str
    run: Annotated[str, Meta(description="random id per start; track ids and seq count within a run")]


class PersonPose(Struct, kw_only=True):
    """One person: 17 keypoints in COCO order, those of a low score included."""

    id: Annotated[int | None, Meta(description="track id, never reused within a run; null while tentative")]
    score: Score
    box: Box
    keypoints: Annotated[list[Keypoint], Meta(min_length=17, max_length=17)]


class PoseMessage(Message, kw_only=True):
    """Topic `pose`, and a line of JSONL: all people in one frame."""

    camera: str
    seq: Annotated[int, Meta(ge=0, description="number of the captured frame in this run; gaps are drops")]
    time: Utc
    age_ms: Annotated[float, Meta(description="from capture to the encoding of this message")]
    size: Annotated[tuple[int, int], Meta(description="width, height of the camera image after rotation")]
    model: str
    poses: Annotated[list[PersonPose], Meta(description="empty for a frame without people, which is published too")]
    source: Annotated[str, Meta(description="name of the file, for pictures only")] | msgspec.UnsetType = msgspec.UNSET


class PeopleMessage(Message, kw_only=True):
    """Topic `people`, retained: the people present."""

    time: Utc
    count: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="null while the camera is away and after the run"),
    ]
    ids: list[int]


class StatusMessage(Message, kw_only=True):
    """Topic `status`, retained; also the last will."""

    time: Utc
    state: State
    reason: str
    since: Utc


class DropCounts(Struct, kw_only=True):
    """Frames dropped since the start, by place."""

    camera: Annotated[
        int, Meta(ge=0, description="frames that never went through the flow: it was busy, or they could not be read")
    ]
    outputs: Annotated[dict[str, int], Meta(description="per output: results it had no time for")]


Flag = bool | None


class ThrottlingReport(Struct, kw_only=True):
    """What slows a Raspberry Pi down, now and since boot; null if unknown."""

    under_voltage: Annotated[Flag, Meta(description="the power supply gives too little voltage now")] = None
    frequency_capped: Annotated[Flag, Meta(description="the clock is limited now")] = None
    throttled: Annotated[Flag, Meta(description="the clock is reduced now")] = None
    soft_temperature_limit: Annotated[Flag, Meta(description="the chip is above its soft limit now")] = None
    under_voltage_since_boot: Flag = None
    frequency_capped_since_boot: Flag = None
    throttled_since_boot: Flag = None
    soft_temperature_limit_since_boot: Flag = None


class HealthMessage(Message, kw_only=True):
    """Topic `health`, retained, every `health.interval_s`; null if unknown."""

    time: Utc
    fps: Annotated[float, Meta(description="frames through the flow per second since the last message")]
    latency_ms: Annotated[dict[str, float | None], Meta(description="p50, p95 from capture to the end of the flow")]
    inference_ms: float | None
    drops: DropCounts
    engine: Literal["cpu", "edgetpu"]
    model: str
    people: int | None
    rss_bytes: int | None
    cpu_temperature_c: float | None
    throttled: Annotated[bool | None, Meta(description="Raspberry Pi firmware: under-voltage, capped or hot now")]
    clock_synced: bool | None
    uptime_s: float
    version: str
    throttling: ThrottlingReport | None = None
    memory_available_bytes: Annotated[int | None, Meta(description="what programs can still get on this machine")] = (
        None
    )
    unit_memory_bytes: Annotated[int | None, Meta(description="used by the service's control group")] = None
    unit_memory_max_bytes: Annotated[int | None, Meta(description="what that group may use; null: no limit")] = None
    disk_free_bytes: Annotated[
        dict[str, int | None], Meta(description="where each of record, jsonl and cache is written")
    ] = {}
    input_size: Annotated[
        tuple[int, int] | None, Meta(description="width, height of the model's input, which `model.size` may choose")
    ] = None


def utc(seconds: float) -> str:
    """Format seconds since the epoch as `2026-01-31T12:00:00.123Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pose_message(result: PoseFrame, origin: Origin, now_s: float) -> PoseMessage:
    """Build the pose message of one frame.

    Args:
        result: of the flow.
        origin: of this run.
        now_s: monotonic, on the clock of `Frame.time_s`.
    """
    frame = result.frame
    return PoseMessage(
        device=origin.device,
        run=origin.run,
        camera=origin.camera,
        seq=frame.index,
        time=utc(frame.wall_time_s),
        age_ms=round((now_s - frame.time_s) * 1e3, 1),
        size=frame.size,
        model=origin.model,
        poses=[_person(pose) for pose in result.poses],
        source=msgspec.UNSET if frame.source is None else frame.source,
    )


def _person(pose: Pose) -> PersonPose:
    # 4 decimals are 0.4 px of a 4K image; float64 first, so that 0.1 does not print as 0.10000000149.
    keypoints: Any = np.round(pose.keypoints.astype(np.float64), 4).tolist()
    box: Any = np.round(pose.box_xyxy.astype(np.float64), 4).tolist()
    return PersonPose(id=pose.id, score=round(pose.score, 4), box=tuple(box), keypoints=keypoints)


def people_message(count: int | None, ids: list[int], origin: Origin, wall_time_s: float) -> PeopleMessage:
    """Build the people message; `count` is None while it is unknown."""
    return PeopleMessage(device=origin.device, run=origin.run, time=utc(wall_time_s), count=count, ids=ids)


def status_message(
    state: State, reason: str, origin: Origin, wall_time_s: float, since_wall_time_s: float
) -> StatusMessage:
    """Build the status message; the two times are seconds since the epoch."""
    return StatusMessage(
        device=origin.device,
        run=origin.run,
        time=utc(wall_time_s),
        state=state,
        reason=reason,
        since=utc(since_wall_time_s),
    )


def encode(message: Message) -> bytes:
    """Return the message as compact UTF-8 JSON, without a line end."""
    return msgspec.json.encode(message)


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of the messages, by topic name."""
    types = {"pose": PoseMessage, "people": PeopleMessage, "status": StatusMessage, "health": HealthMessage}
    return {topic: msgspec.json.schema(kind) for topic, kind in types.items()}


def _write_schemas(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for topic, schema in schemas().items():
        (folder / f"{topic}.json").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write_schemas(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "schemas")
