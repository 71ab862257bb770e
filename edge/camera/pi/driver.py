"""Camera `pi`: the Raspberry Pi's camera port, by picamera2 on libcamera.

The vendor's imports are in `library`; here are only its objects.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edge.camera.capture_time import capture_time_s
from edge.camera.opencv import Turner
from edge.camera.pi.clock import boot_clock, to_monotonic_s
from edge.camera.pi.controls import ControlValue, fit_controls
from edge.camera.pi.stream import Library, Stream, Wish, negotiate
from edge.camera.still import MAX_STILL_S, StillWatch
from edge.errors import CameraLostError
from edge.frame import BufferPool, Frame, Image

__all__ = ["DEFAULT_FPS", "DEFAULT_SIZE", "PiCamera"]

log = logging.getLogger(__name__)

DEFAULT_SIZE, DEFAULT_FPS = (1280, 720), 30.0
READ_TIMEOUT_S = 5.0


class PiCamera:
    """Reads a camera of libcamera; after a loss the caller opens it again.

    Args:
        number: as in `rpicam-hello --list-cameras`.
        library: the vendor's interface.
        name: its name in messages.
        wish: size, rate and mirroring.
        rotate: clockwise degrees: 0, 90, 180 or 270; the sensor rotates by 180, the rest needs a buffer.
        controls: libcamera's controls by name, choices by name too.
        read_timeout_s: without a picture for this long, and three frames at least, the camera counts as lost.
        max_still_s: a camera that shows one picture for this long counts as frozen.
        clock: the monotonic clock, in seconds.
        boot: CLOCK_BOOTTIME, in seconds.
    """

    live = True

    def __init__(
        self,
        number: int,
        library: Library,
        *,
        name: str = "",
        wish: Wish | None = None,
        rotate: int = 0,
        controls: Mapping[str, ControlValue] | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        max_still_s: float = MAX_STILL_S,
        clock: Callable[[], float] = time.monotonic,
        boot: Callable[[], float] = boot_clock,
    ) -> None:
        self._label = f"pi:{number}" if number else "pi"
        self.name = name or self._label
        self._number = number
        self._library = library
        self._wish = (wish or Wish(DEFAULT_SIZE, DEFAULT_FPS)).rotated(rotate)
        self._rotate = rotate % 180
        self._controls = dict(controls or {})
        self._timeout_s = max(read_timeout_s, 3 / self._wish.fps)
        self._still = StillWatch(max_still_s)
        self._clock, self._boot_clock = clock, boot
        self._interrupted, self._ready = threading.Event(), threading.Event()
        self._camera: Any = None
        self._job: Any = None  # a pending capture
        self._stream: Stream | None = None
        self._turner: Turner | None = None
        self._pool = BufferPool()
        self._logged = ""
        self._is_absent = False
        self._index = 0  # of the next picture
        self._sequence: int | None = None  # libcamera's number of the last one
        self._time_s = 0.0  # of the last one

    def open(self) -> None:
        """Find, negotiate and start it.

        Raises:
            CameraLostError: it is absent, in use, or its pictures cannot be read.
        """
        self._interrupted.clear()
        self._sequence = None
        self._still.start()
        model = self._find()
        with self._explained("cannot be opened"):
            self._camera = self._library.open(self._number)
        try:
            with self._explained("cannot be set up"):
                stream = negotiate(self._camera, self._library, self._wish)
                missing = self._set_controls()
                self._camera.start()
        except CameraLostError:
            self.close()
            raise
        self._stream = stream
        self._turner = Turner(hflip=stream.hflip, vflip=stream.vflip, rotate=self._rotate)
        self._log_negotiated(model, stream, missing)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the main stream as negotiated, after rotation."""
        assert self._stream is not None
        width, height = self._stream.size
        return (height, width) if self._rotate else (width, height)

    def read(self) -> Frame | None:
        """Wait for a picture taken from now on; None after an interrupt.

        Raises:
            CameraLostError: it delivers nothing, or shows one picture for too long.
        """
        request = self._next_request()
        if request is None:
            return None
        now_s, boot_s, wall_s = self._clock(), self._boot_clock(), time.time()
        image, sensor_s, sequence = self._take(request)
        self._index += 0 if self._sequence is None else max(sequence - self._sequence - 1, 0)
        self._sequence = sequence
        index, self._index = self._index, self._index + 1
        if problem := self._still.check(image, now_s):
            raise CameraLostError(f"{self._label} {problem}")
        self._time_s = capture_time_s(to_monotonic_s(sensor_s, now_s, boot_s), self._time_s, now_s)
        assert self._turner is not None
        upright = self._turner.turn(image)
        size = self.size if upright.shape[1::-1] != self.size else None
        return Frame(upright, index, self._time_s, wall_s - (now_s - self._time_s), self._time_s, size)

    def interrupt(self) -> None:
        """End a wait in `read`."""
        self._interrupted.set()
        self._ready.set()

    def is_back(self) -> bool:
        """Return whether a camera that was absent is connected now."""
        if not self._is_absent:
            return False
        with self._explained("cameras cannot be listed"):
            return self._number < len(self._library.cameras())

    def close(self) -> None:
        """Stop and release it, so that it can be opened again."""
        camera, self._camera = self._camera, None
        job, self._job = self._job, None
        if camera is None:
            return
        if job is not None:
            _cancel(camera, job)
        try:
            camera.close()
        except Exception as error:  # noqa: BLE001 - after any error: half closed it could not be opened again
            log.debug("%s: close: %s", self._label, error)
            with contextlib.suppress(Exception):
                camera.close()

    def _find(self) -> str:
        """Return the camera's model."""
        with self._explained("cameras cannot be listed"):
            cameras = self._library.cameras()
        self._is_absent = self._number >= len(cameras)
        if self._is_absent:
            number = f"only {len(cameras)}" if cameras else "no"
            found = f"{number} {'cameras are' if len(cameras) > 1 else 'camera is'} connected"
            raise CameraLostError(f"{self._label}: {found}: check its cable, then: rpicam-hello --list-cameras")
        return str(cameras[self._number].get("Model", "camera"))

    def _set_controls(self) -> tuple[str, ...]:
        """Set the offered controls; return a line for each that it lacks."""
        duration_us = round(1e6 / self._wish.fps)
        offered = self._camera.camera_controls
        rate: dict[str, ControlValue] = {"FrameDurationLimits": [duration_us, duration_us]}
        rate = rate if "FrameDurationLimits" in offered else {}
        fitting = fit_controls(rate | self._controls, offered)
        self._camera.set_controls(dict(fitting.values))
        return fitting.missing

    def _next_request(self) -> Any:
        """Wait for the next picture's request; None after an interrupt."""
        assert self._camera is not None
        self._ready.clear()
        if self._interrupted.is_set():
            return None
        with self._explained("cannot capture"):
            self._job = self._camera.capture_request(wait=False, signal_function=lambda _: self._ready.set())
        came = self._ready.wait(self._timeout_s)
        if self._interrupted.is_set():
            return None
        if not came:
            raise CameraLostError(f"{self._label}: no picture for {self._timeout_s:g} s: check its cable")
        job, self._job = self._job, None
        with self._explained("cannot capture"):
            return job.get_result(timeout=0)

    def _take(self, request: Any) -> tuple[Image, float | None, int]:
        """Copy a picture out of its request and release that.

        Returns:
            The RGB image, its SensorTimestamp in seconds or None, its sequence number.
        """
        assert self._stream is not None
        width, height = self._stream.layout.size
        image = self._pool.take((height, width, 3))
        with self._explained("cannot be read"):
            try:
                sensor_ns = request.get_metadata().get("SensorTimestamp")
                sequence = int(request.request.sequence)
                with self._library.mapped(request, self._stream.name) as mapping:
                    self._stream.reader.read_into(mapping.array, image)
            finally:
                request.release()
        return image, None if sensor_ns is None else sensor_ns / 1e9, sequence

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Convert any error of the vendor to one line."""
        try:
            yield
        except Exception as error:
            text = _root(error)
            if "busy" in text:
                text = "in use by another process (sudo fuser -v /dev/media* names it)"
            raise CameraLostError(f"{self._label}: {what}: {text}") from error

    def _log_negotiated(self, model: str, stream: Stream, missing: tuple[str, ...]) -> None:
        """Log the negotiated stream and missing controls, once per change."""
        negotiated = f"{self._label} ({model}): {stream.summary}"
        lines = "; ".join((negotiated, *missing))
        if lines == self._logged:
            return
        self._logged = lines
        (width, height), fps = self._wish.size, self._wish.fps
        log.info("%s (asked for %dx%d at %g fps)", negotiated, width, height, fps)
        if missing:
            log.warning("%s (%s) has %s; left out", self._label, model, ", ".join(missing))


def _cancel(camera: Any, job: Any) -> None:
    """Cancel a capture that may never end: a stop would queue behind it."""
    with contextlib.suppress(Exception):
        camera.cancel_all_and_flush()
    with contextlib.suppress(Exception):  # it came after all, or it was cancelled
        job.get_result(timeout=0).release()


def _root(error: BaseException) -> str:
    """Return the root cause's text in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
