"""An HTTP server on this machine that does to a download what the internet does."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from certificates import Identity

Answer = Callable[[BaseHTTPRequestHandler], None]


class FaultyServer(ThreadingHTTPServer):
    """Answers each path with its answers, one after the other; the last one stays. Anything else is a 404.

    Attributes:
        requests: path and headers of every request so far.
        gate: what a stalled answer waits for; the server opens it when it closes.
    """

    daemon_threads = False

    def __init__(self, identity: Identity | None = None, port: int = 0, host: str = "127.0.0.1") -> None:
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self.requests: list[tuple[str, Message]] = []
        self.gate = threading.Event()
        super().__init__((host, port), _Handler)
        self._origin = f"http://{host}"
        if identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity.cert, identity.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self._origin = "https://localhost"

    @property
    def url(self) -> str:
        return f"{self._origin}:{self.server_address[1]}"

    def on(self, path: str, *answers: Answer) -> str:
        """Set what a path answers and return its URL."""
        self._answers[path] = list(answers)
        return self.url + path

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.requests)

    def ranges(self, path: str) -> list[str | None]:
        """Return the Range of every request for a path."""
        return [headers["Range"] for asked, headers in self.requests if asked == path]

    def next_answer(self, path: str, headers: Message) -> Answer:
        with self._lock:
            self.requests.append((path, headers))
            answers = self._answers.get(path, [])
            return answers.pop(0) if len(answers) > 1 else answers[0] if answers else status(404)


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer

    def do_GET(self) -> None:
        self.server.next_answer(self.path, self.headers)(self)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""


@contextmanager
def serving(identity: Identity | None = None, port: int = 0, host: str = "127.0.0.1") -> Iterator[FaultyServer]:
    """Run a server, with TLS where it is given who it is (`localhost`); on a free port unless one is named."""
    with FaultyServer(identity, port, host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()


# Answers


def file(content: bytes, etag: str = '"1"', *, ranges: bool = True) -> Answer:
    """Send a file as it should be: whole, or from where the client wants it if it still is the same."""
    return _file(content, etag, ranges=ranges, sent=None, stalls=False)


def cut(content: bytes, after: int, etag: str = '"1"', *, ranges: bool = True) -> Answer:
    """Begin to send a file, and close the connection after so many bytes."""
    return _file(content, etag, ranges=ranges, sent=after, stalls=False)


def stall(content: bytes, after: int, etag: str = '"1"') -> Answer:
    """Begin to send a file, and send nothing more until the gate opens; then the rest."""
    return _file(content, etag, ranges=True, sent=after, stalls=True)


def mute(request: BaseHTTPRequestHandler) -> None:
    """Take the request and never answer it."""
    assert isinstance(request.server, FaultyServer)
    request.server.gate.wait()


def endless(request: BaseHTTPRequestHandler) -> None:
    """Send a file without telling its size, until the client has had enough."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 1000)
    except OSError:
        pass


def claiming(size_bytes: int) -> Answer:
    """Promise a file of this size and send nothing of it."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, 200, {"Content-Length": str(size_bytes)})

    return answer


def without_length(content: bytes) -> Answer:
    """Send a file whose end is the end of the connection."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, 200, {})
        request.wfile.write(content)

    return answer


def status(code: int) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, code, {"Content-Length": "0"})

    return answer


def redirect(target: str, code: int = 302) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, code, {"Location": target, "Content-Length": "0"})

    return answer


def partial(content: bytes, content_range: str) -> Answer:
    """Answer 206 with a Content-Range of one's own."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, 206, {"Content-Range": content_range, "Content-Length": str(len(content))})
        request.wfile.write(content)

    return answer


def garbage(request: BaseHTTPRequestHandler) -> None:
    """Answer with something that is not HTTP."""
    request.wfile.write(b"SSH-2.0-OpenSSH_9.2 \x1b[31m\r\n\r\n")


def _file(content: bytes, etag: str, *, ranges: bool, sent: int | None, stalls: bool) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        start = _start(request, etag) if ranges else 0
        headers = {"Content-Length": str(len(content) - start), **({"ETag": etag} if etag else {})}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        _head(request, 206 if start else 200, headers)
        end = len(content) if sent is None else start + sent
        request.wfile.write(content[start:end])
        if stalls:
            mute(request)
            _quietly(request, content[end:])

    return answer


def _quietly(request: BaseHTTPRequestHandler, rest: bytes) -> None:
    with suppress(OSError):  # the client has gone
        request.wfile.write(rest)


def _start(request: BaseHTTPRequestHandler, etag: str) -> int:
    wanted = request.headers["Range"] or ""
    fits = request.headers["If-Range"] in {None, etag}
    return int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and fits else 0


def _head(request: BaseHTTPRequestHandler, code: int, headers: dict[str, str]) -> None:
    request.send_response(code)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
