"""Who else publishes under this device's name."""

from typing import Any

import msgspec

from builders import ORIGIN
from edge.mqtt.session import duplicate_run
from edge.payload import encode, people_message, status_message, utc

NOON_S = 1_769_860_800.0


def status(state: Any = "online", run: str = "other", time_s: float = NOON_S) -> bytes:
    origin = msgspec.structs.replace(ORIGIN, run=run)
    return encode(status_message(state, "some reason", origin, time_s, time_s))


def test_another_run_that_says_now_that_it_is_there_is_a_duplicate() -> None:
    for state in ("online", "degraded"):
        assert duplicate_run(status(state), retained=False, run="ours", published_since=None) == "other"


def test_ones_own_messages_are_not() -> None:
    for retained in (True, False):
        assert duplicate_run(status(run="ours"), retained, run="ours", published_since=utc(NOON_S - 60)) is None


def test_what_a_former_run_left_is_not() -> None:
    """A power cut leaves `online` behind, and a will may come late."""
    assert duplicate_run(status("online"), retained=True, run="ours", published_since=None) is None
    assert duplicate_run(status("offline"), retained=False, run="ours", published_since=None) is None


def test_a_message_kept_in_the_place_of_ones_own_is_a_duplicates_even_if_it_has_left() -> None:
    for state in ("online", "offline"):
        assert duplicate_run(status(state), retained=True, run="ours", published_since=utc(NOON_S - 60)) == "other"


def test_a_broker_that_came_back_with_an_old_store_shows_no_duplicate() -> None:
    old = status("online", time_s=NOON_S - 3600)
    assert duplicate_run(old, retained=True, run="ours", published_since=utc(NOON_S)) is None


def test_anything_else_on_the_topic_is_ignored() -> None:
    people = encode(people_message(1, [3], ORIGIN, NOON_S))
    for payload in (b"", b"online", b"\xff\xfe", b"[1]", people):
        assert duplicate_run(payload, retained=False, run="ours", published_since=None) is None
