"""Serves a folder's pictures as motion JPEG in a loop.

Of the standard library only, so that it starts fast.

python mjpeg_server.py PORT FOLDER FPS
"""

import contextlib
import itertools
import socketserver
import sys
import threading
from pathlib import Path

__all__ = ["main"]

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, parts: list[bytes], fps: float) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.parts = parts
        self.period_s = 1 / fps


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        pause = threading.Event()
        with contextlib.suppress(ConnectionError):  # a camera does not mind who hangs up
            if not self.request.recv(4096):
                return
            self.request.sendall(HEAD)
            for part in itertools.cycle(self.server.parts):
                self.request.sendall(part)
                pause.wait(self.server.period_s)


def main() -> None:
    """Serve until killed."""
    port, folder, fps = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    parts = [_part(path.read_bytes()) for path in sorted(folder.glob("*.jpg"))]
    with _Server(port, parts, fps) as server:
        server.serve_forever()


def _part(picture: bytes) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)


if __name__ == "__main__":
    main()
