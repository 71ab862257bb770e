"""Builds the parts of a run from the config.

Drivers are imported inside the functions: each needs a vendor's library, and only what a config needs is loaded.
"""

# ruff: noqa: PLC0415

import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, assert_never

from edge.agent.vitals import VitalsWatch, read_vitals, written_paths
from edge.config import Config
from edge.config.broker_address import parse_broker
from edge.config.credentials import credentials_beside, mqtt_password, warn_if_exposed
from edge.config.input_size import parse_size
from edge.config.source import Source
from edge.errors import UnavailableError
from edge.host.machine import clock_synced
from edge.models.places import cache_folder
from edge.models.selection import Choice, RetryPolicy
from edge.payload import Origin
from edge.ports import Camera, Sink
from edge.poses.input_sizes import input_sizes
from edge.poses.track import Tracker

if TYPE_CHECKING:
    from edge.mqtt.settings import MqttSettings
    from edge.mqtt.sink import MqttSink
    from edge.output.window.sink import WindowScreen, WindowSink

__all__ = [
    "Watch",
    "limit_opencv_threads",
    "make_camera",
    "make_jsonl",
    "make_model_watch",
    "make_mqtt",
    "make_recorder",
    "make_tracker",
    "make_vitals",
    "make_window",
    "mqtt_settings",
]

MIN_EXPIRY_S = 45

log = logging.getLogger(__name__)


class Watch(Protocol):
    """A background thread of a run besides camera, flow and sinks."""

    def start(self) -> None:
        """Start the thread."""
        ...

    def stop(self) -> None:
        """End the thread; one that hangs is abandoned."""
        ...


def limit_opencv_threads() -> None:
    """Limit OpenCV to one thread; inference needs the cores.

    Else it would spread a resize of one millisecond over all of them.
    """
    import cv2

    cv2.setNumThreads(1)


def make_camera(source: Source, config: Config, *, paced: bool, loop: bool) -> Camera:
    """Return the driver of a source, not open yet."""
    camera, rotate, hflip, vflip = config.camera, config.camera.rotate, config.camera.hflip, config.camera.vflip
    if source.kind != "pi" and camera.controls:
        log.warning("camera.controls are for the source pi only; left out")
    if source.kind in ("video", "images", "stream") and camera.width:
        log.warning("camera.width and height are for cameras and the scene: a %s has a size of its own", source.kind)
    name = camera.name or source.name
    match source.kind:
        case "scene":
            from edge.camera.scene import SceneCamera

            size = (camera.width or 1280, camera.height or 720)
            return SceneCamera(size=size, fps=camera.fps or 25.0, paced=paced, rotate=rotate, hflip=hflip, vflip=vflip)
        case "images":
            from edge.camera.images import ImagesCamera

            fps = camera.fps or 25.0
            return ImagesCamera(
                Path(source.text), fps=fps, paced=paced, loop=loop, rotate=rotate, hflip=hflip, vflip=vflip
            )
        case "stream":
            from edge.camera.stream import StreamCamera

            return StreamCamera(source.text, name=name, fps=camera.fps, rotate=rotate, transport=camera.rtsp_transport)
        case "v4l2":
            from edge.camera.v4l2.driver import DEFAULT_FPS, DEFAULT_SIZE, V4l2Camera

            size = (camera.width or DEFAULT_SIZE[0], camera.height or DEFAULT_SIZE[1])
            return V4l2Camera(
                source.text,
                name=name,
                size=size,
                fps=camera.fps or DEFAULT_FPS,
                rotate=rotate,
                hflip=hflip,
                vflip=vflip,
            )
        case "video":
            from edge.camera.video import VideoCamera

            return VideoCamera(
                Path(source.text), paced=paced, loop=loop, fps=camera.fps, rotate=rotate, hflip=hflip, vflip=vflip
            )
        case "pi":
            return _make_pi(int(source.text), name, config)
        case _:
            assert_never(source.kind)


def _make_pi(number: int, name: str, config: Config) -> Camera:
    """Return a camera of the Pi's port; a small picture suffices if no output shows it.

    Raises:
        UnavailableError: picamera2 is missing or broken.
    """
    from edge.camera.opencv import rotated_size
    from edge.camera.pi.driver import DEFAULT_FPS, DEFAULT_SIZE, PiCamera
    from edge.camera.pi.imports import quiet_logging, unavailable
    from edge.camera.pi.stream import Wish

    quiet_logging(debug=log.isEnabledFor(logging.DEBUG))
    try:
        from edge.camera.pi.library import Picamera2Library
    except (ImportError, ValueError, OSError, RuntimeError) as error:  # ValueError: built for another NumPy
        raise unavailable(error) from error
    camera, output = config.camera, config.output
    shows_picture = not output.private and (output.display or bool(output.record))
    size = (camera.width or DEFAULT_SIZE[0], camera.height or DEFAULT_SIZE[1])
    input_size = parse_size(config.model.size) or input_sizes(rotated_size(size, camera.rotate))[0]
    wish = Wish(
        size=size,
        fps=camera.fps or DEFAULT_FPS,
        hflip=camera.hflip,
        vflip=camera.vflip,
        small_px=None if shows_picture else max(input_size),
    )
    return PiCamera(number, Picamera2Library(), name=name, wish=wish, rotate=camera.rotate, controls=camera.controls)


