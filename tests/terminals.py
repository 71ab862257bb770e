"""A command in a terminal: what it writes, keys, the size of the window."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from brokers import eventually
from command import arguments, environment

__all__ = ["Terminal"]


END = b"\0end of the process\0"
"""Nothing else writes this."""


class Terminal:
    """A command in a terminal of its own; keeps every byte that it wrote."""

    def __init__(
        self,
        *words: str,
        columns: int = 80,
        rows: int = 24,
        without: Mapping[str, str | None] = MappingProxyType({}),
        **env: str,
    ) -> None:
        self.written = b""
        self._mine, self._theirs = pty.openpty()
        self.resize(columns, rows)
        self.modes = termios.tcgetattr(self._theirs)
        self.process = subprocess.Popen(
            arguments(*words),
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            env=environment({"TERM": "xterm", "NO_COLOR": None, "LANG": "C.UTF-8", **without, **env}),
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._mine, 65536)
            except OSError:
                return
            if not data:
                return
            self.written += data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._theirs)
        self._reader.join()
        os.close(self._mine)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._mine, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        os.write(self._mine, keys)

    def page(self) -> str:
        """Return the last page that is complete, without escape sequences."""
        pages = self.written.decode(errors="replace").split("\x1b[H")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", pages[-1] if len(pages) < 3 else pages[-2])

    def shows(self, *texts: str) -> None:
        eventually(lambda: all(text in self.page() for text in texts))

    def end(self) -> int:
        """Wait for the end, and for all that was written; return the exit code."""
        code = self.process.wait(10)
        os.write(self._theirs, END)  # what the process wrote lies before it
        eventually(lambda: self.written.endswith(END))
        self.written = self.written.removesuffix(END)
        return code

    def modes_now(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)
