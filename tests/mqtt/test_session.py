"""Who else publishes under this device's name."""

from typing import Any

import msgspec
import pytest

from builders import ORIGIN
from edge.mqtt.session import MAX_STATUS_BYTES, other_run
from edge.payload import encode, people_message, status_message

NOON_S = 1_769_860_800.0


def status(state: Any = "online", run: str = "other") -> bytes:
    origin = msgspec.structs.replace(ORIGIN, run=run)
    return encode(status_message(state, "some reason", origin, NOON_S, NOON_S))


@pytest.mark.parametrize("state", ["online", "degraded"])
def test_another_run_that_says_that_it_is_there_is_named(state: str) -> None:
    assert other_run(status(state), run="ours") == "other"


@pytest.mark.parametrize("state", ["online", "degraded", "offline"])
def test_ones_own_messages_are_nobody_elses(state: str) -> None:
    assert other_run(status(state, run="ours"), run="ours") is None


def test_offline_is_nobody_who_is_there_whatever_its_time() -> None:
    assert other_run(status("offline"), run="ours") is None


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"online", b"\xff\xfe", b"[1]", b'{"run": "\xff"}', b'{"x":' + b"[" * 5000,
        b'{"x":' + b"[" * 4000 + b"]" * 4000 + b"}",
        b"\0" * 100, status()[:-1], status(run="x" * MAX_STATUS_BYTES),
        encode(people_message(1, [3], ORIGIN, NOON_S)),
    ],
)  # fmt: skip
def test_anything_else_on_the_topic_is_ignored(payload: bytes) -> None:
    assert other_run(payload, run="ours") is None


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", "]0;owned[2J"),
        ("a\nbroker 10.0.0.1:1883 connected", "abroker 10.0.0.1"),
        ("\u202eevil", "evil"),
        ("://:" * 1000, "://:://:://:://:"),
        ("", ""),
    ],
)
def test_a_name_that_a_stranger_chose_is_short_and_printable(run: str, shown: str) -> None:
    assert other_run(status(run=run), run="ours") == shown
