import os
import pty
import select
import termios
from pathlib import Path

import pytest

from edge.commands.terminal.screen import Screen, printed, takes_colour, takes_screen


def arrived(terminal: int) -> bytes:
    """Return everything that was written to a terminal; it comes in pieces."""
    found = b""
    while select.select([terminal], [], [], 0.5)[0]:
        found += os.read(terminal, 1000)
    return found


def crash(screen: Screen, terminal: int) -> None:
    with screen:
        assert not termios.tcgetattr(terminal)[3] & termios.ICANON
        raise ZeroDivisionError


def test_a_crash_gives_the_terminal_back_as_it_was() -> None:
    mine, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with open(theirs, "w", closefd=False, encoding="ascii") as out, pytest.raises(ZeroDivisionError):
        crash(Screen(out, theirs), theirs)
    assert termios.tcgetattr(theirs) == before
    assert arrived(mine).endswith(b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l")
    os.close(theirs)
    os.close(mine)


def test_a_full_line_keeps_its_last_character() -> None:
    """Clearing to the end of a line after it was written would take it away."""
    mine, theirs = pty.openpty()
    with open(theirs, "w", closefd=False, encoding="ascii") as out:
        Screen(out, theirs).show(["x" * 80, "y"])
    assert arrived(mine) == b"\x1b[H\x1b[2K" + b"x" * 80 + b"\r\n\x1b[2Ky"
    os.close(theirs)
    os.close(mine)


def test_what_an_encoding_lacks_is_a_question_mark() -> None:
    with Path(os.devnull).open("w", encoding="latin-1") as out:
        assert printed("52 °C · ⣿…", out) == "52 °C · ??"


def test_a_file_takes_neither_screen_nor_colour() -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as out:
        assert not takes_screen(out)
        assert not takes_colour(out)
