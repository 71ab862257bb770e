"""Samples the agent and its engine on a thread."""

import threading
import time
from dataclasses import dataclass
from typing import Self

from tools.soak.proc import engine_of, usage

__all__ = ["Sample", "Sampler"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample.

    Attributes:
        time_s: since the beginning of the soak.
        rss_bytes: resident memory of the agent.
        engine_rss_bytes: that of its engine's process; None while there is none.
        threads: of the agent.
        fds: its open descriptors.
        children: its child processes.
        late_s: by how much the sample came too late: the scheduling delay.
    """

    time_s: float
    rss_bytes: int
    engine_rss_bytes: int | None
    threads: int
    fds: int
    children: int
    late_s: float


class Sampler:
    """Samples from `__enter__` to `__exit__`.

    Args:
        pid: the agent's.
        start_s: when the soak began, on the monotonic clock.
        period_s: from one sample to the next.
    """

    def __init__(self, pid: int, start_s: float, period_s: float) -> None:
        self._pid = pid
        self._start_s = start_s
        self._period_s = period_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        late_s = 0.0
        while True:
            self._sample(late_s)
            due_s = time.monotonic() + self._period_s
            if self._over.wait(self._period_s):
                return
            late_s = time.monotonic() - due_s

    def _sample(self, late_s: float) -> None:
        agent, engine = usage(self._pid), usage(engine_of(self._pid))
        if agent is not None:
            self.samples.append(
                Sample(
                    time_s=time.monotonic() - self._start_s,
                    rss_bytes=agent.rss_bytes,
                    engine_rss_bytes=None if engine is None else engine.rss_bytes,
                    threads=agent.threads,
                    fds=agent.fds,
                    children=agent.children,
                    late_s=late_s,
                )
            )
