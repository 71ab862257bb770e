"""The pieces of a run, each built from its part of the config.

Imports of drivers stand inside the functions, here and nowhere else: each pulls in a vendor's library, and what a
config does not ask for is never loaded.
"""

# ruff: noqa: PLC0415

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.address import parse_broker
from edge.config import Config, parse_size
from edge.credentials import mqtt_password, warn_if_exposed
from edge.machine import clock_synced
from edge.models.files import ResolvedModel, is_path, resolve, resolve_file
from edge.models.manifest import Manifest, ModelEntry, load_manifest
from edge.models.places import Places, places
from edge.payload import Origin
from edge.ports import Camera, Sink
from edge.source import Source
from edge.track import Tracker

if TYPE_CHECKING:
    from edge.engine.litert import LiteRtEngine
    from edge.publish.mqtt import MqttSink
    from edge.publish.settings import MqttSettings

__all__ = [
    "calm_opencv",
    "is_dynamic",
    "load_engine",
    "make_camera",
    "make_jsonl",
    "make_mqtt",
    "make_recorder",
    "make_tracker",
    "mqtt_settings",
]

log = logging.getLogger(__name__)


def load_engine(config: Config) -> "LiteRtEngine":
    """Find, verify and load the model of a config, fetching it if need be. Raises EdgeError."""
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


def calm_opencv() -> None:
    """Keep OpenCV from spreading a resize of one millisecond over all cores: inference is running on them."""
    import cv2

    cv2.setNumThreads(1)


def make_camera(source: Source, config: Config, *, paced: bool, loop: bool) -> Camera:
    """Return the driver of a source; it is not open yet."""
    camera, rotate = config.camera, config.camera.rotate
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


def make_mqtt(config: Config, origin: Origin) -> "MqttSink | None":
    """Return the MQTT output, None without `mqtt.url`."""
    if not config.mqtt.url:
        return None
    from edge.publish.mqtt import MqttSink

    return MqttSink(mqtt_settings(config), origin, clock_synced=clock_synced)


def make_jsonl(config: Config, origin: Origin, on_closed: Callable[[], None]) -> list[Sink]:
    """Return the JSONL output, if there is one; `on_closed` is called when nobody reads stdout any more."""
    if not config.output.jsonl:
        return []
    from edge.publish.jsonl import JsonlFileSink, JsonlStdoutSink

    if config.output.jsonl == "-":
        return [JsonlStdoutSink(origin, on_closed)]
    return [JsonlFileSink(Path(config.output.jsonl), origin, max_bytes=config.output.jsonl_max_bytes)]


def make_recorder(config: Config, origin: Origin) -> list[Sink]:
    """Return the recording, if there is one."""
    output = config.output
    if not output.record:
        return []
    from edge.show.recorder import RecorderSink

    return [RecorderSink(Path(output.record), origin, private=output.private, max_bytes=output.record_max_bytes)]


def make_tracker(config: Config) -> Tracker | None:
    """Return the tracker, None while tracking is off."""
    track = config.track
    return Tracker(metric=track.metric, max_age_s=track.max_age_s) if track.enabled else None
