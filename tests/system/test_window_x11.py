"""The window on a real X server: its keys, and what becomes of the run when the server hangs or dies."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import cv2
import pytest

from brokers import eventually
from command import arguments, environment
from desktop import Desktop
from tiny_models import echo_model

PATIENCE_S = 20


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    with Desktop() as running:
        yield running


class Command:
    """A run with a window, in a folder of its own; it ends with the block at the latest."""

    def __init__(self, folder: Path, desktop: Desktop, *more: str) -> None:
        model = echo_model(folder / "tiny.tflite", height=64, width=96)
        words = ["run", "--camera", "scene", "--display", "--model", str(model), "--set", "device.name=hall", *more]
        self._poses = folder / "poses.jsonl"
        self._process = subprocess.Popen(
            arguments(*words),
            cwd=folder, env=environment(desktop.environment), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_for(self, text: str) -> None:
        """Wait until it has said so."""
        assert self._process.stderr is not None
        assert any(text in line for line in self._process.stderr), text

    def goes_on(self) -> None:
        """Wait for ten more poses."""
        before = self._lines()
        eventually(lambda: self._lines() > before + 10, PATIENCE_S)

    def terminate(self) -> tuple[int, str]:
        """Ask it to stop; return its exit code and what it said last."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> tuple[int, str]:
        """Wait for its end by itself."""
        _, said = self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode, said

    def _lines(self) -> int:
        return self._poses.read_bytes().count(b"\n") if self._poses.exists() else 0


def is_colourful(desktop: Desktop) -> bool:
    """True while the middle of the screen shows a picture."""
    return bool((desktop.look()[300:500, 300:980].max(axis=2) > 60).mean() > 0.5)


def test_the_keys_of_a_window_do_what_its_help_says(tmp_path: Path, desktop: Desktop) -> None:
    with Command(tmp_path, desktop) as command:
        command.wait_for("status: online")
        eventually(lambda: is_colourful(desktop))
        desktop.click()
        desktop.press("s")
        command.wait_for("snapshot saved as")
        (file,) = tmp_path.glob("hall-*.png")
        picture = cv2.imread(str(file))
        assert picture is not None
        assert picture.shape == (720, 1280, 3)
        desktop.press("p")
        eventually(lambda: not is_colourful(desktop))
        desktop.press("p")
        eventually(lambda: is_colourful(desktop))
        desktop.press("f")
        eventually(lambda: (desktop.look()[[0, 799], :] > 0).any(axis=(1, 2)).tolist() == [False, True])
        desktop.press("q")
        code, said = command.end()
        assert code == 0
        assert "status: offline (window closed)" in said


def test_sigterm_ends_a_run_with_a_window(tmp_path: Path, desktop: Desktop) -> None:
    with Command(tmp_path, desktop) as command:
        command.wait_for("status: online")
        code, said = command.terminate()
        assert code == 0
        state, summary = said.strip().splitlines()
        assert state == "status: offline (stopped)"
        assert re.fullmatch(r"\d+ frames in .* delivered: .*display \d+", summary)


def test_a_run_goes_on_without_its_window_when_the_display_server_dies(tmp_path: Path, desktop: Desktop) -> None:
    with Command(tmp_path, desktop, "--jsonl", "poses.jsonl") as command:
        command.wait_for("status: online")
        eventually(lambda: is_colourful(desktop))
        desktop.kill()
        command.wait_for("display: the display server is gone; the run goes on without it")
        command.goes_on()
        code, said = command.terminate()
        assert code == 0
        state, summary = said.strip().splitlines()
        assert state == "status: offline (stopped)"
        assert re.fullmatch(r"\d+ frames in .* delivered: .*display \d+", summary)


def test_a_run_of_a_window_alone_ends_when_the_display_server_dies(tmp_path: Path, desktop: Desktop) -> None:
    with Command(tmp_path, desktop) as command:
        command.wait_for("status: online")
        eventually(lambda: is_colourful(desktop))
        desktop.kill()
        code, said = command.end()
        assert code == 69
        assert said.splitlines()[-1] == "edge-pose: no output is left; see above"


def test_a_display_server_that_hangs_slows_nothing_and_does_not_hold_up_the_stop(
    tmp_path: Path, desktop: Desktop
) -> None:
    with Command(tmp_path, desktop, "--jsonl", "poses.jsonl") as command:
        command.wait_for("status: online")
        eventually(lambda: is_colourful(desktop))
        desktop.hang()
        command.goes_on()
        code, said = command.terminate()
        assert code == 0
        assert "it is left behind" in said


def test_a_display_server_that_hangs_at_the_start_costs_the_window_only(tmp_path: Path, desktop: Desktop) -> None:
    desktop.hang()
    with Command(tmp_path, desktop, "--jsonl", "poses.jsonl") as command:
        command.wait_for("display: the display server does not answer within 5 s; this output is left out")
        command.goes_on()
        assert command.terminate()[0] == 0


def test_a_stop_does_not_wait_for_a_display_server_that_hangs_at_the_start(tmp_path: Path, desktop: Desktop) -> None:
    desktop.hang()
    with Command(tmp_path, desktop) as command:
        command.wait_for("model tiny")
        assert command.terminate()[0] == 0
