"""Publishes status, people and health of a run."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Literal

from edge import __version__
from edge.agent.vitals import Vitals
from edge.host.machine import clock_synced, rss_bytes
from edge.payload import (
    DropCounts,
    HealthMessage,
    Message,
    Origin,
    State,
    ThrottlingReport,
    people_message,
    status_message,
    utc,
)
from edge.ports import PoseFrame
from edge.rolling import Rolling

__all__ = ["Health", "StateTopic"]

STARTING = "starting"
WINDOW = 512
"""Results whose figures are kept between two health messages: the newest."""
FIRST_S = 1.0
"""From the start to the first health message, if there are results."""

log = logging.getLogger(__name__)

StateTopic = Literal["people", "status", "health"]


class Health:
    """Publishes `status`, `people` and `health` of a run; for any thread.

    Camera, engine and flow report to it. Nothing is published before `start`; it also publishes a loss of
    the engine before it.

    Args:
        publish: takes a state message for a topic; must not block.
        drops: returns the drop counters.
        interval_s: time between two `health` messages.
        max_silence_s: a camera without a frame for longer is reported, even if its driver reports no error; None
            for sources that may pause.
        vitals: returns the machine's latest figures; must not block (`VitalsWatch.latest`).
    """

    def __init__(
        self,
        publish: Callable[[StateTopic, Message], None],
        drops: Callable[[], DropCounts],
        *,
        interval_s: float,
        max_silence_s: float | None = None,
        vitals: Callable[[], Vitals] = Vitals,
    ) -> None:
        self._origin: Origin | None = None
        self._publish = publish
        self._drops = drops
        self._interval_s = interval_s
        self._max_silence_s = max_silence_s
        self._accelerator: Literal["cpu", "edgetpu"] = "cpu"
        self._vitals = vitals
        self._model_problem = ""
        self._lock = threading.Lock()
        self._started_s = time.monotonic()
        self._latency_ms = Rolling(WINDOW)
        self._inference_ms = Rolling(WINDOW)
        self._has_published_health = False
        self._frames = 0
        self._input_size: tuple[int, int] | None = None
        self._last_frame_s: float | None = None
        self._lost_reason: str | None = None
        self._logged_reason = ""  # cleared by a frame: a camera may reopen repeatedly without delivering any
        self._engine_problem = ""
        self._engine_away = False
        self._state: tuple[State, str] | None = None
        self._since_s = time.time()
        self._ids: list[int] | None = None
        self._count: int | None = None
        self._people_published = False
        self._last_published_s = self._started_s
        self._last_published_frames = 0
        self._ended = False

    def start(self, origin: Origin, model_problem: str = "") -> None:
        """Publish the first status: `degraded`, starting.

        Args:
            origin: what the messages of this run have in common.
            model_problem: why the starter replaces the default; empty if it does not.
        """
        with self._lock:
            self._origin = origin
            self._model_problem = f"model: {model_problem}" if model_problem else ""
            # A model may have been downloaded for minutes since this was built: silence counts from here.
            self._started_s = self._last_published_s = time.monotonic()
            self._last_frame_s = None
            self._set_state("degraded", STARTING)
            self._set_people(None, None)
            self._publish_engine_state()

    def camera_up(self) -> None:
        """The camera is open; its first frame makes it `online`."""
        with self._lock:
            self._lost_reason = None
            self._last_frame_s = time.monotonic()  # its silence counts from here
            self._publish_engine_state()

    def camera_lost(self, reason: str) -> None:
        """The camera is lost until `camera_up`."""
        with self._lock:
            if reason != self._logged_reason:
                log.warning("camera: %s; it will be tried again", reason)
            self._lost_reason = self._logged_reason = reason
            self._set_state("degraded", f"camera: {reason}")
            self._set_people(None, None)

    @property
    def is_camera_away(self) -> bool:
        """Whether the camera is lost, so that no frames are expected."""
        with self._lock:
            return self._lost_reason is not None

    def engine_state(self, accelerator: Literal["cpu", "edgetpu"] | None, problem: str) -> None:
        """Record a change of the engine.

        Args:
            accelerator: what it runs on; None while nothing can infer.
            problem: what is wrong; empty if nothing is.
        """
        with self._lock:
            self._engine_away, self._engine_problem = accelerator is None, problem
            self._accelerator = accelerator or self._accelerator
            self._last_frame_s = time.monotonic()  # the time without an engine is not the camera's silence
            self._publish_engine_state()

    def _publish_engine_state(self) -> None:
        """Publish that nothing can infer; any other change shows with the next result."""
        if self._engine_away and self._lost_reason is None and self._origin is not None and not self._ended:
            self._set_state("degraded", f"engine: {self._engine_problem}")
            self._set_people(None, None)

    def result(
        self,
        result: PoseFrame,
        ids: tuple[int, ...] | None,
        input_size: tuple[int, int] | None = None,
        *,
        is_settled: bool = True,
    ) -> None:
        """Record a result.

        Args:
            result: of the flow.
            ids: the confirmed tracks; None without tracking.
            input_size: (width, height) of the model's input in pixels.
            is_settled: False while nobody can tell yet who is there.
        """
        now_s = time.monotonic()
        with self._lock:
            if self._ended:
                return
            self._frames += 1
            self._input_size = input_size
            self._last_frame_s = now_s
            self._latency_ms.add((now_s - result.frame.time_s) * 1e3)
            self._inference_ms.add(result.inference_ms)
            if self._lost_reason is None:
                if self._logged_reason:
                    log.warning("camera: back")
                    self._logged_reason = ""
                problem = f"engine: {self._engine_problem}" if self._engine_problem else self._model_problem
                self._set_state("degraded" if problem else "online", problem)
                count = len(result.poses) if ids is None else len(ids)
                if is_settled:
                    self._set_people(count, [] if ids is None else sorted(ids))
                else:
                    self._set_people(None, None)

    def tick(self) -> None:
        """Publish what is due by time; call it a few times a second."""
        now_s = time.monotonic()
        with self._lock:
            if self._ended:
                return
            if self._is_silent(now_s):
                self._set_state("degraded", f"camera: no frame for {self._max_silence_s:.1f} s")
                self._set_people(None, None)
            # The first one soon: nobody knows anything of a device whose last health is that of its former run.
            first_s = FIRST_S if self._frames and not self._has_published_health else self._interval_s
            if now_s - self._last_published_s >= min(first_s, self._interval_s):
                self._publish_health(now_s)

    def _is_silent(self, now_s: float) -> bool:
        silent_s = now_s - (self._last_frame_s or self._started_s)
        known_away = self._lost_reason is not None or self._engine_away
        return self._max_silence_s is not None and not known_away and silent_s > self._max_silence_s

    def end(self, reason: str, *, should_log: bool = True) -> None:
        """Publish the last status and people.

        Args:
            reason: for the status `offline`.
            should_log: False if the caller raises the reason as an error.
        """
        with self._lock:
            self._ended = True
            self._set_people(None, None)
            self._set_state("offline", reason, should_log=should_log)

    def _set_state(self, state: State, reason: str, *, should_log: bool = True) -> None:
        if self._state == (state, reason):
            return
        is_new = self._state is None or self._state[0] != state
        if is_new:
            self._since_s = time.time()
        # Another reason within the same state is logged by the camera or the engine.
        if is_new or self._state == ("degraded", STARTING):
            log.info("status: %s%s", state, f" ({reason})" if reason and should_log else "")
        self._state = (state, reason)
        assert self._origin is not None
        message = status_message(state, reason, self._origin, time.time(), self._since_s)
        self._publish("status", message)

    def _set_people(self, count: int | None, ids: list[int] | None) -> None:
        if self._people_published and (count, ids) == (self._count, self._ids):
            return
        self._count, self._ids, self._people_published = count, ids, True
        assert self._origin is not None
        message = people_message(count, ids or [], self._origin, time.time())
        self._publish("people", message)

    def _publish_health(self, now_s: float) -> None:
        assert self._origin is not None
        self._repeat_states()
        seconds = now_s - self._last_published_s
        fps = (self._frames - self._last_published_frames) / seconds
        self._last_published_s, self._last_published_frames = now_s, self._frames
        vitals = self._vitals()
        throttling = vitals.throttling
        message = HealthMessage(
            device=self._origin.device,
            run=self._origin.run,
            time=utc(time.time()),
            fps=round(fps, 2),
            latency_ms={"p50": _tenth(self._latency_ms.p50), "p95": _tenth(self._latency_ms.p95)},
            inference_ms=_tenth(self._inference_ms.p50),
            drops=self._drops(),
            engine=self._accelerator,
            model=self._origin.model,
            people=self._count,
            rss_bytes=rss_bytes(),
            cpu_temperature_c=vitals.cpu_temperature_c,
            throttled=None if throttling is None else throttling.is_slowed,
            clock_synced=clock_synced(),
            uptime_s=round(now_s - self._started_s, 1),
            version=__version__,
            throttling=None if throttling is None else ThrottlingReport(**asdict(throttling)),
            memory_available_bytes=vitals.memory_available_bytes,
            unit_memory_bytes=vitals.unit_memory_bytes,
            unit_memory_max_bytes=vitals.unit_memory_max_bytes,
            disk_free_bytes=dict(vitals.disk_free_bytes),
            input_size=self._input_size,
        )
        self._publish("health", message)
        # Figures are of the time since the last message: older ones would tell of another camera, engine or load.
        self._latency_ms, self._inference_ms = Rolling(WINDOW), Rolling(WINDOW)
        self._has_published_health = True

    def _repeat_states(self) -> None:
        """Publish status and people again, with the time of now: a heartbeat by whose age they are believed."""
        assert self._origin is not None
        assert self._state is not None
        now_s = time.time()
        self._publish("status", status_message(*self._state, self._origin, now_s, self._since_s))
        self._publish("people", people_message(self._count, self._ids or [], self._origin, now_s))


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
