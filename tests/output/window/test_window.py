"""The sink `display`: with a scripted screen, and with SDL's real one off screen."""

import json
import logging
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pygame
import pytest

from brokers import eventually
from builders import ORIGIN
from command import environment, run, start
from edge.agent.sink_threads import DirectSink
from edge.errors import UnavailableError
from edge.output.window.sink import WindowSink
from edge.ports import PoseFrame
from tiny_models import echo_model
from videos import write_video
from windows import GREEN, LILAC, ScriptedScreen, seen, share, sink, status, window

BAR = (26, 26, 30)
NO_SCREEN = {"SDL_VIDEODRIVER": "x11", "DISPLAY": None, "WAYLAND_DISPLAY": None}
HIDDEN_SCREEN = {"SDL_VIDEODRIVER": "dummy"}


@pytest.fixture
def screen() -> ScriptedScreen:
    return ScriptedScreen()


def words(folder: Path, *more: str | Path) -> list[str | Path]:
    """The command of a run that would go on for ever."""
    model = echo_model(folder / "tiny.tflite", height=64, width=96)
    return ["run", "--camera", write_video(folder / "v.mp4"), "--loop", "--model", model, "--display", *more]


def test_everything_about_the_window_happens_on_one_thread_of_its_own(tmp_path: Path, screen: ScriptedScreen) -> None:
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    opened.write(seen())
    eventually(lambda: screen.shown)
    opened.close()
    assert screen.closed
    assert screen.threads == {"window"}
    assert screen.title == "hall / front - edge-pose"


def test_the_window_shows_the_state_while_no_results_arrive(tmp_path: Path, screen: ScriptedScreen) -> None:
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    opened.set_state("status", status("online"))
    opened.write(seen(colour=(200, 0, 0)))
    eventually(lambda: screen.shown and not screen.shown[-1].banner)
    opened.set_state("status", status("degraded", "camera: unplugged"))
    eventually(lambda: screen.shown[-1].banner[:1] == ("camera: unplugged",))
    assert screen.pictures[-1].max() == 50
    eventually(lambda: "1 s ago" in screen.shown[-1].banner[1])
    opened.close()


def test_the_window_closes_with_the_run_while_other_outputs_still_say_good_bye(
    tmp_path: Path, screen: ScriptedScreen
) -> None:
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    opened.set_state("status", status("offline", "stopped"))
    eventually(lambda: screen.closed)
    opened.write(seen())  # one that was on its way
    opened.close()


def test_a_screen_that_hangs_costs_results_of_the_window_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    screen = ScriptedScreen(gate=gate)
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    eventually(lambda: screen.shown)  # here it hangs
    output = DirectSink(opened)
    for index in range(50):
        output.offer(seen(index))
    assert output.dropped == 49  # the newest waits for the window
    output.close()
    assert "display: the window hangs; it is left behind" in caplog.text
    gate.set()


def test_a_window_that_hangs_at_the_end_is_left_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    screen = ScriptedScreen(gate=gate)
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    eventually(lambda: screen.shown)
    opened.close()
    assert "the window hangs; it is left behind" in caplog.text
    gate.set()


def test_a_display_server_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    gate = threading.Event()

    def hang() -> ScriptedScreen:
        assert gate.wait(10)
        return late

    late = ScriptedScreen()
    opened = sink(tmp_path, hang, open_s=0.05)
    with pytest.raises(UnavailableError, match=r"does not answer within 0\.05 s"):
        opened.open()
    gate.set()
    eventually(lambda: late.closed)  # it came too late


def test_a_lost_display_server_is_logged_once_and_without_a_traceback(
    tmp_path: Path, screen: ScriptedScreen, caplog: pytest.LogCaptureFixture
) -> None:
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    output = DirectSink(opened)
    assert screen.lost is not None
    screen.lost()
    for index in range(3):
        output.offer(seen(index))
    output.close()
    assert isinstance(output.failure, UnavailableError)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "display: the display server is gone; the run goes on without it"
    ]
    assert warnings[0].exc_info is None


def test_a_mistake_of_ours_in_the_window_costs_the_window_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    screen = ScriptedScreen(error=ZeroDivisionError("oops"))
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    eventually(lambda: screen.closed)
    output = DirectSink(opened)
    output.offer(seen())
    output.close()
    assert isinstance(output.failure, ZeroDivisionError)
    assert "oops" in caplog.text


def test_a_snapshot_that_cannot_be_written_is_said_and_nothing_more(
    tmp_path: Path, screen: ScriptedScreen, caplog: pytest.LogCaptureFixture
) -> None:
    opened = sink(tmp_path / "nowhere", lambda: screen)
    opened.open()
    opened.write(seen())
    screen.asked.put("snapshot")
    eventually(lambda: screen.shown and screen.shown[-1].note == "no snapshot: No such file or directory")
    opened.close()
    assert "nowhere: No such file or directory" in caplog.text


