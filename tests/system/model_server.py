"""The models that are at hand, on a web server that a machine of its own can reach."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import environ

from data import MIRROR_VARIABLE
from nspawn import HOST_ADDRESS

__all__ = ["model_server"]


@contextmanager
def model_server() -> Iterator[str]:
    """Serve the models at an address that the machine can reach."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Keep quiet."""

    handler = partial(Quiet, directory=environ[MIRROR_VARIABLE])
    with ThreadingHTTPServer((HOST_ADDRESS, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{HOST_ADDRESS}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
