"""Reads messages field by field; the sender may be newer or hostile."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from edge.commands.watch.text import clean
from edge.payload import PersonPose

__all__ = ["KNOWN_VERSION", "Metrics", "ReceivedPoses", "integer", "number", "read", "seconds_of", "text"]

KNOWN_VERSION = 1
MAX_VERSION = 9999
MAX_BYTES = 262_144
"""More than a message with a hundred people needs."""
MAX_NUMBER = 1e15
MAX_OUTPUTS = 8

SLOWDOWNS = {
    "under_voltage": "under-voltage",
    "throttled": "throttled",
    "frequency_capped": "frequency capped",
    "soft_temperature_limit": "at its temperature limit",
}
"""Words for the causes of throttling."""

Fields = Mapping[str, Any]


class ReceivedPoses(Struct, kw_only=True):
    """The fields of a pose message that are shown.

    Every other field may have any value.
    """

    v: int
    camera: str = ""
    model: str = ""
    age_ms: float = 0.0
    size: tuple[int, int] = (16, 9)
    poses: list[PersonPose]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Metrics of a health message; None or empty where it has none.

    Attributes:
        drops: per place, frames dropped since the start.
        temperature_c: of the processor.
        slowdowns: causes of throttling in words, now or since the machine was switched on.
    """

    fps: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    inference_ms: float | None = None
    engine: str = ""
    drops: Mapping[str, int] = field(default_factory=dict)
    temperature_c: float | None = None
    slowdowns: tuple[str, ...] = ()
    clock_unset: bool = False
    uptime_s: float | None = None
    version: str = ""
    model: str = ""

    @classmethod
    def of(cls, fields: Fields) -> "Metrics":
        """Take the usable fields of a health message."""
        latency = fields.get("latency_ms")
        latency = latency if isinstance(latency, dict) else {}
        return cls(
            fps=number(fields, "fps"),
            p50_ms=number(latency, "p50"),
            p95_ms=number(latency, "p95"),
            inference_ms=number(fields, "inference_ms"),
            engine=text(fields, "engine"),
            drops=_drops(fields.get("drops")),
            temperature_c=number(fields, "cpu_temperature_c"),
            slowdowns=_slowdowns(fields),
            clock_unset=fields.get("clock_synced") is False,
            uptime_s=number(fields, "uptime_s"),
            version=text(fields, "version"),
            model=text(fields, "model"),
        )


def read(payload: bytes) -> dict[str, Any] | None:
    """Return the fields of a message; None unless a JSON object with a version."""
    if len(payload) > MAX_BYTES:
        return None
    try:
        fields = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not 1 <= (integer(fields, "v") or 0) <= MAX_VERSION:
        return None
    return fields


def decode_poses(payload: bytes) -> ReceivedPoses | None:
    """Decode the shown part of a pose message; None if it is invalid."""
    try:
        found = msgspec.json.decode(payload, type=ReceivedPoses)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found if min(found.size) > 0 and 1 <= found.v <= MAX_VERSION else None


def text(fields: Fields, key: str) -> str:
    """Return a field's text, cleaned; empty if it is not text."""
    value = fields.get(key)
    return clean(value) if isinstance(value, str) else ""


def number(fields: Fields, key: str) -> float | None:
    """Return a field's number; None if not finite or too large to print."""
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < MAX_NUMBER and math.isfinite(value) else None


def integer(fields: Fields, key: str) -> int | None:
    """Return a field's whole number; None if it is not one."""
    value = fields.get(key)
    is_one = isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_NUMBER
    return value if is_one else None


def seconds_of(fields: Fields, key: str) -> float | None:
    """Return a field's time in seconds since the epoch; None if invalid."""
    try:
        return datetime.fromisoformat(text(fields, key)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _drops(value: object) -> dict[str, int]:
    """Flatten `{"camera": 3, "outputs": {"mqtt": 1}}`."""
    if not isinstance(value, dict):
        return {}
    outputs = value.get("outputs")
    places = {"camera": value.get("camera"), **(outputs if isinstance(outputs, dict) else {})}
    counted = {clean(str(place)): integer(places, place) for place in list(places)[:MAX_OUTPUTS]}
    return {place: count for place, count in counted.items() if count is not None}


def _slowdowns(fields: Fields) -> tuple[str, ...]:
    """Return the causes of throttling; under-voltage is reported until the next boot."""
    report = fields.get("throttling")
    report = report if isinstance(report, dict) else {}
    found = [word for key, word in SLOWDOWNS.items() if report.get(key) is True]
    if not found and fields.get("throttled") is True:  # an older agent publishes no more than that
        found = ["throttled"]
    past = report.get("under_voltage_since_boot") is True and report.get("under_voltage") is not True
    return (*found, "under-voltage since boot") if past else tuple(found)
