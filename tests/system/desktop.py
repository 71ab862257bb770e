"""An X server without a screen, somebody at its keyboard, and what they see."""

import signal
import subprocess
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from brokers import eventually
from packages import require

PATIENCE_S = 20


class Desktop:
    """Debian's Xvfb, 1280x800, without a window manager; needs root to install it."""

    def __init__(self) -> None:
        require("xvfb", "xdotool", "imagemagick")
        command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._server.stdout is not None
        self.environment = {"DISPLAY": f":{int(self._server.stdout.readline())}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wake()
        self.kill()

    def kill(self) -> None:
        """The server is gone."""
        if self._server.poll() is None:
            self._server.kill()
            self._server.communicate()

    def hang(self) -> None:
        """The server answers nobody any more, until `wake`."""
        self._server.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._server.send_signal(signal.SIGCONT)

    def look(self) -> NDArray[Any]:
        """Return what the whole screen shows, BGR (H, W, 3)."""
        png = self._call("import", "-window", "root", "png:-")
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return picture

    def save(self, path: Path) -> None:
        """Save what the window shows."""
        self._call("import", "-window", str(self.window()), str(path))

    def window(self) -> int:
        """Return the window of the run."""
        return int(self._call("xdotool", "search", "--onlyvisible", "--class", ".").split()[-1])

    def click(self) -> None:
        """Click into the window, and wait until it gets the keys."""
        window = self.window()
        self._call("xdotool", "mousemove", "--window", str(window), "60", "60", "click", "1")
        eventually(lambda: int(self._call("xdotool", "getwindowfocus")) == window)

    def press(self, key: str) -> None:
        self._call("xdotool", "key", key)

    def _call(self, *words: str) -> bytes:
        variables = self.environment | {"PATH": "/usr/bin:/bin"}
        done = subprocess.run(words, env=variables, capture_output=True, check=True, timeout=PATIENCE_S)
        return done.stdout
