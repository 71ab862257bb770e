"""A network camera process: the synthetic scene as motion JPEG."""

import sys
from pathlib import Path

import cv2

from edge.scene.scene import Scene
from tools.soak.rig import mjpeg_server
from tools.soak.rig.program import Program, free_port

__all__ = ["NetworkCamera"]

SIZE = (1280, 720)
FPS = 10
PICTURES = 40
JPEG_QUALITY = 85


class NetworkCamera:
    """Serves the same few seconds of the scene in a loop.

    Args:
        folder: for its pictures and log.

    Attributes:
        source: the SRC to give to the agent.
    """

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.source = f"http://127.0.0.1:{self._port}/stream"
        pictures = folder / "pictures"
        pictures.mkdir()
        _draw(pictures)
        words = [sys.executable, mjpeg_server.__file__, str(self._port), str(pictures), str(FPS)]
        self._program = Program("camera", words, folder / "camera.log")

    def start(self) -> None:
        """Start it, and wait until it listens. Raises UnavailableError."""
        self._program.start()
        self._program.wait_for(self._port)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._program.kill()


def _draw(folder: Path) -> None:
    scene = Scene(size=SIZE)
    for number in range(PICTURES):
        image, _ = scene.draw(round(number * 25 / FPS))  # the scene has 25 frames per second
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{number:03}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
