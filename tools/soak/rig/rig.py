"""The agent with broker, camera and engine, and its faults."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from edge.camera.stream import StreamCamera
from edge.engine.isolation.isolated import IsolatedEngine
from edge.errors import UnavailableError
from edge.mqtt.subscriber import Subscriber
from tools.soak.probe import PoseSubscriber
from tools.soak.proc import engine_of
from tools.soak.rig.agent import Agent
from tools.soak.rig.broker import Broker
from tools.soak.rig.camera import NetworkCamera
from tools.soak.rig.engine import EngineKit

__all__ = ["Rig"]

FIRST_POSE_S = 60.0
SETTLE_S = 60.0
POLL_S = 0.02
STABLE_LINK_S = 12.0
"""The agent resets its back-off after ten seconds of connection."""
GOOD_POSES = 120
"""The agent resets its count of engine failures after a hundred inferences."""


class Rig:
    """The running agent with all that it needs, from `__enter__` to `__exit__`.

    Args:
        folder: for everything that the parts write.
        engine: how the agent gets an engine in a process of its own.
        source: SRC of a camera that is not lost; None: a network camera that comes and goes.
        away_s: how long the network camera is away.

    Attributes:
        broker_kind: which broker it is.
        kinds: what can be lost, in the order of a round.
    """

    def __init__(self, folder: Path, engine: EngineKit, *, source: str | None, away_s: float) -> None:
        self._folder = folder
        self._away_s = away_s
        self._job = engine.job
        self._broker = Broker(folder)
        self._camera = NetworkCamera(folder) if source is None else None
        self.source = self._camera.source if self._camera is not None else source or ""
        self.agent = Agent(folder, self.source, engine.name, self._broker.port, engine.env)
        self.subscriber = PoseSubscriber(self._broker.port)
        self.broker_kind = self._broker.kind
        self._stack = ExitStack()
        # Each loses something, brings it back unless the agent does that itself, and has the subscriber watch from the
        # moment that counts.
        self._faults: Mapping[str, Callable[[], None]] = {
            "broker": self._lose_broker,
            **({} if self._camera is None else {"camera": self._lose_camera}),
            "engine": self._lose_engine,
        }
        self.kinds = tuple(self._faults)
        self._link_since_s = float("-inf")
        self._good_since = -GOOD_POSES

    def __enter__(self) -> Self:
        """Start all processes, and wait for the first pose.

        Raises:
            UnavailableError: something cannot be started, or no pose comes.
        """
        with ExitStack() as stack:
            self._broker.start()
            stack.callback(self._broker.kill)
            if self._camera is not None:
                self._camera.start()
                stack.callback(self._camera.kill)
            stack.enter_context(self.subscriber)
            self.subscriber.watch()
            self.agent.start()
            stack.callback(self.agent.kill)
            if self.subscriber.wait(FIRST_POSE_S) is None:
                last = self.agent.log().strip().splitlines()[-1:] or ["its log is empty"]
                raise UnavailableError(f"no pose within {FIRST_POSE_S:g} s: {last[0]}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self._stack.close()

    def lose(self, kind: str, timeout_s: float) -> float | None:
        """Inject a fault; return the seconds to the next pose, or None.

        None: it did not come within `timeout_s`.
        """
        self._faults[kind]()
        recovery_s = self.subscriber.wait(timeout_s)
        if kind == "broker":
            self._link_since_s = time.monotonic()
        elif kind == "engine":
            self._good_since = self.subscriber.messages
        return recovery_s

    def settle(self, kind: str) -> bool:
        """Wait until the agent has forgotten earlier faults of this kind.

        The next one is then a first one: no back-off is left.

        Returns:
            False when it does not come to that: it has ended, or lives on without an engine of its own.
        """
        deadline_s = time.monotonic() + SETTLE_S
        pause = threading.Event()
        while not self._is_settled(kind):
            if self.agent.code is not None or time.monotonic() > deadline_s:
                return False
            pause.wait(POLL_S)
        return True

    def _is_settled(self, kind: str) -> bool:
        if self.agent.code is not None:
            return False
        if kind == "broker":
            return time.monotonic() - self._link_since_s > STABLE_LINK_S
        if kind == "engine":
            return self.subscriber.messages - self._good_since > GOOD_POSES and engine_of(self.agent.pid) > 0
        return True

    def alone_s(self, kind: str) -> float:
        """Measure the same recovery work now, without a fault.

        Returns:
            Seconds; 0 where it cannot be done twice at a time.
        """
        began_s = time.monotonic()
        if kind == "broker":
            self._use_another_broker()
        elif kind == "camera":
            self._read_camera()
        elif self._job is None:
            return 0.0
        else:
            engine = IsolatedEngine(self._job)
            engine.start()
            engine.close()
        return time.monotonic() - began_s

    def _lose_broker(self) -> None:
        self.subscriber.watch()
        self._broker.kill()
        self._broker.start()

    def _lose_camera(self) -> None:
        assert self._camera is not None
        self._camera.kill()
        threading.Event().wait(self._away_s)
        self._camera.start()
        self.subscriber.watch()

    def _lose_engine(self) -> None:
        pid = engine_of(self.agent.pid)
        self.subscriber.watch()
        if pid:
            os.kill(pid, signal.SIGKILL)

    def _use_another_broker(self) -> None:
        """Start a broker of the same kind, and log in."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            broker = Broker(Path(name))
            broker.start()
            subscriber = Subscriber("127.0.0.1", broker.port, ["soak"], lambda _topic, _payload: None)
            subscriber.start()
            subscriber.stop()
            broker.kill()

    def _read_camera(self) -> None:
        camera = StreamCamera(self.source, name="soak")
        camera.open()
        camera.read()
        camera.close()