def test_a_snapshot_before_the_first_picture_is_none(tmp_path: Path, screen: ScriptedScreen) -> None:
    opened = sink(tmp_path, lambda: screen)
    opened.open()
    screen.asked.put("snapshot")
    eventually(lambda: screen.shown and screen.shown[-1].note == "no picture yet")
    opened.close()
    assert list(tmp_path.iterdir()) == []


def test_the_window_takes_the_size_of_the_picture_and_shows_it_above_a_bar(tmp_path: Path) -> None:
    with window(tmp_path) as (opened, visitor):
        opened.set_state("status", status("online"))
        opened.write(seen())
        eventually(lambda: visitor.look().shape[1] == 640)
        picture = visitor.look()
        assert 380 <= picture.shape[0] <= 400
        assert picture[2, 2].tolist() == list(LILAC)
        assert picture[359, 2].tolist() == list(LILAC)
        assert picture[-2, 2].tolist() == list(BAR)


def test_a_window_of_another_shape_has_black_margins_and_the_whole_picture(tmp_path: Path) -> None:
    with window(tmp_path) as (opened, visitor):
        opened.set_state("status", status("online"))
        opened.write(seen())
        eventually(lambda: visitor.look().shape[1] == 640)
        visitor.resize(1000, 424)
        eventually(lambda: share(visitor.look()) > 0.3)
        picture = visitor.look()[:400]
        columns = np.flatnonzero((picture[5] == LILAC).all(axis=1))
        assert (columns[0], columns[-1]) == pytest.approx((144, 855), abs=2)
        assert (picture[5, :140] == 0).all()
        assert (picture[5, 860:] == 0).all()


def test_a_window_that_was_covered_is_drawn_again_with_its_margins(tmp_path: Path) -> None:
    with window(tmp_path) as (_, visitor):
        eventually(lambda: share(visitor.look(), BAR) > 0)
        visitor.cover(GREEN)
        eventually(lambda: share(visitor.look(), GREEN) == 0)
        assert share(visitor.look(), (0, 0, 0)) > 0.8
        assert share(visitor.look(), BAR) > 0


def test_a_picture_of_another_size_is_shown_in_the_window_that_is_there(tmp_path: Path) -> None:
    with window(tmp_path) as (opened, visitor):
        opened.set_state("status", status("online"))
        opened.write(seen())
        eventually(lambda: visitor.look().shape[1] == 640)
        opened.write(seen(1, width=200, height=400, colour=GREEN))
        eventually(lambda: share(visitor.look(), GREEN) > 0.2)
        assert visitor.look().shape[1] == 640


@pytest.mark.parametrize(
    "event",
    [
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q, mod=0),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, mod=0),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q, mod=pygame.KMOD_CAPS),
        pygame.event.Event(pygame.QUIT),
    ],
    ids=["q", "Esc", "Q", "the window's X"],
)
def test_the_run_is_ended_from_the_window(tmp_path: Path, event: pygame.event.Event) -> None:
    ended = threading.Event()
    with window(tmp_path, ended.set) as (_, visitor):
        visitor.post(event)
        assert ended.wait(5)


def test_keys_with_ctrl_or_alt_belong_to_the_desktop(tmp_path: Path) -> None:
    ended = threading.Event()
    with window(tmp_path, ended.set) as (opened, visitor):
        opened.write(seen())
        visitor.press(pygame.K_q, mod=pygame.KMOD_LCTRL)
        visitor.press(pygame.K_q, mod=pygame.KMOD_LALT)
        visitor.press(pygame.K_s)
        eventually(lambda: list(tmp_path.iterdir()))
        assert not ended.is_set()


def test_a_snapshot_is_the_annotated_picture_in_full_size_named_by_device_and_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), window(tmp_path) as (opened, visitor):
        opened.write(seen(width=1600, height=900))
        eventually(lambda: share(visitor.look()) > 0.2 or visitor.look().shape[1] > 900)
        visitor.press(pygame.K_s)
        eventually(lambda: "snapshot saved" in caplog.text)
    (file,) = tmp_path.iterdir()
    assert file.name == "hall-2026-01-31T12-00-00.123Z.png"
    assert str(file) in caplog.text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    picture = cv2.imread(str(file))
    assert picture is not None
    assert picture.shape == (900, 1600, 3)
    assert share(picture, LILAC[::-1]) > 0.5
    assert share(picture, LILAC[::-1]) < 0.999  # a person and some words are drawn


