from pathlib import Path

import cv2

from command import NO_MIRROR, run
from data import mirror_default, needs_models
from terminals import Terminal


@needs_models
def test_the_demo_measures_poses_that_came_over_mqtt_and_leaves_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "demo.png"
    outcome = run("demo", "--seconds", "2", "--picture", picture)
    assert outcome.code == 0, outcome.err
    last = outcome.out.splitlines()[-1]
    assert last.startswith("demo: ")
    people = float(last.split(" people per frame")[0].split()[-1])
    assert people >= 2
    assert last.endswith(f" people per frame ({mirror_default()})")
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.shape == (720, 1280, 3)


def test_a_demo_of_a_model_that_is_nowhere_says_what_a_run_says() -> None:
    outcome = run("demo", "--seconds", "1", "--model", "movenet-multipose-lightning-f16", env=NO_MIRROR)
    assert outcome.code == 69
    (line,) = outcome.error_lines()
    assert line.endswith("other ways: edge-pose models fetch --help")


def test_a_demo_whose_picture_has_no_folder_says_so_before_it_starts(tmp_path: Path) -> None:
    outcome = run("demo", "--seconds", "1", "--picture", tmp_path / "none" / "demo.png")
    assert outcome.code == 69
    assert "none" in outcome.error_lines()[0]
    assert "messages" not in outcome.out


def test_a_demo_with_no_network_finds_people_with_the_starter_and_says_so() -> None:
    outcome = run("demo", "--seconds", "2", env=NO_MIRROR)
    assert outcome.code == 0, outcome.err
    (line,) = outcome.err.splitlines()
    assert line.startswith(
        "'starter' from the package is used, which finds fewer people, and hardly anybody close to the camera; "
    )
    last = outcome.out.splitlines()[-1]
    assert last.endswith(" people per frame (starter)")
    assert float(last.split(" people per frame")[0].split()[-1]) >= 3


def test_in_a_terminal_the_demo_is_the_view_of_watch_and_q_ends_it() -> None:
    with Terminal("demo", without=NO_MIRROR) as terminal:
        terminal.shows("1 device, 1 online", "demo  online", "edge-pose", "┌──")
        terminal.press(b"q")
        assert terminal.end() == 0
        assert terminal.modes_now() == terminal.modes
        assert b"\x1b[?1049ldemo: " in terminal.written.splitlines()[-1]


def test_a_demo_in_a_terminal_ends_after_its_seconds() -> None:
    with Terminal("demo", "--seconds", "1", without=NO_MIRROR) as terminal:
        assert terminal.process.wait(60) == 0
        assert b" people per frame (starter)" in terminal.written.splitlines()[-1]
