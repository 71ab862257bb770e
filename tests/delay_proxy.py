"""A TCP proxy that delays what goes through it, in both directions."""

import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Self


class DelayProxy:
    """Stands before a port of this machine, as a long line or a satellite does.

    Args:
        target_port: of the server.
        delay_s: of each direction; a round trip takes twice as long.
    """

    def __init__(self, target_port: int, *, delay_s: float) -> None:
        self._target = target_port
        self._delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                self._pipe(near, far)
                self._pipe(far, near)

    def _pipe(self, source: socket.socket, sink: socket.socket) -> None:
        waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def read() -> None:
            data = b"?"
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                waiting.put((time.monotonic() + self._delay_s, data))

        def write() -> None:
            with suppress(OSError):
                while True:
                    due_s, data = waiting.get()
                    time.sleep(max(due_s - time.monotonic(), 0))
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)

        for work in (read, write):
            threading.Thread(target=work, daemon=True).start()
