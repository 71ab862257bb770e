"""A Raspberry Pi's camera port for tests: objects shaped like picamera2's, driven from their other side by a `Rig`."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image

SENSOR_CONTROLS = ("AeEnable", "ExposureTime", "AnalogueGain", "FrameDurationLimits", "NoiseReductionMode")


def numbered(index: int, size: tuple[int, int] = (96, 64)) -> Image:
    """An image whose four corners differ, and which differs from its neighbours in time."""
    width, height = size
    image = np.full((height, width, 3), 40 + index * 7 % 150, np.uint8)
    image[: height // 2, : width // 4] = (230, 20, 30)
    image[: height // 4, -width // 2 :] = (20, 220, 40)
    return image


def laid_out(image: Image, name: str, stride: int) -> NDArray[np.uint8]:
    """Return an RGB image as the bytes of a format, its rows padded to `stride`."""
    height, width, _ = image.shape
    if name in {"BGR888", "RGB888"}:
        return _padded((image if name == "BGR888" else image[..., ::-1]).reshape(height, -1), stride).ravel()
    i420 = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8).ravel()
    y, (u, v) = i420[: width * height].reshape(height, width), i420[width * height :].reshape(2, height // 2, -1)
    if name == "NV12":
        return _padded(np.vstack([y, np.stack([u, v], axis=-1).reshape(height // 2, width)]), stride).ravel()
    return np.concatenate([_padded(y, stride).ravel(), *(_padded(plane, stride // 2).ravel() for plane in (u, v))])


def _padded(rows: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    return np.pad(rows, ((0, 0), (0, stride - rows.shape[1])), constant_values=201)


@dataclass
class Rig:
    """The other side: what is connected, how it adjusts wishes, what it shows.

    Attributes:
        models: of the cameras that are connected.
        adjust: changes a configuration as libcamera may, or raises.
        picture: the RGB image of a sequence number, in the size asked for; None to hang from there on.
        sensor_ns: SensorTimestamp of a sequence number; None for the clock.
        fps: pictures per second of the clock; 0 for one with each request.
        broken: raised by the next capture.
        opened: cameras that are open now.
        events: what happened, in order.
    """

    models: list[str] = field(default_factory=lambda: ["imx708"])
    offered: Sequence[str] = SENSOR_CONTROLS
    adjust: Callable[[dict[str, Any]], None] = lambda _: None
    picture: Callable[[int, tuple[int, int]], Image | None] = numbered
    sensor_ns: Callable[[int], int | None] | None = None
    fps: float = 0.0
    broken: Exception | None = None
    busy: bool = False
    pads: bool = True
    pisp: bool = False
    opened: list["ScriptedPicamera2"] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    held: int = 0
    camera_asked: dict[str, Any] = field(default_factory=dict)

    @property
    def camera(self) -> "ScriptedPicamera2":
        return self.opened[-1]


class ScriptedRequest:
    def __init__(self, rig: Rig, sequence: int, buffers: Mapping[str, NDArray[np.uint8]]) -> None:
        self._rig = rig
        self.buffers = buffers
        self.request: Any = SimpleNamespace(sequence=sequence)
        rig.held += 1

    def get_metadata(self) -> dict[str, Any]:
        if self._rig.sensor_ns is None:
            return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME)}
        stamp = self._rig.sensor_ns(self.request.sequence)
        return {} if stamp is None else {"SensorTimestamp": stamp}

    def release(self) -> None:
        assert self.request is not None, "released twice"
        self.request = None
        self._rig.held -= 1


class ScriptedJob:
    def __init__(self, signal: Callable[[Any], None]) -> None:
        self._signal = signal
        self._result: ScriptedRequest | Exception | None = None

    def finish(self, result: "ScriptedRequest | Exception") -> None:
        self._result = result
        self._signal(self)

    def cancel(self) -> None:
        self._result = RuntimeError("cancelled")

    def get_result(self, timeout: float | None = None) -> ScriptedRequest:
        assert timeout == 0, "would wait for ever"
        if isinstance(self._result, ScriptedRequest):
            return self._result
        raise self._result or TimeoutError


class ScriptedPicamera2:
    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._config: dict[str, Any] = {}
        self._jobs: list[ScriptedJob] = []
        self._next = 0
        self._start_s = 0.0
        self.controls: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        rig.opened.append(self)

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        return dict.fromkeys(self._rig.offered, (0, 100, None))

    def create_video_configuration(self, **asked: Any) -> dict[str, Any]:
        self.asked = self._rig.camera_asked = asked
        return {**asked, "main": dict(asked["main"]), "lores": dict(asked["lores"]) if asked["lores"] else None}

    def configure(self, config: dict[str, Any]) -> None:
        self._rig.events.append(f"configure {config['main']['size']} {(config['lores'] or {}).get('size')}")
        self._rig.adjust(config)
        for stream in filter(None, (config["main"], config["lores"])):
            bytes_per_row = stream["size"][0] * (3 if "888" in stream["format"] else 1)
            stream["stride"] = (bytes_per_row // 64 + 1) * 64 if self._rig.pads else bytes_per_row
        self._config = config

    def camera_configuration(self) -> dict[str, Any]:
        return self._config

    def set_controls(self, controls: dict[str, Any]) -> None:
        assert set(controls) <= set(self._rig.offered), "not advertised by libcamera"
        self.controls |= controls

    def start(self) -> None:
        self._start_s = time.monotonic()
        self._rig.events.append("start")

    def capture_request(self, *, wait: bool, signal_function: Callable[[Any], None]) -> ScriptedJob:
        assert not wait
        job = ScriptedJob(signal_function)
        self._jobs.append(job)
        if self._rig.broken is not None:
            broken, self._rig.broken = self._rig.broken, None
            self._jobs.remove(job)
            job.finish(broken)
        elif self._rig.fps:
            threading.Thread(target=self._finish_in_time, args=(job,)).start()
        else:
            self._finish(job)
        return job

    def _finish_in_time(self, job: ScriptedJob) -> None:
        """Take the next picture that the clock has not passed yet."""
        now_s = time.monotonic() - self._start_s
        self._next = max(self._next, int(now_s * self._rig.fps))
        threading.Event().wait(max((self._next + 1) / self._rig.fps - now_s, 0))
        self._finish(job)

    def _finish(self, job: ScriptedJob) -> None:
        buffers = {}
        for name in ("main", "lores"):
            stream = self._config[name]
            picture = self._rig.picture(self._next, stream["size"]) if stream else None
            if picture is not None:
                buffers[name] = laid_out(self._flipped(picture), stream["format"], stream["stride"])
        if buffers and job in self._jobs:
            self._jobs.remove(job)
            self._next += 1
            job.finish(ScriptedRequest(self._rig, self._next - 1, buffers))

    def _flipped(self, image: Image) -> Image:
        transform = self._config["transform"]
        image = image[:, ::-1] if transform.hflip else image
        return np.ascontiguousarray(image[::-1] if transform.vflip else image)

    def cancel_all_and_flush(self) -> None:
        for job in self._jobs:
            job.cancel()
        self._jobs.clear()

    def close(self) -> None:
        assert not self._jobs, "waits for ever behind a capture that never ends"
        self._rig.events.append("close")
        if self in self._rig.opened:
            self._rig.opened.remove(self)


class ScriptedLibrary:
    """Fits `edge.camera.pi.stream.Library`."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def cameras(self) -> Sequence[Mapping[str, Any]]:
        return [{"Model": model, "Num": at} for at, model in enumerate(self._rig.models)]

    def open(self, number: int) -> ScriptedPicamera2:
        if self._rig.busy or self._rig.opened:
            busy = RuntimeError("Failed to acquire camera: Device or resource busy")
            raise RuntimeError("Camera __init__ sequence did not complete.") from busy
        assert number < len(self._rig.models)
        return ScriptedPicamera2(self._rig)

    def transform(self, *, hflip: bool, vflip: bool) -> Any:
        return SimpleNamespace(hflip=int(hflip), vflip=int(vflip))

    def colour_space(self) -> str:
        return "SMPTE170M"

    @contextmanager
    def mapped(self, request: ScriptedRequest, stream: str) -> Iterator[Any]:
        assert request.request is not None, "read after its release"
        yield SimpleNamespace(array=request.buffers[stream])

    def takes_small_rgb(self) -> bool:
        return self._rig.pisp
