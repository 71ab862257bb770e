"""The composition root: builds a run from its config, starts it in order, stops it in reverse.

The only place with lazy imports: what a config does not ask for is never loaded.
"""

import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from edge.address import parse_broker
from edge.capture import CameraThread
from edge.config import Config, parse_size
from edge.credentials import mqtt_password, warn_if_exposed
from edge.errors import ConfigError, EdgeError, StuckError
from edge.health import Health, StateTopic
from edge.machine import clock_synced
from edge.mailbox import Mailbox
from edge.models.files import ResolvedModel, is_path, resolve, resolve_file
from edge.models.manifest import Manifest, ModelEntry, load_manifest
from edge.models.places import Places, places
from edge.outputs import open_outlets
from edge.payload import DropCounts, Message, Origin
from edge.pipeline import Flow
from edge.ports import Camera, PoseFrame, Sink
from edge.preprocess import InputMaker, ModelInput
from edge.smooth import Smoother
from edge.source import Source, parse_source
from edge.track import Tracker

if TYPE_CHECKING:
    from edge.engine.litert import LiteRtEngine
    from edge.publish.mqtt import MqttSink
    from edge.publish.settings import MqttSettings

__all__ = ["Run", "RunOptions", "is_dynamic", "mqtt_settings"]

log = logging.getLogger(__name__)

