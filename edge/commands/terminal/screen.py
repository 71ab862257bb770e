"""A full-screen terminal: alternate screen, single keys, restored at the end."""

import os
import shutil
import signal
import sys
import termios
import tty
from typing import Any, Self, TextIO

__all__ = ["Screen", "keys_of", "printed", "takes_colour", "takes_screen"]

# Standard control sequences (ECMA-48, xterm): alternate screen, no cursor, no wrapping of long lines.
ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
KEYS = {
    b"\x1b[A": "up", b"\x1bOA": "up", b"k": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"j": "down",
    b"\x1b[5~": "page up", b"\x1b[6~": "page down", b" ": "page down", b"b": "page up",
    b"\x1b[H": "first", b"\x1b[1~": "first", b"g": "first", b"\x1b[F": "last", b"\x1b[4~": "last", b"G": "last",
    b"\r": "enter", b"\n": "enter", b"q": "quit", b"Q": "quit",
}  # fmt: skip


def takes_screen(out: TextIO) -> bool:
    """Return whether `out` is a terminal that takes control sequences.

    TERM=dumb or an empty TERM means no.
    """
    return out.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


def takes_colour(out: TextIO) -> bool:
    """Return whether `out` takes colours, NO_COLOR respected (https://no-color.org)."""
    return takes_screen(out) and not os.environ.get("NO_COLOR")


def printed(text: str, out: TextIO) -> str:
    """Replace every character that `out` cannot encode by a question mark."""
    encoding = out.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def keys_of(data: bytes) -> list[str]:
    """Return the names of the known keys in a terminal's input."""
    found: list[str] = []
    while data:
        code = next((code for code in KEYS if data.startswith(code)), data[:1])
        found += [KEYS[code]] if code in KEYS else []
        data = data[len(code) :]
    return found


class Screen:
    """A terminal in full-screen mode; a context manager that restores it on exit.

    Args:
        out: the terminal.
        keys: file descriptor to read keys from, if it is a terminal; stdin if None.
    """

    def __init__(self, out: TextIO, keys: int | None = None) -> None:
        self._out = out
        self._keys = sys.stdin.fileno() if keys is None else keys
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    @property
    def keys(self) -> int | None:
        """The descriptor to wait on for keys; None if it is no terminal."""
        return self._keys if self._before is not None else None

    def enter(self) -> None:
        """Switch to the alternate screen and to single keys."""
        if os.isatty(self._keys):
            self._before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys)
        self._write(ENTER)

    def leave(self) -> None:
        """Restore the terminal."""
        try:
            self._write(LEAVE)
        finally:
            if self._before is not None:
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
                self._before = None

    def suspend(self) -> None:
        """Stop this process as Ctrl-Z does, with the terminal restored meanwhile.

        Returns when the process is continued.
        """
        self.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.enter()

    def size(self) -> tuple[int, int]:
        """Return (columns, rows) of the window as it is now."""
        try:
            found = os.get_terminal_size(self._out.fileno())
        except OSError:
            found = shutil.get_terminal_size()
        return found.columns or 80, found.lines or 24

    def read(self) -> list[str]:
        """Return the pressed keys; call it when `keys` is readable."""
        try:
            data = os.read(self._keys, 1024)
        except OSError:  # the terminal is gone
            data = b""
        return keys_of(data) if data else ["quit"]

    def show(self, lines: list[str]) -> None:
        """Replace the page; the lines must fit into the window."""
        # Each line is cleared before it is written: after a full line the cursor is on its last character.
        self._write("\x1b[H" + "\n".join(f"\x1b[2K{line}" for line in lines))

    def _write(self, text: str) -> None:
        self._out.write(printed(text, self._out))
        self._out.flush()
