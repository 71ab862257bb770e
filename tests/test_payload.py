"""The contract of version 1: what is published, and what older agents and older subscribers rely on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import edge
from edge.commands.watch import message as watch
from edge.payload import (
    DropCounts,
    HealthMessage,
    PeopleMessage,
    PersonPose,
    PoseMessage,
    StatusMessage,
    ThrottlingReport,
)

SCHEMAS = Path(edge.__file__).parent / "schemas"

REQUIRED: dict[type[msgspec.Struct], set[str]] = {
    PoseMessage: {"device", "run", "camera", "seq", "time", "age_ms", "size", "model", "poses"},
    PersonPose: {"id", "score", "box", "keypoints"},
    PeopleMessage: {"device", "run", "time", "count", "ids"},
    StatusMessage: {"device", "run", "time", "state", "reason", "since"},
    HealthMessage: {
        "device", "run", "time", "fps", "latency_ms", "inference_ms", "drops", "engine", "model", "people", "rss_bytes",
        "cpu_temperature_c", "throttled", "clock_synced", "uptime_s", "version",
    },
    DropCounts: {"camera", "outputs"},
    ThrottlingReport: set(),
}  # fmt: skip
"""What the first agents of version 1 published. This list never changes."""

OLDEST: dict[type[msgspec.Struct], str] = {
    PoseMessage: """{"v": 1, "device": "hall", "run": "k3f9", "camera": "front", "seq": 7,
        "time": "2026-01-31T12:00:00.123Z", "age_ms": 41.5, "size": [640, 360], "model": "movenet",
        "poses": [{"id": null, "score": 0.8, "box": [0.3, 0.2, 0.45, 0.8], "keypoints": KEYPOINTS}]}""",
    PeopleMessage: """{"v": 1, "device": "hall", "run": "k3f9", "time": "2026-01-31T12:00:00.123Z", "count": null,
        "ids": []}""",
    StatusMessage: """{"v": 1, "device": "hall", "run": "k3f9", "time": "2026-01-31T12:00:00.123Z",
        "state": "degraded", "reason": "starting", "since": "2026-01-31T12:00:00.123Z"}""",
    HealthMessage: """{"v": 1, "device": "hall", "run": "k3f9", "time": "2026-01-31T12:00:00.123Z", "fps": 24.9,
        "latency_ms": {"p50": 40.1, "p95": null}, "inference_ms": 22.5, "drops": {"camera": 3, "outputs": {"mqtt": 1}},
        "engine": "cpu", "model": "movenet", "people": 2, "rss_bytes": 150000000, "cpu_temperature_c": 61.5,
        "throttled": true, "clock_synced": false, "uptime_s": 12.3, "version": "0.1.0"}""",
}
"""A message of each topic as the first agents wrote it."""


def oldest(kind: type[msgspec.Struct]) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(OLDEST[kind].replace("KEYPOINTS", json.dumps([[0.4, 0.3, 0.7]] * 17)))
    return fields


def test_the_schemas_in_the_package_are_those_of_the_structs(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "edge.payload", str(tmp_path)], check=True)
    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    packaged = {file.name: file.read_text(encoding="utf-8") for file in SCHEMAS.iterdir()}
    assert written == packaged, "edge/payload.py has changed: run `make schemas` and commit edge/schemas/"


@pytest.mark.parametrize("kind", REQUIRED)
def test_version_1_requires_what_its_first_agents_published_and_no_more(kind: type[msgspec.Struct]) -> None:
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    added, missing = required - REQUIRED[kind], REQUIRED[kind] - required
    assert not added, (
        f"{kind.__name__}: {sorted(added)} must have a default: older agents of version 1 do not publish them, and "
        "subscribers read their messages with this struct (see edge/payload.py)"
    )
    assert not missing, (
        f"{kind.__name__}: {sorted(missing)} must stay, without a default: older subscribers of version 1 rely on "
        "them (see edge/payload.py)"
    )


def test_every_struct_of_the_contract_is_looked_at() -> None:
    named = {name for topic in SCHEMAS.iterdir() for name in json.loads(topic.read_text())["$defs"]}
    assert named == {kind.__name__ for kind in REQUIRED}


def common(new: Any, old: Any) -> Any:
    """Return what a message has of an older one: the same keys at every depth."""
    if isinstance(old, dict):
        return {key: common(new[key], value) for key, value in old.items()}
    if isinstance(old, list):
        return [common(*each) for each in zip(new, old, strict=True)]
    return new


@pytest.mark.parametrize("kind", OLDEST)
def test_messages_of_older_agents_are_read(kind: type[msgspec.Struct]) -> None:
    assert set(oldest(kind)) == {"v", *REQUIRED[kind]}
    message = json.loads(msgspec.json.encode(msgspec.convert(oldest(kind), kind)))
    assert common(message, oldest(kind)) == oldest(kind)


@pytest.mark.parametrize("kind", OLDEST)
def test_fields_of_newer_agents_are_ignored(kind: type[msgspec.Struct]) -> None:
    newer = {**oldest(kind), "mood": "calm"}
    assert msgspec.convert(newer, kind) == msgspec.convert(oldest(kind), kind)


def test_watch_reads_the_pose_message_of_an_older_agent() -> None:
    poses = watch.decode_poses(json.dumps(oldest(PoseMessage)).encode())
    assert poses is not None
    assert [(person.id, person.box[0]) for person in poses.poses] == [(None, 0.3)]


def test_watch_reads_the_health_message_of_an_older_agent() -> None:
    fields = watch.read(json.dumps(oldest(HealthMessage)).encode())
    assert fields is not None
    metrics = watch.Metrics.of(fields)
    assert (metrics.fps, metrics.p95_ms, metrics.temperature_c) == (24.9, None, 61.5)
    assert metrics.slowdowns == ("throttled",)
    assert metrics.drops == {"camera": 3, "mqtt": 1}