def test_private_is_black_in_the_window_and_in_its_snapshots(tmp_path: Path) -> None:
    with window(tmp_path) as (opened, visitor):
        opened.set_state("status", status("online"))
        opened.write(seen())
        eventually(lambda: share(visitor.look()) > 0.5)
        visitor.press(pygame.K_p)
        eventually(lambda: share(visitor.look()) == 0)
        visitor.press(pygame.K_s)
        eventually(lambda: list(tmp_path.iterdir()))
    (file,) = tmp_path.glob("*-private.png")
    picture = cv2.imread(str(file))
    assert picture is not None
    assert share(picture, LILAC[::-1]) == 0
    assert picture.any()


def test_private_by_the_config_asks_for_no_image_at_all(tmp_path: Path) -> None:
    with window(tmp_path, private=True) as (opened, visitor):
        assert not opened.wants_image
        whole = seen()
        opened.write(PoseFrame(whole.frame.without_image(), whole.poses, 1.0))
        eventually(lambda: visitor.look().shape[1] == 640)
        visitor.press(pygame.K_p)
        opened.write(PoseFrame(whole.frame.without_image(), whole.poses, 1.0))
        assert share(visitor.look()) == 0


def test_full_screen_fills_the_screen_and_comes_back_to_the_size_before(tmp_path: Path) -> None:
    with window(tmp_path) as (opened, visitor):
        opened.write(seen())
        eventually(lambda: visitor.look().shape[1] == 640)
        before = visitor.look().shape
        visitor.press(pygame.K_f)
        eventually(lambda: visitor.look().shape[1] > 640)
        opened.write(seen(1))
        visitor.press(pygame.K_f)
        eventually(lambda: visitor.look().shape == before)


def test_the_help_lies_over_the_picture_until_it_is_closed(tmp_path: Path) -> None:
    with window(tmp_path) as (opened, visitor):
        opened.set_state("status", status("online"))
        opened.write(seen())
        eventually(lambda: visitor.look()[5, 5].tolist() == list(LILAC))

        def shows_help() -> bool:
            return bool((visitor.look()[100:300, 320] == BAR).all(axis=1).mean() > 0.3)

        visitor.press(pygame.K_h)
        eventually(shows_help)
        visitor.press(pygame.K_h)
        eventually(lambda: not shows_help())


def test_a_run_shows_its_window_and_stdout_holds_poses_only(tmp_path: Path) -> None:
    done = run(*words(tmp_path, "--jsonl", "-", "--max-frames", "5", "--no-pace"), env=HIDDEN_SCREEN)
    assert done.code == 0, done.err
    assert [json.loads(line)["v"] for line in done.out.splitlines()] == [1] * 5


def test_a_run_with_a_window_alone_stops_at_sigterm(tmp_path: Path) -> None:
    command = start(*words(tmp_path), env=HIDDEN_SCREEN)
    assert command.stderr is not None
    for line in command.stderr:
        if "status: online" in line:
            break
    command.send_signal(signal.SIGTERM)
    assert command.wait(10) == 0
    assert "status: offline (stopped)" in command.stderr.read()
    command.communicate()


def test_a_window_without_a_screen_is_one_line_that_says_what_it_needs(tmp_path: Path) -> None:
    done = run(*words(tmp_path), env=NO_SCREEN)
    assert done.code == 69
    (line,) = done.error_lines()
    assert line.startswith("display: no screen (x11 not available): ")
    for name in ("WAYLAND_DISPLAY", "kmsdrm", "video, render and input"):
        assert name in line


def test_a_screen_that_sdl_makes_up_is_no_screen(tmp_path: Path) -> None:
    done = run(*words(tmp_path), env={**NO_SCREEN, "SDL_VIDEODRIVER": "x11,offscreen"})
    assert done.code == 69
    assert "no screen" in done.error_lines()[0]


def test_a_run_without_a_screen_goes_on_with_its_other_outputs_and_one_warning(tmp_path: Path) -> None:
    done = run(*words(tmp_path, "--jsonl", tmp_path / "p.jsonl", "--max-frames", "5", "--no-pace"), env=NO_SCREEN)
    assert done.code == 0, done.err
    assert done.err.count("display") == 1
    assert "this output is left out" in done.err
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == 5


def test_a_missing_package_is_named_with_what_installs_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pygame'] = None; from edge.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *(str(word) for word in words(tmp_path))]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 69
    assert "pip install 'edge-pose[display]'" in done.stderr


def test_a_window_that_fails_to_open_for_whatever_reason_costs_the_window_only(tmp_path: Path) -> None:
    def make_screen() -> ScriptedScreen:
        raise AttributeError("no attribute 'set_window_position'")

    sink = WindowSink(ORIGIN, make_screen, lambda: None, private=False, folder=tmp_path)
    with pytest.raises(UnavailableError, match="cannot be opened: AttributeError"):
        sink.open()
