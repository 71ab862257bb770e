"""What a training tells of itself: log, curve, bar, folder, signals."""

import io
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import UnavailableError
from tools.plot import to_png
from tools.train.run.curve import LINES, draw_curve
from tools.train.run.folder import TrainingFolder
from tools.train.run.history import History, Row
from tools.train.run.progress import Bar, shown_time
from tools.train.run.signals import Signals, Stopped


def rows(count: int) -> list[Row]:
    return [{"step": 10 * n, "loss": 8 / n, "center": 3 / n, "offset": 0.7, "rate": 0.1} for n in range(1, count + 1)]


def test_a_row_is_the_mean_since_the_one_before(tmp_path: Path) -> None:
    history = History(tmp_path / "log.jsonl", 0)
    for loss in (4.0, 2.0):
        history.add({"loss": loss, "center": 1.0})
    history.end_row(2, rate=0.5)
    history.add({"loss": 1.0, "center": 0.5})
    history.end_row(3, rate=2.5e-7)
    history.write()
    assert history.is_empty
    assert History(history.path, 3).rows == [
        {"step": 2, "loss": 3.0, "center": 1.0, "rate": 0.5},
        {"step": 3, "loss": 1.0, "center": 0.5, "rate": 2.5e-7},
    ]


def test_rows_after_the_checkpoint_and_lines_cut_off_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 5, "loss": 3.0}\n{"step": 9, "loss": 2.0}\n[]\n{"step": 12, "lo', encoding="utf-8")
    assert [row["step"] for row in History(path, 8).rows] == [5]
    assert [row["step"] for row in History(path, 99).rows] == [5, 9]


def test_a_log_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="the log cannot be read"):
        History(tmp_path, 0)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_a_curve_can_be_drawn_of_any_number_of_rows(count: int) -> None:
    figure = draw_curve(rows(count))
    drawn = cv2.imdecode(np.frombuffer(to_png(figure), np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert drawn.shape == (540, 960, 3)
    assert [line.get_color() for line in figure.axes[0].lines[:1]] == [LINES["loss"][0]] * (count > 0)


def test_a_loss_that_falls_is_drawn_falling() -> None:
    axes = draw_curve(rows(40)).axes[0]
    points = axes.transData.transform(axes.lines[0].get_xydata())  # pixels, from the lower left corner
    assert points[-1, 0] > points[0, 0] + 500
    assert points[-1, 1] < points[0, 1] - 50


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_loss_and_time_left() -> None:
    out = Terminal()
    bar = Bar(out, first=100, steps=200, size=8, time_s=10.0)
    bar.step(125, 2.5, 20.0)
    bar.end()
    assert "[###############         ] step 125/200, loss 2.5, 20 pictures/s, 30 s left" in out.getvalue()
    assert out.getvalue().endswith("\n")
    bar.line(21.0)
    assert out.getvalue().count("\n") == 1


def test_a_pipe_gets_a_line_now_and_then() -> None:
    out = io.StringIO()
    bar = Bar(out, first=0, steps=4000, size=32, time_s=0.0)
    bar.step(10, 2.5, 10.0)
    assert out.getvalue() == ""
    bar.line(10.0)
    bar.end()
    assert out.getvalue() == "train: step 10/4000, loss 2.5, 32 pictures/s, 66 min left\n"


def test_times_are_told_as_people_say_them() -> None:
    assert [shown_time(each) for each in (5.2, 98, 120, 5000, 20_000)] == [
        "5 s",
        "98 s",
        "2 min",
        "83 min",
        "5 h 33 min",
    ]


def test_a_folder_is_made_and_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with TrainingFolder(path).held():
        assert path.is_dir()
        with pytest.raises(UnavailableError, match="another training is at work there"), TrainingFolder(path).held():
            pass
    with TrainingFolder(path).held():
        pass


def test_what_a_killed_training_left_half_written_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint.pt.123.new").write_bytes(b"half")
    (tmp_path / "checkpoint.pt").write_bytes(b"whole")
    with TrainingFolder(tmp_path).held():
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_an_output_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UnavailableError, match=f"--output {path}: "), TrainingFolder(path).held():
            pass


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_whatever_goes_on(number: int, code: int) -> None:
    with pytest.raises(Stopped) as caught, Signals():
        os.kill(os.getpid(), number)
    assert caught.value.code == code


def test_a_signal_waits_where_it_is_postponed() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[bool] = []
    with pytest.raises(Stopped):
        _end_myself(seen)
    assert seen == [False, True]
    assert signal.getsignal(signal.SIGTERM) == before


def _end_myself(seen: list[bool]) -> None:
    with Signals() as signals, signals.deferred():
        seen.append(signals.received)
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append(signals.received)
