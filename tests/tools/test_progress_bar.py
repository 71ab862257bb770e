"""The progress bar of the tools: drawn on a terminal, silent into a pipe."""

import contextlib
import io

from tools.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_nothing() -> None:
    with contextlib.redirect_stderr(io.StringIO()) as out:
        progress = ProgressBar("scene")
        for done in range(1, 4):
            progress(done, 3)
    assert out.getvalue() == ""


def test_each_label_gets_a_bar_that_ends_at_its_total() -> None:
    with contextlib.redirect_stderr(Terminal()) as out:
        progress = ProgressBar("scene")
        progress(1, 2)
        progress(2, 2)
        progress(5, 5, "images")
    first, second = (line.rsplit("\r", 1)[-1] for line in out.getvalue().split("\n")[:2])
    assert first.startswith("scene: 100%")
    assert "2/2" in first
    assert second.startswith("images: 100%")
    assert "5/5" in second


def test_a_bar_that_stopped_short_is_left_for_the_next() -> None:
    with contextlib.redirect_stderr(Terminal()) as out:
        progress = ProgressBar()
        progress(1, 4, "scene")
        progress(4, 4, "images")
    assert out.getvalue().count("\n") == 2