def mqtt_settings(config: Config, path: Path | None = None) -> "MqttSettings":
    """Return the broker's address and the login of a config.

    Args:
        config: with `mqtt.url`.
        path: of its file; beside that of a service lies the password that systemd hands to it.

    Raises:
        ConfigError: the password file cannot be read.
    """
    from edge.mqtt.settings import MqttSettings, odd_characters

    mqtt, broker = config.mqtt, parse_broker(config.mqtt.url)
    username = mqtt.username or broker.username
    if odd := odd_characters(f"{mqtt.base_topic}{config.device.name}"):
        log.warning("some brokers refuse %s in topics: device.name '%s'", odd, config.device.name)
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
        password=mqtt_password(username, mqtt.password_file, credentials_beside(path)),
        ca_file=mqtt.ca_file or None,
        cert_file=mqtt.cert_file or None,
        key_file=mqtt.key_file or None,
        own_client_id=mqtt.client_id,
    )


def make_mqtt(config: Config, origin: Origin) -> "MqttSink | None":
    """Return the MQTT output, None without `mqtt.url`."""
    if not config.mqtt.url:
        return None
    from edge.mqtt.sink import MqttSink

    # Four heartbeats may be lost before a broker forgets the states.
    expiry_s = max(MIN_EXPIRY_S, math.ceil(4.5 * config.health.interval_s))
    return MqttSink(mqtt_settings(config), origin, state_expiry_s=expiry_s, clock_synced=clock_synced)


def make_jsonl(config: Config, origin: Origin, on_closed: Callable[[], None]) -> list[Sink]:
    """Return the JSONL output, if any; `on_closed` is called when stdout is closed."""
    if not config.output.jsonl:
        return []
    from edge.output.jsonl import JsonlFileSink, JsonlStdoutSink

    if config.output.jsonl == "-":
        return [JsonlStdoutSink(origin, on_closed)]
    return [JsonlFileSink(Path(config.output.jsonl), origin, max_bytes=config.output.jsonl_max_bytes)]


def make_recorder(config: Config, origin: Origin) -> list[Sink]:
    """Return the recorder, if any."""
    output = config.output
    if not output.record:
        return []
    from edge.output.record.recorder import RecorderSink

    return [RecorderSink(Path(output.record), origin, private=output.private, max_bytes=output.record_max_bytes)]


def make_window(config: Config, origin: Origin, on_quit: Callable[[], None]) -> "WindowSink | None":
    """Return the window, None without `output.display`; `on_quit` is called when it is closed."""
    output = config.output
    if not output.display:
        return None
    from edge.output.window.sink import WindowSink

    folder = Path(output.record).parent if output.record else Path()
    return WindowSink(origin, _make_screen, on_quit, private=output.private, folder=folder)


def _make_screen() -> "WindowScreen":
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would go to stdout, among the poses
    try:
        from edge.output.window.screen import PygameScreen
    except ImportError as error:
        text = f"display: the package pygame-ce is missing ({error}): pip install 'edge-pose[display]'"
        raise UnavailableError(text) from error
    return PygameScreen()


def make_tracker(config: Config) -> Tracker | None:
    """Return the tracker, None while tracking is off."""
    track = config.track
    if not track.enabled:
        return None
    return Tracker(metric=track.metric, max_age_s=track.max_age_s, min_score=config.poses.min_score)


def make_vitals(config: Config) -> VitalsWatch:
    """Return the thread that reads the machine's vitals, not started yet."""
    folders = written_paths(config.output, cache_folder(os.environ))
    return VitalsWatch(lambda: read_vitals(folders))


def make_model_watch(
    source: Source, config: Config, choice: Choice, on_available: Callable[[], None], policy: RetryPolicy
) -> list[Watch]:
    """Return the thread that fetches the default while a service runs on the starter, if any.

    A source that ends gets none: a restart would begin a file from its start.
    """
    if choice.retry_error is None or source.kind in ("video", "images"):
        return []
    from edge.agent.model_watch import ModelWatch

    return [ModelWatch(config.model, on_available, reason=choice.retry_error, policy=policy)]
