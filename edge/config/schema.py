"""The config schema: type, range, default and help of each key.

The check, the dump and the commented default file are derived from it.
"""

import os
from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from edge.camera.pi.controls import ControlValue, check_controls
from edge.config.broker_address import parse_broker
from edge.config.input_size import parse_size
from edge.config.topic_name import check_name, check_topic, host_name
from edge.poses.pose import MAX_PEOPLE

__all__ = [
    "SYSTEM_CONFIG",
    "Config",
    "ModelConfig",
    "OutputConfig",
    "default_threads",
]

MAX_THREADS = 4
SYSTEM_CONFIG = "/etc/edge-pose/edge-pose.toml"
"""Of the service."""


def _check_size(text: str) -> None:
    parse_size(text)


def _check_broker(url: str) -> None:
    if url:
        parse_broker(url)


def _check_source(source: str) -> None:
    if not source:
        raise ValueError('must not be empty; "scene" needs no hardware')


def default_threads() -> int:
    """Return the default of `model.threads`: the cores of this process, at most 4."""
    return min(len(os.sched_getaffinity(0)), MAX_THREADS)


def _about(
    help_text: str,
    low: float | None = None,
    high: float | None = None,
    *,
    example: object = None,
    check: Callable[[Any], None] | None = None,
) -> Meta:
    """Describe a key: help, range, example where there is no fixed default, check."""
    return Meta(
        description=help_text,
        ge=low,
        le=high,
        examples=None if example is None else [example],
        extra={"check": check} if check else None,
    )


class DeviceConfig(Struct, frozen=True, kw_only=True):
    """This machine."""

    name: Annotated[
        str, _about("name in topics and messages (default: the host name)", example="hall", check=check_name)
    ] = field(default_factory=host_name)


class CameraConfig(Struct, frozen=True, kw_only=True):
    """Where frames come from."""

    source: Annotated[
        str,
        _about(
            "scene (synthetic people), pi, /dev/video0 or better /dev/v4l/by-id/…, a video file, a folder, or rtsp://…",
            check=_check_source,
        ),
    ] = "scene"
    name: Annotated[str, _about("name in messages; empty: after the source")] = ""
    width: (
        Annotated[
            int,
            _about(
                "pixels, before rotation (default: pi 1280x720, USB 640x360, else the source's own)",
                16,
                8192,
                example=1280,
            ),
        ]
        | None
    ) = None
    height: (
        Annotated[
            int,
            _about(
                "pixels, before rotation (default: pi 1280x720, USB 640x360, else the source's own)",
                16,
                8192,
                example=720,
            ),
        ]
        | None
    ) = None
    fps: (
        Annotated[
            float,
            _about(
                "frames per second, of a file its pace (default: cameras 30, else the source's own)",
                0.1,
                1000,
                example=30.0,
            ),
        ]
        | None
    ) = None
    rotate: Annotated[
        Literal[0, 90, 180, 270], _about("degrees clockwise that make the image upright: 0, 90, 180 or 270")
    ] = 0
    rtsp_transport: Annotated[
        Literal["auto", "tcp", "udp"], _about('rtsp: "tcp", "udp", or "auto": TCP, and UDP for a camera without TCP')
    ] = "auto"
    hflip: Annotated[bool, _about("mirror left to right, before rotation")] = False
    vflip: Annotated[bool, _about("mirror top to bottom, before rotation")] = False
    controls: Annotated[
        dict[str, ControlValue],
        _about(
            "pi: libcamera's controls by name, choices by theirs; also as a table [camera.controls]",
            example={"AfMode": "Continuous", "ExposureValue": 0.5},
            check=check_controls,
        ),
    ] = field(default_factory=dict)


class ModelConfig(Struct, frozen=True, kw_only=True):
    """The network that finds the people."""

    name: Annotated[
        str, _about("name in the manifest (`edge-pose models list`); empty: the default or the starter")
    ] = ""
    file: Annotated[str, _about("a .tflite file instead of a name")] = ""
    offline: Annotated[bool, _about("fetch nothing: take the model from the mirror's folder or the cache only")] = False
    size: Annotated[
        str,
        _about(
            'input as "HxW", multiples of 32, or "auto": shape of the picture, the largest of three that holds min_fps',
            check=_check_size,
        ),
    ] = "auto"
    min_fps: Annotated[
        float, _about('size "auto": frames per second that this machine has to hold, else a smaller input', 0.1, 1000)
    ] = 8.0
    threads: Annotated[
        int, _about("processor threads for inference (default: all cores, at most 4)", 1, 64, example=4)
    ] = field(default_factory=default_threads)
    delegate: Annotated[
        Literal["auto", "cpu", "edgetpu"],
        _about('"auto": the Edge TPU where there is one and a model for it; "cpu"; "edgetpu": required'),
    ] = "auto"


