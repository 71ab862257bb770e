"""A motion-JPEG camera whose picture changes from nobody to people and back.

Started by `tools.costs.change_to_line` as a process of its own, so that it shares no interpreter with what is measured.
"""

import contextlib
import itertools
import socketserver
import sys
import time

import cv2
import numpy as np

from edge.frame import Image
from edge.scene.cast import Actor
from edge.scene.scene import Scene

__all__ = ["CHANGE_FRAMES", "FPS", "MARK_PX", "pictures"]

FPS = 25.0
CHANGE_FRAMES = 15
"""The picture changes with every 15th frame: a second has no whole number of them."""
SIZE = (1280, 720)
MARK_PX = 32
"""Side of the square at the top left that is white in the pictures with people, black in the others."""
BLUR_PX = 20
SHOWN_AT = 60
"""Frame of the scene with its people."""


class _Nobody:
    def at(self, time_s: float) -> list[Actor]:  # noqa: ARG002 - nobody at any time
        return []


def pictures() -> tuple[Image, Image]:
    """Return the two pictures, RGB uint8 (720, 1280, 3): nobody, people."""
    empty, _ = Scene(size=SIZE, cast=_Nobody()).draw(SHOWN_AT)
    crowded, _ = Scene(size=SIZE).draw(SHOWN_AT)
    empty = np.asarray(cv2.GaussianBlur(empty, (0, 0), BLUR_PX), np.uint8)  # nothing to be taken for a person
    empty[:MARK_PX, :MARK_PX], crowded[:MARK_PX, :MARK_PX] = 0, 255
    return empty, crowded


class _Client(socketserver.BaseRequestHandler):
    """Sends 25 pictures a second; prints the time of each change, on the monotonic clock, and what is shown."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._send()

    def _send(self) -> None:
        self.request.recv(4096)
        self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        start_s = time.monotonic()
        for index in itertools.count():
            time.sleep(max(start_s + index / FPS - time.monotonic(), 0))
            shown = index // CHANGE_FRAMES % 2
            now_s = time.monotonic()
            self.request.sendall(_PARTS[shown])
            if index % CHANGE_FRAMES == 0:
                print(now_s, shown, flush=True)


def _part(image: Image) -> bytes:
    picture: bytes = np.asarray(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]).tobytes()
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    disable_nagle_algorithm = True


if __name__ == "__main__":
    _PARTS = [_part(image) for image in pictures()]
    with _Server(("127.0.0.1", 0), _Client) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(130)
