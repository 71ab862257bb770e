"""An MQTT broker inside this process (amqtt, MQTT 3.1.1).

For the demo, and for machines without mosquitto.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from types import TracebackType
from typing import Self

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker

from edge.errors import UnavailableError

__all__ = ["EmbeddedBroker"]

_STOP_S = 2.0


class EmbeddedBroker:
    """A broker that runs as a context manager, on its own thread; accepts anonymous logins.

    Attributes:
        host: the address it listens on.
        port: the TCP port; 0 is replaced by the free port that the system chose, once the broker runs.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._started = threading.Event()
        self._stopping = asyncio.Event()
        self._error: Exception | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            UnavailableError: the address cannot be listened on, or amqtt does not start.
        """
        for name in ("amqtt", "transitions"):
            # They warn of every client that disconnects, and of the MQTT 5 login that our client tries first.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise UnavailableError(f"broker: cannot listen on {self.host}:{self.port}: {self._error}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; every client loses its connection."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # noqa: BLE001 - raised by __enter__
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        with socket.create_server((self.host, self.port)) as listener:
            listener.setblocking(False)
            self.port = listener.getsockname()[1]
            await self._run_broker(listener)

    async def _run_broker(self, listener: socket.socket) -> None:
        # Connections are accepted here, not by amqtt, so that the port is known and a stop can close all of them.
        broker = Broker(
            {
                "listeners": {"default": {"type": "external"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await broker.start()
        loop = asyncio.get_running_loop()
        loop.add_reader(listener, self._accept, broker, listener)
        self._started.set()
        await self._stopping.wait()
        loop.remove_reader(listener)
        await self._abort_connections()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(broker.shutdown(), _STOP_S / 2)

    def _accept(self, broker: Broker, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client may have closed already
            client = asyncio.ensure_future(self._handle_client(broker, listener.accept()[0]))
            self._clients.add(client)
            client.add_done_callback(self._forget)

    async def _handle_client(self, broker: Broker, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        self._writers.add(writer)
        try:
            await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), "default")
        finally:
            self._writers.remove(writer)
            writer.transport.abort()

    def _forget(self, client: asyncio.Task[None]) -> None:
        self._clients.remove(client)
        if not client.cancelled():
            # An error of one client ends its connection only; retrieving it keeps asyncio from logging it.
            client.exception()

    async def _abort_connections(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)  # let clients that are being accepted open their streams
        for writer in self._writers:
            writer.transport.abort()
        if self._clients:
            await asyncio.wait([*self._clients], timeout=_STOP_S / 2)
