"""A service manager for tests: the socket at which systemd would listen."""

import socket
import threading
from typing import Self

__all__ = ["Manager"]


class Manager:
    """Where systemd would listen; keeps what it heard, line by line."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address[0] == "@" else address)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    def _listen(self) -> None:
        while text := self._socket.recv(4096).decode():
            self.lines += text.splitlines()

    def heard(self, *lines: str) -> bool:
        return self.lines == list(lines)
