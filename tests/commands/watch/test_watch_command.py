"""`edge-pose watch` as a user has it: in a terminal of 80 x 24, and in a pipe, on Debian's mosquitto."""

import re
import signal
from pathlib import Path

import pytest

from brokers import Mosquitto, eventually, free_port, needs_mosquitto
from command import run, start
from fake_fleet import Fleet, other, status
from terminals import Terminal

pytestmark = needs_mosquitto


def url(broker: Mosquitto) -> str:
    return f"mqtt://127.0.0.1:{broker.port}"


def test_in_a_terminal_devices_are_drawn_live_and_q_gives_it_back(broker: Mosquitto) -> None:
    with Fleet(broker.port) as fleet, Terminal("watch", "--mqtt", url(broker)) as terminal:
        terminal.shows("no message from any device yet")
        fleet.arrive("hall")
        fleet.play("hall")
        terminal.shows("1 device, 1 online", "2 people: id 3 5", "inference 15.1 ms on cpu", "camera front", "┌──")
        assert b"\x1b[32monline" in terminal.written
        assert len(terminal.page().splitlines()) == 24
        fleet.tell("hall", "status", status("degraded", "camera: unplugged"))
        terminal.shows("hall  degraded", "camera: unplugged")
        terminal.press(b"q")
        assert terminal.end() == 0
        assert terminal.written.rstrip().endswith(b"\x1b[?1049l")
        assert b"\x1b[?25h" in terminal.written
        assert terminal.modes_now() == terminal.modes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_0_and_gives_the_terminal_back(broker: Mosquitto, number: signal.Signals) -> None:
    with Terminal("watch", "--mqtt", url(broker)) as terminal:
        terminal.shows("0 devices")
        terminal.process.send_signal(number)
        assert terminal.end() == 0
        assert terminal.written.rstrip().endswith(b"\x1b[?1049l")
        assert terminal.modes_now() == terminal.modes


def test_keys_choose_a_device_and_enter_shows_it_alone(broker: Mosquitto) -> None:
    with Fleet(broker.port) as fleet, Terminal("watch", "--mqtt", url(broker)) as terminal:
        fleet.arrive("attic", "hall", "porch", "yard")
        terminal.shows("> attic", "4 devices")
        terminal.press(b"j\x1b[B")
        terminal.shows("> porch")
        terminal.press(b"k")
        terminal.shows("> hall")
        terminal.press(b"\r")
        eventually(lambda: "attic" not in terminal.page() and "hall  online" in terminal.page())


def test_the_page_follows_the_size_of_the_window(broker: Mosquitto) -> None:
    with Fleet(broker.port) as fleet, Terminal("watch", "--mqtt", url(broker)) as terminal:
        fleet.arrive("hall")
        terminal.shows("hall  online")
        terminal.resize(60, 12)
        eventually(lambda: len(terminal.page().splitlines()) == 12)
        assert max(map(len, terminal.page().splitlines())) <= 60


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(broker: Mosquitto) -> None:
    with Terminal("watch", "--mqtt", url(broker)) as terminal:
        terminal.shows("0 devices")
        terminal.process.send_signal(signal.SIGTSTP)
        stat = Path(f"/proc/{terminal.process.pid}/stat")
        eventually(lambda: stat.read_text().split(") ")[1][0] == "T")
        assert terminal.modes_now() == terminal.modes
        eventually(lambda: terminal.written.endswith(b"\x1b[?1049l"))
        terminal.process.send_signal(signal.SIGCONT)
        eventually(lambda: b"\x1b[?1049h" in terminal.written.split(b"\x1b[?1049l")[-1])
        terminal.press(b"q")
        assert terminal.end() == 0


def test_no_color_leaves_out_colours_and_a_dumb_terminal_gets_plain_lines(broker: Mosquitto) -> None:
    with Fleet(broker.port) as fleet:
        fleet.arrive("hall")
        with Terminal("watch", "--mqtt", url(broker), NO_COLOR="1") as terminal:
            terminal.shows("hall  online")
            assert not re.search(rb"\x1b\[[0-9]+m", terminal.written.replace(b"\x1b[0m\x1b[?7h", b""))
        with Terminal("watch", "--mqtt", url(broker), "--every", "0.2", TERM="dumb") as terminal:
            eventually(lambda: b"hall online, 2 people" in terminal.written)
            assert b"\x1b" not in terminal.written


