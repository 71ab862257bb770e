"""One run: built from its config, started in order, stopped in reverse.

The composition root; `parts` builds the single parts.
"""

import logging
import sys
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from edge.agent.capture import CameraThread, Captured
from edge.agent.deadlines import max_silence_s, raise_if_stuck
from edge.agent.health import Health, StateTopic
from edge.agent.loading import load_engine
from edge.agent.parts import (
    Watch,
    limit_opencv_threads,
    make_camera,
    make_jsonl,
    make_model_watch,
    make_mqtt,
    make_recorder,
    make_tracker,
    make_vitals,
    make_window,
)
from edge.agent.pipeline import Flow
from edge.agent.progress import Progress, undelivered
from edge.agent.sink_threads import drain, open_sinks
from edge.agent.size_policy import SizePolicy
from edge.config import Config
from edge.config.input_size import parse_size
from edge.config.source import parse_source
from edge.errors import ConfigError, EdgeError, RestartError, UnavailableError
from edge.estimator import Estimator
from edge.host.random_id import random_id
from edge.host.systemd import Notifier, Watchdog
from edge.mailbox import Mailbox
from edge.models.selection import RETRY_POLICY, RetryPolicy, select
from edge.payload import DropCounts, Message, Origin, StatusMessage
from edge.ports import PoseFrame, Sink
from edge.poses.smooth import Smoother
from edge.poses.track import MIN_UNSURE_SCORE

__all__ = ["Run", "RunOptions"]

log = logging.getLogger(__name__)

TICK_S = 0.25
FLOW_JOIN_S, DRAIN_S, LAST_JOIN_S = 0.4, 0.3, 0.1
"""How long a stop waits for the flow, the outputs and the camera: with MQTT's second, less than 2 s in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options that only the command line has.

    Attributes:
        max_frames: end after this many frames; None for all.
        paced: False to process every frame of a file exactly once.
        loop: start a file again at its end.
    """

    max_frames: int | None = None
    paced: bool = True
    loop: bool = False