TICK_S = 0.25
FLOW_JOIN_S, DRAIN_S, LAST_JOIN_S = 0.4, 0.3, 0.1
"""What a stop may wait for the flow, the outputs and the camera; with the second that MQTT may take, less than two."""
MAX_BUSY_S = 30.0
"""A thread that is inside a driver or the model for longer will not come back."""
MAX_SILENCE_S = 5.0
"""A live camera that delivers nothing for longer is reported, whatever its driver says."""
RUN_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What only the command line says about a run.

    Attributes:
        max_frames: end after so many; None for all.
        paced: False for every frame of a file exactly once.
        loop: begin a file again at its end.
    """

    max_frames: int | None = None
    paced: bool = True
    loop: bool = False


class Run:
    """One run of the agent, from its config to its end.

    Raises:
        EdgeError: at construction, when something it cannot do without is missing or wrong.
    """

    def __init__(self, config: Config, options: RunOptions) -> None:
        if not (config.mqtt.url or config.output.jsonl or config.output.record):
            raise ConfigError("no output: give --mqtt URL, --jsonl FILE or --record FILE (or set them in a config)")
        self._options = options
        self._over: SimpleQueue[str] = SimpleQueue()  # safe to fill from a signal handler
        source = parse_source(config.camera.source)
        _calm_opencv()
        self._engine = _load_engine(config)
        self._camera = _make_camera(source, config, options)
        self._origin = Origin(
            device=config.device.name,
            run="".join(secrets.choice(RUN_ID_LETTERS) for _ in range(6)),
            camera=config.camera.name or source.name,
            model=self._engine.name,
        )
        self._mqtt = _make_mqtt(config, self._origin)
        sinks: list[Sink] = [] if self._mqtt is None else [self._mqtt]
        sinks += make_jsonl(config, self._origin, on_closed=lambda: self.stop("stdout closed"))
        sinks += _make_recorder(config, self._origin)
        self._outlets = open_outlets(sinks, paced=options.paced or self._camera.live)
        self._inputs: Mailbox[ModelInput] = Mailbox(waits=not options.paced and not self._camera.live)
        self._tracker = _make_tracker(config)
        self._health = Health(
            self._origin,
            self._publish_state,
            self._drops,
            interval_s=config.health.interval_s,
            max_silence_s=MAX_SILENCE_S if self._camera.live else None,
        )
        self._flow = Flow(
            engine=self._engine,
            tracker=self._tracker,
            smoother=Smoother() if config.smooth.enabled else None,
            min_score=config.poses.min_score,
            max_people=config.poses.max_people,
            max_frames=options.max_frames,
            on_result=self._on_result,
        )
        self._camera_thread = CameraThread(
            self._camera,
            self._inputs,
            self._size_model,
            self._health,
            keep_images=any(outlet.sink.wants_image for outlet in self._outlets),
        )
        self._flow_thread = Thread(target=self._run_flow, name="flow", daemon=True)
        self._flow_error: BaseException | None = None

    def stop(self, reason: str = "stopped") -> None:
        """End the run; harmless from any thread and from a signal handler."""
        self._over.put(reason)

    def run(self) -> None:
        """Work until the camera ends or `stop` is called.

        Raises:
            EdgeError: the camera or the model failed for good.
            StuckError: a thread hangs in a driver.
        """
        self._health.start()
        for outlet in self._outlets:
            outlet.start()
        self._flow_thread.start()
        self._camera_thread.start()
        reason = "failed"
        try:
            reason = self._wait()
        finally:
            self._tear_down(reason)
        self._raise_errors()

    def _wait(self) -> str:
        while True:
            try:
                return self._over.get(timeout=TICK_S)
            except Empty:
                self._health.tick()
                self._raise_if_stuck()
                self._raise_if_mute()

    def _raise_if_stuck(self) -> None:
        now_s = time.monotonic()
        reading_s, busy_s = self._camera_thread.reading_since_s, self._flow.busy_since_s
        if self._camera.live and reading_s is not None and now_s - reading_s > MAX_BUSY_S:
            raise StuckError(f"camera {self._origin.camera}: hangs in its driver for {MAX_BUSY_S:g} s")
        if busy_s is not None and now_s - busy_s > MAX_BUSY_S:
            raise StuckError(f"model {self._origin.model}: inference hangs for {MAX_BUSY_S:g} s")

    def _raise_if_mute(self) -> None:
        if all(outlet.failed for outlet in self._outlets):
            raise EdgeError("every output has failed; see above")

    def _tear_down(self, reason: str) -> None:
        """Stop in reverse order; whoever hangs is left behind, the others still end cleanly."""
        failed = self._camera_thread.error or self._flow_error
        self._camera_thread.stop()
        self._flow_thread.join(FLOW_JOIN_S)
        self._drain(reason)
        self._health.end(str(failed) if isinstance(failed, EdgeError) else reason, is_told=failed is None)
        for outlet in self._outlets:
            outlet.close()
        self._camera_thread.join(LAST_JOIN_S)
        if not self._flow_thread.is_alive():
            self._engine.close()

    def _drain(self, reason: str) -> None:
        """Let the outputs finish; a file that was read to its end waits for a slow reader, until it is stopped."""
        for outlet in self._outlets:
            while reason == "ended" and outlet.waits and self._over.empty() and not outlet.drain(TICK_S):
                pass
        deadline_s = time.monotonic() + DRAIN_S
        for outlet in self._outlets:
            outlet.drain(max(deadline_s - time.monotonic(), 0))

    def _raise_errors(self) -> None:
        for error in (self._camera_thread.error, self._flow_error):
            if error is not None:
                raise error

    def _run_flow(self) -> None:
        try:
            self._flow.run(self._inputs, self._outlets)
        except Exception as error:  # noqa: BLE001 - raised again by the main thread
            self._flow_error = error
        finally:
            self.stop("ended")

    def _size_model(self, image_size: tuple[int, int]) -> InputMaker:
        spec = self._engine.size_for(image_size)
        width, height = spec.input_size
        log.info("camera %dx%d, model input %dx%d (width x height)", *image_size, width, height)
        return InputMaker(spec.input_size, spec.input_dtype, spec.input_codes)

    def _on_result(self, result: PoseFrame) -> None:
        self._health.result(result, None if self._tracker is None else self._tracker.present_ids)

    def _publish_state(self, topic: StateTopic, message: Message) -> None:
        if self._mqtt is not None:
            self._mqtt.set_state(topic, message)

    def _drops(self) -> DropCounts:
        lost = {outlet.sink.name: outlet.dropped for outlet in self._outlets}
        if self._mqtt is not None:
            lost["mqtt"] = lost.get("mqtt", 0) + self._mqtt.dropped
        return DropCounts(camera=self._inputs.dropped + self._camera_thread.skipped, outputs=lost)


# The pieces of a run. Imports of drivers stand inside: each pulls in a vendor's library.
# ruff: noqa: PLC0415


def _load_engine(config: Config) -> "LiteRtEngine":
    from edge.engine.litert import LiteRtEngine

    model = _locate_model(config.model.file, config.model.name)
    engine = LiteRtEngine(
        model.path,
        name=model.name,
        threads=config.model.threads,
        input_size=parse_size(config.model.size),
    )
    log.info("model %s from %s", model.name, model.path)
    return engine


def is_dynamic(model: str | None) -> bool:
    """Return whether the input size of a model, by name, path or default, can be chosen.

    Raises:
        EdgeError: it is not there or cannot be used, as a run would say.
    """
    from edge.engine.litert import LiteRtEngine

    by_path = model is not None and is_path(model)
    found = _locate_model(model or "", "") if by_path else _locate_model("", model or "")
    return LiteRtEngine(found.path, name=found.name).is_dynamic


def _locate_model(file: str, name: str) -> ResolvedModel:
    if file:
        return resolve_file(Path(file))
    where = places(os.environ)
    return resolve(name, _manifest(where), where, fetch=lambda entry: _fetch(entry, where))


def _manifest(where: Places) -> Manifest:
    if not where.mirror_url:
        return load_manifest(where.mirror)
    from edge.models.mirror import known_models

    return known_models(where)


def _fetch(entry: ModelEntry, where: Places) -> Path:
    from edge.models.fetch import Fetcher
    from edge.models.progress import ConsoleProgress

    return Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch(entry)


def _calm_opencv() -> None:
    """Keep OpenCV from spreading a resize of one millisecond over all cores: inference is running on them."""
    import cv2

    cv2.setNumThreads(1)


def _make_camera(source: Source, config: Config, options: RunOptions) -> Camera:
    camera, rotate, paced, loop = config.camera, config.camera.rotate, options.paced, options.loop
    name = camera.name or source.name
    match source.kind:
        case "scene":
            from edge.camera.scene import SceneCamera

            size = (camera.width or 1280, camera.height or 720)
            return SceneCamera(size=size, fps=camera.fps or 25.0, paced=paced, rotate=rotate)
        case "images":
            from edge.camera.images import ImagesCamera

            fps = camera.fps or 25.0
            return ImagesCamera(Path(source.text), fps=fps, paced=paced, loop=loop, rotate=rotate)
        case "stream":
            from edge.camera.stream import StreamCamera

            return StreamCamera(source.text, name=name, rotate=rotate)
        case "video":
            from edge.camera.video import VideoCamera

            return VideoCamera(Path(source.text), paced=paced, loop=loop, rotate=rotate)


def mqtt_settings(config: Config) -> "MqttSettings":
    """Return where the broker of a config is, and how to log in.

    Raises:
        ConfigError: the password file cannot be read.
    """
    from edge.publish.settings import MqttSettings

    mqtt, broker = config.mqtt, parse_broker(config.mqtt.url)
    username = mqtt.username or broker.username
    if mqtt.cert_file:
        warn_if_exposed(Path(mqtt.key_file or mqtt.cert_file))
    return MqttSettings(
        host=broker.host,
        port=broker.port,
        tls=broker.tls,
        base_topic=mqtt.base_topic,
        device=config.device.name,
        version=mqtt.version,
        username=username or None,
        password=mqtt_password(username, mqtt.password_file),
        ca_file=mqtt.ca_file or None,
        cert_file=mqtt.cert_file or None,
        key_file=mqtt.key_file or None,
    )


def _make_mqtt(config: Config, origin: Origin) -> "MqttSink | None":
    if not config.mqtt.url:
        return None
    from edge.publish.mqtt import MqttSink

    return MqttSink(mqtt_settings(config), origin, clock_synced=clock_synced)


def make_jsonl(config: Config, origin: Origin, on_closed: Callable[[], None]) -> list[Sink]:
    if not config.output.jsonl:
        return []
    from edge.publish.jsonl import JsonlFileSink, JsonlStdoutSink

    if config.output.jsonl == "-":
        return [JsonlStdoutSink(origin, on_closed)]
    return [JsonlFileSink(Path(config.output.jsonl), origin, max_bytes=config.output.jsonl_max_bytes)]


def _make_recorder(config: Config, origin: Origin) -> list[Sink]:
    output = config.output
    if not output.record:
        return []
    from edge.show.recorder import RecorderSink

    return [RecorderSink(Path(output.record), origin, private=output.private, max_bytes=output.record_max_bytes)]


def _make_tracker(config: Config) -> Tracker | None:
    track = config.track
    return Tracker(metric=track.metric, max_age_s=track.max_age_s) if track.enabled else None
