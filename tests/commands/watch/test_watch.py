"""What `edge-pose watch` makes of messages: exact text at fixed times."""

import json

import pytest

from edge.commands.terminal.screen import keys_of
from edge.commands.watch.device import Device
from edge.commands.watch.devices import Devices
from edge.commands.watch.lines import list_title, paint, summary
from edge.commands.watch.text import clean, columns_of, cut, duration, pad
from edge.commands.watch.view import Viewport, page
from fake_fleet import WALL_S, health, other, people, poses, status

NOW_S = 1000.0


def fleet(*names: str) -> Devices:
    devices = Devices("edge-pose", now_s=NOW_S)
    for name in names:
        devices.take(f"edge-pose/{name}/status", status(device=name), NOW_S, retained=True)
        devices.take(f"edge-pose/{name}/people", people(3, 5, device=name), NOW_S, retained=True)
        devices.take(f"edge-pose/{name}/health", health(device=name), NOW_S, retained=True)
    return devices


def watched(devices: Devices, *names: str) -> Devices:
    """Follow these devices, and let a pose of each arrive ten times a second for a second."""
    devices.follow(names, NOW_S)
    for at in range(11):
        for name in names:
            devices.take(f"edge-pose/{name}/pose", poses(3, 5, device=name), NOW_S + at / 10)
    return devices


def shown(devices: Devices, *, after_s: float = 1.0, columns: int = 80, rows: int = 24, **choice: object) -> list[str]:
    view = Viewport(
        columns=columns,
        rows=rows,
        broker="mqtt://hall.local:1883",
        now_s=NOW_S + after_s,
        wall_s=WALL_S + 8000.0,
        **choice,  # type: ignore[arg-type] # a test names what it wants
    )
    return [line.rstrip() for line in page(devices, view).lines]


def device_of(devices: Devices, name: str) -> Device:
    (device,) = (device for device in devices.ordered(NOW_S) if device.name == name)
    return device


def summary_of(devices: Devices, name: str, *, after_s: float = 1.0) -> str:
    return summary(device_of(devices, name), devices.connection, now_s=NOW_S + after_s)


# Text


@pytest.mark.parametrize(
    "bad", ["\x1b[31mred", "a\x07b", "a\nb", "a\r\x1b]0;title\x07", "\x9b2J", "\u202egnp", "\ud800", "\u2028"]
)
def test_nothing_that_a_terminal_acts_on_passes(bad: str) -> None:
    assert clean(bad).isprintable()
    assert "\ufffd" in clean(bad)


def test_letters_of_all_scripts_pass_and_heaps_of_marks_do_not() -> None:
    assert clean("Küche 東京 Zürich") == "Küche 東京 Zürich"
    assert clean("a" + "\u0336" * 50) == "a\u0336"


def test_wide_letters_take_two_columns() -> None:
    assert columns_of("東京a") == 5
    assert cut("東京abc", 4) == "東…"
    assert pad("東京", 6) == "東京  "
    assert pad("7", 3, right=True) == "  7"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (12.4, "12 s"), (119, "119 s"), (125, "2 min"), (8000, "2 h 13 min"), (270_000, "3 d 3 h")],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# One device


def test_one_device_fills_the_window_with_its_card_and_a_drawing() -> None:
    lines = shown(watched(fleet("hall"), "hall"), rows=22)
    assert lines[:7] == [
        "1 device, 1 online                                        mqtt://hall.local:1883",
        "hall  online for 2 h 13 min",
        "camera front 64x36 · 2 people: id 3 5",
        "10.0 fps · age 41 ms · latency p50 25 p95 32 ms",
        "inference 15.1 ms on cpu · dropped: camera 12, mqtt 3",
        "52 °C · throttled · clock not set · up 2 h 13 min",
        "edge-pose 0.3.0 · movenet-multipose-lightning-f16 · heard 0 s ago",
    ]
    assert lines[7] == "┌" + "─" * 44 + "┐"
    assert lines[-2] == "└" + "─" * 44 + "┘"
    assert lines[-1] == "q quit"
    ink = [line for line in lines[8:-2] if set(line) - set("│\u2800 ")]
    assert len(ink) >= 6