def test_a_broker_that_goes_is_said_and_comes_back(broker: Mosquitto) -> None:
    with Terminal("watch", "--mqtt", url(broker)) as terminal:
        terminal.shows("0 devices")
        broker.kill()
        terminal.shows("broker gone, retrying")
        broker.start()
        eventually(lambda: "broker gone" not in terminal.page(), within_s=20)
        with Fleet(broker.port) as fleet:
            fleet.arrive("hall")
            terminal.shows("hall  online")


def test_a_pipe_gets_a_line_per_change_and_summaries(broker: Mosquitto) -> None:
    watch = start("watch", "--mqtt", url(broker), "--every", "0.5")
    try:
        assert watch.stdout is not None
        assert "no message from any device" in watch.stdout.readline()
        with Fleet(broker.port) as fleet:
            fleet.arrive("hall")
            fleet.play("hall")
            fleet.tell("hall", "status", status("degraded", "camera: unplugged"))
            lines: list[str] = []
            while not any("degraded (camera: unplugged), 2 people: id 3 5" in line for line in lines):
                lines.append(watch.stdout.readline())
                assert lines[-1] != ""
        changes = [line.split(" ", 1)[1].rstrip() for line in lines if "," not in line]
        assert [line for line in changes if line.startswith("hall")] == [
            "hall online",
            "hall degraded (camera: unplugged)",
        ]
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    finally:
        watch.send_signal(signal.SIGINT)
        _, err = watch.communicate(timeout=10)
    assert watch.returncode == 0
    assert err == ""


def test_a_reader_that_closes_the_pipe_ends_it_with_0_at_once(broker: Mosquitto) -> None:
    watch = start("watch", "--mqtt", url(broker), "--every", "3600")
    assert watch.stdout is not None
    assert watch.stderr is not None
    watch.stdout.readline()
    watch.stdout.close()
    assert watch.wait(10) == 0
    assert watch.stderr.read() == ""
    watch.stderr.close()


def test_once_says_how_things_are_and_ends(broker: Mosquitto) -> None:
    with Fleet(broker.port) as fleet:
        fleet.arrive("hall", "yard")
        fleet.tell("yard", "health", b"{nonsense")
        fleet.tell("yard", "people", other(status(), v=2))
        outcome = run("watch", "--mqtt", url(broker), "--once")
    assert outcome.code == 0
    hall, yard = outcome.out.splitlines()
    assert hall.startswith("hall online, 2 people: id 3 5, 24.9 fps, latency p50 25 p95 32 ms")
    assert yard == "yard online, message version 2, this watch knows 1: update it, 1 message not understood"


def test_one_device_that_is_not_there_is_69_once(broker: Mosquitto) -> None:
    outcome = run("watch", "--mqtt", url(broker), "--once", "--device", "nix")
    assert outcome.code == 69
    assert outcome.error_lines() == [f"no message from nix on {url(broker)} under edge-pose/"]


def test_no_broker_at_the_start_is_69_in_one_line() -> None:
    port = free_port()
    outcome = run("watch", "--mqtt", f"mqtt://127.0.0.1:{port}")
    assert outcome.code == 69
    assert outcome.error_lines() == [f"broker 127.0.0.1:{port} cannot be reached (Connection refused)"]


def test_a_device_that_cannot_be_part_of_a_topic_is_a_bad_value() -> None:
    outcome = run("watch", "--device", "a/b")
    assert outcome.code == 78
    (line,) = outcome.error_lines()
    assert line.startswith("device.name (--device): 'a/b' cannot be part of a topic")


def test_escape_sequences_of_a_stranger_do_not_reach_the_terminal(broker: Mosquitto) -> None:
    with Fleet(broker.port) as fleet, Terminal("watch", "--mqtt", url(broker), NO_COLOR="1") as terminal:
        fleet.tell("hall", "status", status("degraded", "\x1b]0;owned\x07\x1b[2J"))
        terminal.shows("degraded", "owned")
        assert b"\x1b]0;" not in terminal.written
        assert b"\x07" not in terminal.written


def test_five_hundred_devices_are_shown_and_keys_are_answered(broker: Mosquitto) -> None:
    names = [f"d{at:03}" for at in range(500)]
    with Fleet(broker.port) as fleet, Terminal("watch", "--mqtt", url(broker)) as terminal:
        for name in names:
            fleet.tell(name, "status", status(device=name))
        fleet.play(*names, period_s=0.5)
        terminal.shows("500 devices, 500 online")
        terminal.press(b"G")
        terminal.shows("> d499", "camera front")
        terminal.press(b"q")
        assert terminal.end() == 0
