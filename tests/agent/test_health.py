from typing import Any

import jsonschema
import msgspec
import pytest

from builders import ORIGIN, pose, result
from edge.agent.health import Health
from edge.agent.vitals import Vitals
from edge.host.power import Throttling
from edge.payload import DropCounts, HealthMessage, Message, PeopleMessage, StatusMessage, schemas


class Published:
    """Collects what Health publishes."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []

    def __call__(self, topic: str, message: Message) -> None:
        self.messages.append((topic, message))

    def states(self) -> list[tuple[str, str]]:
        found = [message for _, message in self.messages if isinstance(message, StatusMessage)]
        return [(message.state, message.reason) for message in found]

    def people(self) -> list[tuple[int | None, list[int]]]:
        found = [message for _, message in self.messages if isinstance(message, PeopleMessage)]
        return [(message.count, message.ids) for message in found]


def started(interval_s: float = 10.0) -> tuple[Health, Published]:
    published = Published()
    health = Health(published, lambda: DropCounts(camera=4, outputs={"mqtt": 1}), interval_s=interval_s)
    health.start(ORIGIN)
    return health, published


def test_the_status_is_degraded_until_the_first_frame_is_through() -> None:
    health, published = started()
    health.camera_up()
    assert published.states() == [("degraded", "starting")]
    health.result(result(), ())
    assert published.states() == [("degraded", "starting"), ("online", "")]


def test_people_are_unknown_while_the_camera_is_away() -> None:
    health, published = started()
    health.result(result(pose()), (5, 3))
    health.camera_lost("unplugged")
    health.result(result(pose()), (5, 3))  # a last frame from before
    health.camera_up()
    health.result(result(pose()), (5,))
    assert published.people() == [(None, []), (2, [3, 5]), (None, []), (1, [5])]
    assert published.states()[1:] == [("online", ""), ("degraded", "camera: unplugged"), ("online", "")]


def test_people_are_published_on_change_only() -> None:
    health, published = started()
    for ids in ((3,), (3,), (5, 3), (3, 5), ()):
        health.result(result(), ids)
    assert published.people() == [(None, []), (1, [3]), (2, [3, 5]), (0, [])]


def test_without_tracking_people_are_counted_but_have_no_ids() -> None:
    health, published = started()
    health.result(result(pose(), pose(x=0.6)), None)
    assert published.people()[-1] == (2, [])


def test_a_reason_that_changes_is_published_and_a_state_that_stays_keeps_its_since() -> None:
    health, published = started()
    health.camera_lost("cannot be opened")
    health.camera_lost("cannot be opened")
    health.camera_lost("sent nothing")
    assert published.states() == [
        ("degraded", "starting"), ("degraded", "camera: cannot be opened"), ("degraded", "camera: sent nothing"),
    ]  # fmt: skip
    since = {message.since for _, message in published.messages if isinstance(message, StatusMessage)}
    assert len(since) == 1


def test_a_live_camera_that_says_nothing_is_reported_until_a_frame_comes() -> None:
    published = Published()
    health = Health(published, lambda: DropCounts(camera=0, outputs={}), interval_s=10, max_silence_s=0.0)
    health.start(ORIGIN)
    health.result(result(pose()), (1,))
    health.tick()
    assert published.states()[-1] == ("degraded", "camera: no frame for 0.0 s")
    assert published.people()[-1] == (None, [])
    health.result(result(pose()), (1,))
    assert published.states()[-1] == ("online", "")


def test_a_file_may_take_its_time() -> None:
    health, published = started()
    health.result(result(pose()), (1,))
    health.tick()
    assert published.states()[-1] == ("online", "")


def test_the_end_is_offline_and_final() -> None:
    health, published = started()
    health.result(result(pose()), (1,))
    health.end("stopped")
    health.result(result(pose()), (1,))
    health.tick()
    assert published.states()[-1] == ("offline", "stopped")
    assert published.people()[-1] == (None, [])


def test_health_says_what_the_schema_promises() -> None:
    health, published = started(interval_s=0.0)
    health.result(result(pose()), (1,), (448, 256))
    health.tick()
    topic, message = published.messages[-1]
    body: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(message))
    assert topic == "health"
    jsonschema.validate(body, schemas()["health"])
    assert body["drops"] == {"camera": 4, "outputs": {"mqtt": 1}}
    assert body["inference_ms"] == 12.5
    assert body["input_size"] == [448, 256]
    assert body["rss_bytes"] > 10_000_000
    assert body["people"] == 1


def published_with(vitals: Vitals) -> dict[str, Any]:
    published = Published()
    health = Health(published, lambda: DropCounts(camera=0, outputs={}), interval_s=0.0, vitals=lambda: vitals)
    health.start(ORIGIN)
    health.tick()
    body: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(published.messages[-1][1]))
    jsonschema.validate(body, schemas()["health"])
    return body


def test_health_passes_on_what_the_machine_says() -> None:
    body = published_with(
        Vitals(
            cpu_temperature_c=61.8,
            throttling=Throttling.of(0x50001),
            memory_available_bytes=514_000_000,
            unit_memory_bytes=131_000_000,
            unit_memory_max_bytes=805_306_368,
            disk_free_bytes={"record": 2_000_000_000, "jsonl": None},
        )
    )
    assert body["cpu_temperature_c"] == 61.8
    assert body["throttled"] is True
    assert body["throttling"]["under_voltage"] is True
    assert body["throttling"]["throttled"] is False
    assert body["throttling"]["throttled_since_boot"] is True
    assert body["memory_available_bytes"] == 514_000_000
    assert (body["unit_memory_bytes"], body["unit_memory_max_bytes"]) == (131_000_000, 805_306_368)
    assert body["disk_free_bytes"] == {"record": 2_000_000_000, "jsonl": None}


def test_a_machine_that_says_nothing_is_null_in_health() -> None:
    body = published_with(Vitals())
    silent = ("cpu_temperature_c", "throttled", "throttling", "memory_available_bytes", "unit_memory_bytes")
    assert [body[key] for key in silent] == [None] * 5
    assert body["disk_free_bytes"] == {}


def test_a_camera_that_opens_again_and_again_and_gives_nothing_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    health, _ = started()
    with caplog.at_level("WARNING"):
        for _ in range(5):
            health.camera_lost("gave no picture for 5 s")
            health.camera_up()
        health.result(result(), ())
        health.result(result(), ())
    assert [record.getMessage() for record in caplog.records] == [
        "camera: gave no picture for 5 s; it will be tried again", "camera: back",
    ]  # fmt: skip


def test_another_problem_within_one_outage_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    health, _ = started()
    with caplog.at_level("WARNING"):
        for reason in ("is frozen", "is frozen", "still shows the same picture", "still shows the same picture"):
            health.camera_lost(reason)
            health.camera_up()
    assert [record.getMessage() for record in caplog.records] == [
        "camera: is frozen; it will be tried again", "camera: still shows the same picture; it will be tried again",
    ]  # fmt: skip


def test_a_model_that_stands_in_for_another_is_degraded_with_its_name_while_all_else_is_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    published = Published()
    problem = "starter in place of the default, which could not be had"
    health = Health(published, lambda: DropCounts(camera=0, outputs={}), interval_s=10)
    health.start(ORIGIN, problem)
    health.camera_up()
    health.result(result(pose()), (1,))
    health.camera_lost("unplugged")
    health.camera_up()
    health.engine_state("cpu", "the Edge TPU is away")
    health.result(result(pose()), (1,))
    health.engine_state("edgetpu", "")
    health.result(result(pose()), (1,))
    model = ("degraded", f"model: {problem}")
    assert published.states() == [
        ("degraded", "starting"), model, ("degraded", "camera: unplugged"),
        ("degraded", "engine: the Edge TPU is away"), model,
    ]  # fmt: skip
    assert published.people()[-1] == (1, [1])
    lines = [line for line in caplog.messages if line.startswith("status: ")]
    assert lines == ["status: degraded (starting)", f"status: degraded (model: {problem})"]


def test_the_time_that_a_model_took_to_load_is_no_silence_of_the_camera() -> None:
    published = Published()
    health = Health(published, lambda: DropCounts(camera=0, outputs={}), interval_s=10, max_silence_s=5)
    health._started_s -= 60  # built a minute ago
    health._last_published_s -= 60
    health.engine_state("cpu", "")
    health.start(ORIGIN)
    health.tick()
    assert published.states() == [("degraded", "starting")]
    assert [topic for topic, _ in published.messages if topic == "health"] == []


def test_nobody_knows_who_is_there_until_the_tracker_has_settled() -> None:
    health, published = started()
    health.result(result(pose()), (), is_settled=False)
    health.result(result(pose()), (1,))
    health.camera_lost("unplugged")
    health.camera_up()
    health.result(result(pose()), (), is_settled=False)
    health.result(result(pose()), (1,))
    assert [count for count, _ in published.people()] == [None, 1, None, 1]


def test_status_and_people_come_again_with_every_health_and_its_time() -> None:
    """A heartbeat: who died without a last will is known by age, and a broker without a store is told again."""
    health, published = started(interval_s=0.0)
    health.result(result(pose()), (3,))
    published.messages.clear()
    health.tick()
    health.tick()
    assert [topic for topic, _ in published.messages] == ["status", "people", "health"] * 2
    first, second = (message for _, message in published.messages if isinstance(message, StatusMessage))
    assert (first.state, first.since) == (second.state, second.since)
    assert first.time <= second.time
    assert published.people() == [(1, [3])] * 2


def test_the_first_health_comes_soon_after_the_first_result(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("edge.agent.health.time.monotonic", lambda: clock[0])
    health, published = started(interval_s=600.0)
    clock[0] += 5
    health.tick()
    assert not any(topic == "health" for topic, _ in published.messages)  # nothing to tell
    health.result(result(pose()), (3,))
    health.tick()
    health.tick()
    assert [topic for topic, _ in published.messages].count("health") == 1


def test_figures_are_of_the_time_since_the_last_message_and_null_without_results() -> None:
    health, published = started(interval_s=0.0)
    health.result(result(pose()), (3,))
    health.tick()
    health.tick()
    first, second = (message for _, message in published.messages if isinstance(message, HealthMessage))
    assert first.inference_ms is not None
    assert first.latency_ms["p50"] is not None
    assert second.inference_ms is None
    assert second.latency_ms == {"p50": None, "p95": None}