def test_everything_is_said_in_one_line_for_a_pipe() -> None:
    assert summary_of(watched(fleet("hall"), "hall"), "hall") == (
        "hall online, 2 people: id 3 5, 10.0 fps, age 41 ms, latency p50 25 p95 32 ms, inference 15.1 ms on cpu, "
        "dropped: camera 12, mqtt 3, 52 °C, throttled, clock not set, up 2 h 13 min"
    )


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"under_voltage": True, "throttled": True}, "52 °C · under-voltage · throttled · clock"),
        (
            {"under_voltage": False, "under_voltage_since_boot": True},
            "52 °C · throttled · under-voltage since boot · clock",
        ),
        ({"soft_temperature_limit": True, "frequency_capped": None}, "52 °C · at its temperature limit · clock"),
        ([{"under_voltage": True}], "52 °C · throttled · clock"),
    ],
)
def test_what_slows_a_device_down_is_named(report: object, words: str) -> None:
    devices = watched(fleet("hall"), "hall")
    devices.take("edge-pose/hall/health", other(health(), throttling=report), NOW_S)
    assert words in "\n".join(shown(devices, rows=22))


def test_a_device_whose_camera_is_away_says_why_and_knows_no_people() -> None:
    devices = fleet("hall")
    reason = "camera: no frame for 5.0 s"
    changed = devices.take("edge-pose/hall/status", status("degraded", reason), NOW_S)
    assert changed is device_of(devices, "hall")
    devices.take("edge-pose/hall/people", other(people(), count=None), NOW_S)
    lines = shown(devices)
    assert lines[1] == f"hall  degraded for 2 h 13 min · {reason}"
    assert lines[2] == "people: unknown"
    assert summary_of(devices, "hall").startswith(f"hall degraded ({reason}), 24.9 fps")


def test_the_same_status_again_is_no_change() -> None:
    devices = fleet("hall")
    assert devices.take("edge-pose/hall/status", status(), NOW_S) is None


def test_a_device_that_claims_to_be_online_and_is_silent_is_found_out() -> None:
    devices = fleet("hall")
    devices.follow(["hall"], NOW_S)
    assert shown(devices, after_s=4.9)[1] == "hall  online for 2 h 13 min"
    assert shown(devices, after_s=12)[1] == "hall  online for 2 h 13 min · no poses for 12 s"
    assert " 0.0 fps" in summary_of(devices, "hall", after_s=12)


STARTER = "model: starter in place of the default, which could not be had"


@pytest.mark.parametrize("reason", [STARTER, "engine: Edge TPU lost, running on the CPU", ""])
def test_a_device_that_is_degraded_and_counts_people_is_found_out_when_it_is_silent(reason: str) -> None:
    devices = fleet("hall")
    devices.follow(["hall"], NOW_S)
    devices.take("edge-pose/hall/status", status("degraded", reason), NOW_S)
    assert "no poses" not in summary_of(devices, "hall", after_s=4.9)
    assert summary_of(devices, "hall", after_s=12).endswith(", no poses for 12 s")
    assert " 0.0 fps" in summary_of(devices, "hall", after_s=12)
    devices.take("edge-pose/hall/pose", poses(3, device="hall"), NOW_S + 12)
    assert "no poses" not in summary_of(devices, "hall", after_s=16)


@pytest.mark.parametrize("reason", ["camera: no frame for 5.0 s", "engine: no poses until it is back", "starting"])
def test_a_device_that_says_why_there_are_no_poses_is_not_called_silent(reason: str) -> None:
    devices = fleet("hall")
    devices.follow(["hall"], NOW_S)
    devices.take("edge-pose/hall/status", status("degraded", reason), NOW_S)
    devices.take("edge-pose/hall/people", other(people(), count=None), NOW_S)
    assert "no poses for" not in summary_of(devices, "hall", after_s=29)
    assert summary_of(devices, "hall", after_s=31).endswith("nothing heard for 31 s")  # its health should still come


def test_a_device_that_is_not_followed_is_silent_when_its_health_stays_away() -> None:
    devices = fleet("hall")
    assert "nothing heard" not in summary_of(devices, "hall", after_s=29)
    assert summary_of(devices, "hall", after_s=31).endswith("nothing heard for 31 s")