class PosesConfig(Struct, frozen=True, kw_only=True):
    """Which people are reported."""

    min_score: Annotated[float, _about("people below this score are left out, 0 to 1", 0, 1)] = 0.2
    max_people: (
        Annotated[int, _about("maximum number of people, best first (default: all)", 1, MAX_PEOPLE, example=6)] | None
    ) = None


class TrackConfig(Struct, frozen=True, kw_only=True):
    """Ids that stay with a person from frame to frame."""

    enabled: Annotated[bool, _about("give people persistent ids")] = True
    metric: Annotated[Literal["oks", "iou"], _about('similarity of two poses: "oks" by keypoints, "iou" by boxes')] = (
        "oks"
    )
    # Longer than tfjs's 1 s: where people cross, the small model melts two into one for more than a second.
    max_age_s: Annotated[float, _about("seconds a person may be out of sight and still keep the id", 0.05, 60)] = 2.0


class SmoothConfig(Struct, frozen=True, kw_only=True):
    """Smoothing of keypoints over time."""

    enabled: Annotated[bool, _about("smooth the keypoints of people with an id")] = True


class MqttConfig(Struct, frozen=True, kw_only=True):
    """The broker that gets the messages."""

    url: Annotated[
        str,
        _about("mqtt://host[:1883], or mqtts://host[:8883] for TLS; empty: no MQTT", check=_check_broker),
    ] = ""
    version: Annotated[
        Literal["auto", "5", "3.1.1"], _about('MQTT "5", "3.1.1", or "auto": 5 unless the broker refuses it')
    ] = "auto"
    username: Annotated[str, _about("user name; mqtt://user@host does the same")] = ""
    password_file: Annotated[
        str, _about("file that holds the password; empty: systemd's credential mqtt-password, if the unit has one")
    ] = ""
    ca_file: Annotated[str, _about("TLS: certificates to trust, PEM; empty: the system's")] = ""
    cert_file: Annotated[str, _about("TLS: this client's certificate, PEM")] = ""
    key_file: Annotated[str, _about("TLS: its private key, PEM, unless cert_file holds it")] = ""
    client_id: Annotated[
        str, _about("client id, for a broker that allows only certain ones; empty: made of base_topic and device.name")
    ] = ""
    base_topic: Annotated[str, _about("topics start with <base_topic>/<device.name>", check=check_topic)] = "edge-pose"


class OutputConfig(Struct, frozen=True, kw_only=True):
    """Outputs other than MQTT."""

    jsonl: Annotated[
        str, _about('file to which every pose message is appended as a line; "-": stdout; empty: none')
    ] = ""
    jsonl_max_bytes: Annotated[int, _about("the file is rotated at this size in bytes", 10_000, 10**12)] = 64_000_000
    record: Annotated[str, _about("video file for the annotated frames (.mp4, .mkv, .avi, .webm); empty: none")] = ""
    record_max_bytes: (
        Annotated[
            int,
            _about(
                "total size of a recording in bytes beyond which its oldest files are deleted (default: no limit)",
                10**6,
                10**15,
                example=10**10,
            ),
        ]
        | None
    ) = None
    display: Annotated[bool, _about("show the image, skeletons and state in a window; needs a screen")] = False
    private: Annotated[
        bool, _about("record and show skeletons on black: no pixel of the camera image is stored or shown")
    ] = False


class HealthConfig(Struct, frozen=True, kw_only=True):
    """Health messages of the agent."""

    interval_s: Annotated[float, _about("seconds between two health messages", 0.1, 3600)] = 10.0


class Config(Struct, frozen=True, kw_only=True):
    """The whole config; one field per TOML table."""

    device: DeviceConfig = field(default_factory=DeviceConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    poses: PosesConfig = field(default_factory=PosesConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    smooth: SmoothConfig = field(default_factory=SmoothConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