class Run:
    """One run of the agent, from its config to its end.

    Args:
        config: what to do.
        options: from the command line.
        policy: when a service tries again to fetch the default model.

    Raises:
        EdgeError: at construction, if something required is missing or wrong.
    """

    def __init__(self, config: Config, options: RunOptions, *, policy: RetryPolicy = RETRY_POLICY) -> None:
        output = config.output
        if not (config.mqtt.url or output.jsonl or output.record or output.display):
            raise ConfigError(
                "no output: give --mqtt URL, --jsonl FILE, --record FILE or --display, or set mqtt.url in the config"
            )
        self._progress = Progress()
        self._state_text = self._told_text = ""
        self._paced = options.paced
        self._over: SimpleQueue[str | RestartError] = SimpleQueue()  # safe to fill from a signal handler
        self._notifier = Notifier()
        self._watchdog = Watchdog(self._notifier)
        source = parse_source(config.camera.source)
        limit_opencv_threads()
        self._camera = make_camera(source, config, paced=options.paced, loop=options.loop)
        vitals = make_vitals(config)
        # Built before the parts that report to it: an engine may be lost while it is loaded.
        self._health = Health(
            self._publish_state,
            self._drops,
            interval_s=config.health.interval_s,
            max_silence_s=max_silence_s(config.camera.fps) if self._camera.live else None,
            vitals=vitals.latest,
        )
        self._engine, self._choice = select(
            config.model, lambda choice: load_engine(config, self._health.engine_state, choice), policy=policy
        )
        self._origin = Origin(
            device=config.device.name,
            run=random_id(6),
            camera=config.camera.name or source.name,
            model=self._engine.name,
        )
        self._watches: list[Watch] = [vitals]
        self._watches += make_model_watch(source, config, self._choice, self._restart, policy)
        self._build_sinks(config, paced=options.paced or self._camera.live)
        self._build_flow(config, options)

    def _build_sinks(self, config: Config, *, paced: bool) -> None:
        """Open the outputs. Raises UnavailableError when none of them can work."""
        self._mqtt = make_mqtt(config, self._origin)
        self._window = make_window(config, self._origin, on_quit=lambda: self.stop("window closed"))
        sinks: list[Sink] = [] if self._mqtt is None else [self._mqtt]
        sinks += make_jsonl(config, self._origin, on_closed=lambda: self.stop("stdout closed"))
        sinks += make_recorder(config, self._origin)
        sinks += [] if self._window is None else [self._window]
        self._sinks = open_sinks(sinks, paced=paced)

    def _build_flow(self, config: Config, options: RunOptions) -> None:
        """Build the camera's and the flow's thread; `run` starts them."""
        lossless = not options.paced and not self._camera.live
        self._frames: Mailbox[Captured] = Mailbox(waits=lossless)
        self._tracker = make_tracker(config)
        # The tracker knows what to make of unsure poses, and leaves the others out.
        min_score = config.poses.min_score if self._tracker is None else min(config.poses.min_score, MIN_UNSURE_SCORE)
        self._flow = Flow(
            estimator=Estimator(self._engine, min_score=min_score, max_people=config.poses.max_people),
            tracker=self._tracker,
            smoother=Smoother() if config.smooth.enabled else None,
            max_frames=options.max_frames,
            on_result=self._on_result,
            # Without a pace every run of the same file gives the same results.
            size_policy=None if lossless or parse_size(config.model.size) else SizePolicy(config.model.min_fps),
            keep_images=any(sink.sink.wants_image for sink in self._sinks),
            lossless=lossless,
        )
        self._camera_thread = CameraThread(self._camera, self._frames, self._flow.estimator.input_ahead, self._health)
        self._flow_thread = Thread(target=self._run_flow, name="flow", daemon=True)
        self._flow_error: BaseException | None = None

    def stop(self, reason: str = "stopped") -> None:
        """End the run; harmless from any thread and from a signal handler."""
        self._over.put(reason)

    def _restart(self) -> None:
        self._over.put(RestartError("restarts: the default model is here"))

    def run(self) -> None:
        """Run until the camera ends or `stop` is called.

        Raises:
            EdgeError: the camera or the model failed for good.
            StuckError: a thread hangs in a driver.
            RestartError: a service on the starter has fetched the default.
        """
        self._notifier.ready()  # from here on a missing part is waited for
        self._health.start(self._origin, self._choice.fallback_reason)
        for watch in self._watches:
            watch.start()
        for sink in self._sinks:
            sink.start()
        self._flow_thread.start()
        self._camera_thread.start()
        reason, should_log = "failed", True
        try:
            reason = self._wait()
        except EdgeError as error:
            reason, should_log = str(error), False  # the command line prints it
            raise
        finally:
            self._tear_down(reason, should_log=should_log)
        self._raise_errors()
        self._sum_up(reason)

    def _wait(self) -> str:
        while True:
            try:
                end = self._over.get(timeout=TICK_S)
            except Empty:
                self._check()
            else:
                return self._end(end)

    def _end(self, end: str | RestartError) -> str:
        """Return why the run ends; a stop that comes together with a restart wins."""
        if isinstance(end, str):
            return end
        try:
            return self._end(self._over.get_nowait())
        except Empty:
            raise end from None

    def _check(self) -> None:
        self._health.tick()
        self._tell_systemd()
        line = self._progress.due_line(time.monotonic())
        if line and sys.stderr.isatty():  # a journal has `health` instead
            log.info("%s", line)
        self._feed_watchdog()
        self._raise_if_stuck()
        self._raise_if_no_output()

    def _sum_up(self, reason: str) -> None:
        """Log what was found and delivered. Raises UnavailableError if a source has ended and nothing was."""
        skipped = self._drops().camera
        is_paced_file = self._paced and not self._camera.live
        log.info("%s", self._progress.summary(self._sinks, skipped, is_paced_file=is_paced_file))
        if reason == "ended" and (names := undelivered(self._progress, self._sinks)):
            raise UnavailableError(f"nothing was delivered: {names} took none of {self._progress.frames} results")

    def _feed_watchdog(self) -> None:
        done = self._flow.frames + self._flow.dropped
        self._watchdog.update(done, time.monotonic(), idle_expected=self._health.is_camera_away)

    def _raise_if_stuck(self) -> None:
        reading_s = self._camera_thread.reading_since_s if self._camera.live else None
        raise_if_stuck(self._origin, time.monotonic(), reading_since_s=reading_s, busy_since_s=self._flow.busy_since_s)

    def _raise_if_no_output(self) -> None:
        failures = [sink.failure for sink in self._sinks]
        if all(isinstance(failure, UnavailableError) for failure in failures):
            raise UnavailableError("no output is left; see above")
        if all(failures):
            raise EdgeError("every output has failed; see above")

    def _tear_down(self, reason: str, *, should_log: bool) -> None:
        """Stop in reverse order; a thread that hangs is abandoned, the others end cleanly."""
        self._notifier.stopping()
        failed = self._camera_thread.error or self._flow_error
        self._camera_thread.stop()
        self._flow.stopping = True
        self._engine.retire()
        self._flow_thread.join(FLOW_JOIN_S)
        self._drain(reason)
        last_reason = str(failed) if isinstance(failed, EdgeError) else reason
        self._health.end(last_reason, should_log=should_log and failed is None)
        for watch in self._watches:
            watch.stop()
        for sink in self._sinks:
            sink.close()
        self._camera_thread.join(LAST_JOIN_S)
        if not self._flow_thread.is_alive():
            self._engine.close()

    def _drain(self, reason: str) -> None:
        """Let the outputs finish; at the end of a file wait for a slow reader until the run is stopped."""
        for sink in self._sinks:
            while reason == "ended" and sink.waits and self._over.empty() and not sink.drain(TICK_S):
                pass
        # While the flow hung there were no results, so the outputs have had time to finish.
        drain(self._sinks, LAST_JOIN_S if self._flow_thread.is_alive() else DRAIN_S)

    def _raise_errors(self) -> None:
        for error in (self._camera_thread.error, self._flow_error):
            if error is not None:
                raise error

    def _run_flow(self) -> None:
        try:
            self._flow.run(self._frames, self._sinks)
        except Exception as error:  # noqa: BLE001 - raised again by the main thread
            self._flow_error = error
        finally:
            self.stop("ended")

    def _on_result(self, result: PoseFrame) -> None:
        ids = None if self._tracker is None else self._tracker.present_ids
        self._progress.add(len(result.poses) if ids is None else len(ids))
        is_settled = self._tracker is None or self._tracker.is_settled
        self._health.result(result, ids, self._engine.spec.input_size, is_settled=is_settled)

    def _publish_state(self, topic: StateTopic, message: Message) -> None:
        if isinstance(message, StatusMessage):
            self._state_text = f"{message.state}: {message.reason}" if message.reason else message.state
            self._tell_systemd(is_last=message.state == "offline")
        for sink in (self._mqtt, self._window):
            if sink is not None:
                sink.set_state(topic, message)

    def _tell_systemd(self, *, is_last: bool = False) -> None:
        """Tell systemd how the run is, when that changes: the state, then what is wrong with outputs."""
        problems = [f"output {sink.sink.name} has failed" for sink in self._sinks if sink.failure is not None]
        if self._mqtt is not None and self._mqtt.problem:
            problems.insert(0, self._mqtt.problem)
        text = self._state_text if is_last else "; ".join([self._state_text, *problems])
        if text != self._told_text:
            self._told_text = text
            self._notifier.status(text)

    def _drops(self) -> DropCounts:
        lost = {sink.sink.name: sink.dropped for sink in self._sinks}
        return DropCounts(camera=self._frames.dropped + self._camera_thread.skipped + self._flow.dropped, outputs=lost)