def test_no_device_is_called_silent_while_the_broker_is_gone_or_just_back() -> None:
    devices = fleet("hall")
    devices.follow(["hall"], NOW_S)
    assert devices.set_connection(up=False, now_s=NOW_S + 3, reason="connection lost")
    assert not devices.set_connection(up=False, now_s=NOW_S + 4, reason="Connection refused")
    lines = shown(devices, after_s=60)
    assert lines[1] == "broker gone, retrying (Connection refused)"
    assert lines[2] == "hall  online for 2 h 13 min"
    assert devices.set_connection(up=True, now_s=NOW_S + 60)
    assert shown(devices, after_s=64)[1] == "hall  online for 2 h 13 min"


def test_an_old_pose_is_not_drawn() -> None:
    devices = watched(fleet("hall"), "hall")
    assert any("┌" in line for line in shown(devices, after_s=2.9))
    assert not any("┌" in line for line in shown(devices, after_s=3.1))


def test_an_offline_device_is_not_called_silent() -> None:
    devices = fleet("hall")
    devices.take("edge-pose/hall/status", status("offline", "connection lost"), NOW_S)
    assert summary_of(devices, "hall", after_s=3600) == "hall offline (connection lost)"


# Strangers


@pytest.mark.parametrize(
    "payload",
    [b"{", b"\xff\xfe", b"[]", b'"text"', b"{}", b'{"v":"1"}', b'{"v":0}', b'{"v":1}', b"[" * 100_000,
     b'{"v":' + b"9" * 5000 + b"}", b'{"v":1,"state":' + b" " * 300_000 + b"1}", b"null"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["status", "people", "health", "pose"])
def test_what_is_no_message_of_ours_is_counted_and_nothing_else(kind: str, payload: bytes) -> None:
    devices = watched(fleet("hall"), "hall")
    for _ in range(3):
        devices.take(f"edge-pose/hall/{kind}", payload, NOW_S + 1)
        lines = shown(devices)
    note = "3 messages not understood"
    assert lines[1] == f"hall  online for 2 h 13 min · {note}"
    assert lines[2].endswith("2 people: id 3 5")


def test_fields_that_are_anything_else_are_left_out() -> None:
    devices = fleet()
    odd = {"v": 1, "state": 7, "reason": [], "since": "soon", "count": "many", "ids": {"a": 1}, "fps": "NaN",
           "latency_ms": 3, "inference_ms": 1e300, "drops": {"camera": None, "outputs": [1]}, "engine": 5,
           "cpu_temperature_c": True, "throttled": "yes", "uptime_s": -1, "version": None}  # fmt: skip
    for kind in ("status", "people", "health"):
        devices.take(f"edge-pose/hall/{kind}", json.dumps(odd).encode(), NOW_S)
    assert shown(devices)[1:4] == ["hall  no status", "people: unknown", "up 0 s"]


def test_a_newer_version_is_named_and_shown_as_far_as_can_be() -> None:
    devices = fleet("hall")
    devices.follow(["hall"], NOW_S)
    devices.take("edge-pose/hall/status", other(status(), v=2, state="dreaming", mood="good"), NOW_S)
    devices.take("edge-pose/hall/health", other(health(), v=2, fps=[1, 2]), NOW_S)
    devices.take("edge-pose/hall/pose", other(poses(3), v=2, poses={"people": []}), NOW_S + 0.9)
    lines = shown(devices)
    assert lines[1] == "hall  dreaming for 2 h 13 min · message version 2, this watch knows 1: update it"
    assert "inference 15.1 ms on cpu · dropped: camera 12, mqtt 3" in lines
    assert "not understood" not in "\n".join(lines)


def test_escape_sequences_in_names_and_reasons_do_not_reach_the_terminal() -> None:
    devices = fleet()
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    devices.take(f"edge-pose/{evil}/status", status("degraded", evil), NOW_S)
    devices.take(f"edge-pose/{evil}/health", other(health(), version=evil, engine=evil, model=evil), NOW_S)
    devices.take(f"edge-pose/{evil}/health", other(health(), drops={"outputs": {evil: 3}}, model=evil), NOW_S)
    devices.follow([evil], NOW_S)
    devices.take(f"edge-pose/{evil}/pose", other(poses(1), camera=evil), NOW_S + 1)
    text = [*shown(devices), *shown(fleet_and(devices), alone=False), summary_of(devices, evil)]
    devices.set_connection(up=False, now_s=NOW_S, reason=evil)
    for line in [*text, *shown(devices)]:
        assert line.isprintable()


def fleet_and(devices: Devices) -> Devices:
    """Return the same devices among so many that they are a list."""
    for at in range(30):
        devices.take(f"edge-pose/d{at}/status", status(device=f"d{at}"), NOW_S)
    return devices


def test_poses_that_are_huge_or_far_away_are_drawn_without_harm() -> None:
    devices = fleet("hall")
    devices.follow(["hall"], NOW_S)
    message = json.loads(poses(3))
    message["size"] = [1, 10**9]
    message["poses"][0]["keypoints"] = [[1e300, -1e300, 1.0], [0.5, 0.5, 1.0]] * 8 + [[1e9, 0.5, 1.0]]
    devices.take("edge-pose/hall/pose", json.dumps(message).encode(), NOW_S + 1)
    assert len(shown(devices)) == 24


def test_topics_of_others_are_ignored() -> None:
    devices = fleet("hall")
    for topic in (
        "edge-pose/hall/reply",
        "edge-pose/hall",
        "other/hall/status",
        "edge-pose//status",
        "edge-pose/a/b/c",
    ):
        assert devices.take(topic, status("degraded", "x"), NOW_S) is None
    assert len(devices) == 1
    assert shown(devices)[1] == "hall  online for 2 h 13 min"


def test_a_device_whose_status_is_removed_from_the_broker_is_gone() -> None:
    devices = fleet("hall", "yard")
    devices.take("edge-pose/hall/status", b"", NOW_S)
    assert [device.name for device in devices.ordered(NOW_S)] == ["yard"]


def test_only_one_device_is_known_where_only_one_was_asked_for() -> None:
    devices = Devices("site/edge-pose", only="yard")
    devices.take("site/edge-pose/hall/status", status(), NOW_S)
    devices.take("site/edge-pose/yard/status", status(), NOW_S)
    assert [device.name for device in devices.ordered(NOW_S)] == ["yard"]
    assert devices.topics() == [f"site/edge-pose/yard/{kind}" for kind in ("status", "people", "health")]


def test_more_devices_than_there_is_memory_for_are_counted_only() -> None:
    devices = Devices("edge-pose", max_devices=3)
    for at in range(5):
        devices.take(f"edge-pose/d{at}/status", status(), NOW_S)
    assert len(devices) == 3
    assert shown(devices)[0].startswith("3 devices, 3 online, 2 messages of further devices left out")


# Many


def test_few_devices_are_cards_with_drawings_beside_them() -> None:
    lines = shown(watched(fleet("hall", "yard"), "hall", "yard"), rows=20, selected="yard")
    assert lines[0].startswith("2 devices, 2 online ")
    assert lines[1] == "  hall  online for 2 h 13 min"
    assert lines[3].startswith("  10.0 fps · age 41 ms · latency p50 25 p95 32 ms ")
    assert lines[10] == "> yard  online for 2 h 13 min"
    assert lines[-1] == "up/down or j/k choose · enter alone · q quit"
    assert sum("│" in line for line in lines) >= 10
    assert max(map(columns_of, lines)) <= 80


def test_many_devices_are_a_list_with_trouble_first_and_one_card() -> None:
    devices = watched(fleet("attic", "hall", "porch", "yard"), "hall")
    devices.take("edge-pose/yard/status", status("degraded", "camera: no frame for 5.0 s"), NOW_S)
    devices.take("edge-pose/porch/status", status("offline", "stopped"), NOW_S)
    devices.take("edge-pose/hall/health", b"{", NOW_S)
    lines = shown(devices, selected="hall")
    assert lines[:6] == [
        "4 devices, 2 online, 1 degraded, 1 offline                mqtt://hall.local:1883",
        "  DEVICE             STATE     FOR        PEOPLE    FPS  LATENCY   TEMP",
        "  yard               degraded  2 h 13 min camera: no frame for 5.0 s",
        "  porch              offline   2 h 13 min stopped",
        "  attic              online    2 h 13 min      2   24.9    25 ms  52 °C",
        "> hall               online !  2 h 13 min      2   10.0    25 ms  52 °C",
    ]
    assert lines[17] == "hall  online for 2 h 13 min · 1 message not understood"
    assert lines[-1] == "up/down or j/k choose · space/b page · g/G ends · enter alone · q quit"


def test_a_silent_device_goes_to_the_top_of_the_list() -> None:
    devices = fleet(*(f"d{at}" for at in range(9)))
    devices.follow(["d7"], NOW_S)
    lines = shown(devices, after_s=12)
    assert lines[2] == "> d7                 online    2 h 13 min no poses for 12 s"
    devices.take("edge-pose/d7/status", status("degraded", "model: starter", device="d7"), NOW_S)
    lines = shown(devices, after_s=12)
    assert lines[2] == "> d7                 degraded  2 h 13 min model: starter; no poses for 12 s"


def test_the_chosen_line_of_a_long_list_is_in_the_window() -> None:
    devices = fleet(*(f"d{at:03}" for at in range(500)))
    for name in ("d000", "d003", "d250", "d499"):
        lines = shown(devices, selected=name)
        assert len(lines) == 24
        assert [line.split()[1] for line in lines if line.startswith("> ")] == [name]


def test_only_poses_that_are_drawn_are_subscribed_and_those_of_others_forgotten() -> None:
    devices = watched(fleet(*(f"d{at}" for at in range(9))), "d1")
    view = Viewport(columns=80, rows=24, broker="", now_s=NOW_S + 1, wall_s=WALL_S, selected="d2")
    assert page(devices, view).drawn == {"d2"}
    assert devices.follow({"d2"}, NOW_S + 1)
    assert not devices.follow({"d2"}, NOW_S + 1)
    assert devices.topics()[3:] == ["edge-pose/d2/pose"]
    former = device_of(devices, "d1")
    assert former.latest_poses(NOW_S + 1) is None
    devices.take("edge-pose/d1/pose", poses(1), NOW_S + 1)
    assert former.latest_poses(NOW_S + 1) is None


@pytest.mark.parametrize("columns", [1, 8, 20, 40, 61, 80, 200])
@pytest.mark.parametrize("rows", [1, 2, 5, 10, 24, 60])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_window_is_filled_and_never_overfilled(columns: int, rows: int, count: int) -> None:
    names = [f"d{at}" for at in range(count)]
    lines = shown(watched(fleet(*names), *names), columns=columns, rows=rows)
    assert len(lines) <= rows
    assert max(map(columns_of, lines)) <= columns


def test_without_colour_there_is_no_escape_and_with_it_every_one_is_closed() -> None:
    devices = watched(fleet("hall", "yard"), "hall", "yard")
    assert "\x1b" not in "".join(shown(devices))
    for line in shown(devices, colour=True):
        assert line.rfind("\x1b[") == line.rfind("\x1b[0m")
    assert any("\x1b[32monline\x1b[0m" in line for line in shown(devices, colour=True))
    assert paint([("abc", "31"), ("def", "")], 4, colour=True) == "\x1b[31mabc\x1b[0md"[:-1] + "…"


def test_a_wider_window_has_more_columns() -> None:
    assert list_title(120).split() == [
        "DEVICE",
        "STATE",
        "FOR",
        "PEOPLE",
        "FPS",
        "LATENCY",
        "TEMP",
        "ENGINE",
        "VERSION",
    ]


def test_without_devices_the_page_says_so() -> None:
    lines = shown(fleet())
    assert lines[0] == "0 devices                                                 mqtt://hall.local:1883"
    assert lines[2] == "no message from any device yet"


def test_keys_are_known_by_what_terminals_send() -> None:
    assert keys_of(b"jk\x1b[A\x1b[B\x1bOA q\x1b[6~\rG?\x1b") == [
        "down", "up", "up", "down", "up", "page down", "quit", "page down", "enter", "last",
    ]  # fmt: skip
