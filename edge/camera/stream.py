"""Camera `stream`: URLs, read by OpenCV's FFmpeg with timeouts; also of single pictures, one per request."""

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Literal

import cv2

from edge.camera.opencv import (
    MAX_REFUSED,
    MAX_SIDE_PX,
    REFUSES_TEXT,
    ImageReader,
    InterlacedError,
    frame_size,
    open_capture,
    pixel_aspect,
    retrieve,
    rotated_size,
)
from edge.camera.picture import PictureError, decode_picture
from edge.camera.request import RequestError, fetch_picture, playable_url, probe
from edge.camera.stamps import StampClock
from edge.camera.still import MAX_STILL_S, OPENCV_STICKS, StillWatch, is_flat
from edge.errors import CameraLostError
from edge.frame import Frame, Image

__all__ = ["StreamCamera", "Transport"]

log = logging.getLogger(__name__)

Transport = Literal["auto", "tcp", "udp"]
OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 3.0
MAX_FLAT_S = 4.0
"""Pictures of one colour show no people, so they are left out; for so long the camera is not called lost."""
SNAPSHOTS_FPS = 5.0
FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
USERS_OPTIONS = os.environ.get(FFMPEG_OPTIONS, "")
MJPEG = cv2.VideoWriter.fourcc(*"MJPG")


class StreamCamera:
    """Reads a live stream; after a loss the caller opens it again.

    A URL that gives one picture per request is asked again and again. What comes in bursts, as HLS does, is played by
    its own time stamps, never faster than real time.

    Args:
        url: rtsp(s)://, http(s)://, rtmp(s)://, tcp:// or udp://, credentials included.
        name: its name in messages, without credentials.
        fps: pictures per second to ask for, where each is a request; None for 5.
        rotate: clockwise degrees: 0, 90, 180 or 270.
        hflip: mirror left to right, before rotation.
        vflip: mirror top to bottom, before rotation.
        transport: of RTSP; `auto` is TCP, and UDP for a camera that has no TCP.
        open_timeout_s: how long to wait for a connection.
        read_timeout_s: how long to wait for a picture before the stream counts as lost.
        max_still_s: a stream that shows one picture for this long is opened again, where OpenCV may stick.
        max_flat_s: a stream whose pictures have one colour for this long is lost.
        may_stick: whether it may, see `edge.camera.still`.
    """

    live = True

    def __init__(
        self,
        url: str,
        *,
        name: str,
        fps: float | None = None,
        rotate: int = 0,
        hflip: bool = False,
        vflip: bool = False,
        transport: Transport = "auto",
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        max_still_s: float = MAX_STILL_S,
        max_flat_s: float = MAX_FLAT_S,
        may_stick: bool = OPENCV_STICKS,
    ) -> None:
        self.name = name
        self._url = playable_url(url)
        self._is_http = self._url.lower().startswith("http")
        self._is_rtsp = self._url.lower().startswith("rtsp")
        self._snapshot_s = 1 / (fps or SNAPSHOTS_FPS)
        self._transport = transport
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._max_flat_s = max_flat_s
        # Once: a stream may show a test card, and a new connection shows whether OpenCV was stuck.
        self._still = StillWatch(max_still_s, once=True) if may_stick else None
        self._reader = ImageReader(rotate, hflip=hflip, vflip=vflip)
        self._rotate = rotate
        self._interrupted = threading.Event()
        self._capture: cv2.VideoCapture | None = None
        self._snapshot: Image | None = None  # the first one, BGR; not None: the URL gives pictures
        self._has_read_snapshot = False
        self._snapshot_due_s = 0.0
        self._bgr: Image | None = None  # decoded into, again and again
        self._grabbed = 0  # pictures since it was opened
        self._flat_since_s: float | None = None
        self._clock: StampClock | None = None  # of a stream that comes in bursts
        self._clock_start_s = 0.0
        self._index = 0

    def open(self) -> None:
        """Connect. Raises CameraLostError: no answer in time, a refusal, no video, or too large a one."""
        self._interrupted.clear()
        self._grabbed, self._flat_since_s = 0, None
        if self._snapshot is not None:
            self._open_snapshots()
        else:
            self._open_stream()
        if self._still is not None:
            self._still.start()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as the stream reports, after rotation."""
        if self._snapshot is not None:
            return rotated_size((self._snapshot.shape[1], self._snapshot.shape[0]), self._rotate)
        assert self._capture is not None
        return frame_size(self._capture, self._rotate, self._reader.aspect)

    def read(self) -> Frame | None:
        """Wait for the next picture; None after an interrupt.

        Pictures of one colour are left out.

        Raises:
            CameraLostError: the stream ended, stalled, shows nothing or is stuck at one picture.
        """
        refused = 0
        while not self._interrupted.is_set():
            if self._snapshot is not None:
                bgr, time_s = self._next_snapshot()
            else:
                try:
                    bgr, time_s = self._next_picture()
                except InterlacedError:
                    refused += 1
                    if refused < MAX_REFUSED:
                        continue
                    raise CameraLostError(f"{self.name} {REFUSES_TEXT}") from None
            if bgr is None or self._is_flat(bgr, time_s):
                continue
            return self._frame(bgr, time_s)
        return None

    def interrupt(self) -> None:
        """End a wait for a due picture; a read from the stream ends with its next picture or at its timeout."""
        self._interrupted.set()

    def is_back(self) -> bool:
        """Return False: only opening a stream shows whether it is back."""
        return False

    def close(self) -> None:
        """Disconnect."""
        if self._capture is not None:
            self._capture.release()

    def _open_stream(self) -> None:
        is_refused = False
        for transport in self._transports():
            before_s = time.monotonic()
            # FFmpeg takes this option only from the environment.
            os.environ[FFMPEG_OPTIONS] = _ffmpeg_options(transport)
            self._capture = open_capture(
                self._url,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(self._open_timeout_s * 1e3),
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(self._read_timeout_s * 1e3),
                ],
            )  # fmt: skip
            if self._capture.isOpened():
                break
            is_refused = time.monotonic() - before_s < self._open_timeout_s / 2
            answer = probe(self._url, min(self._open_timeout_s, PROBE_TIMEOUT_S))
            if answer.is_picture:
                self._open_snapshots()
                return
            if not answer.is_offered:
                raise CameraLostError(f"{self.name} cannot be opened: {answer.reason}")
        else:
            raise CameraLostError(f"{self.name} cannot be opened: OpenCV's FFmpeg cannot read what the server offers")
        if transport == "udp" and self._transport == "auto":
            log.info("%s: has no RTSP over TCP: UDP it is, which may lose packets", self.name)
            self._transport = "udp" if is_refused else "auto"  # no answer in time may be another fault
        self._reader.aspect = pixel_aspect(self._capture)
        self._check_size()
        self._start_clock()

    def _transports(self) -> Sequence[str]:
        """Return what to try, one after the other; an empty word is the user's own choice."""
        if not self._is_rtsp or (self._transport == "auto" and "rtsp_transport" in USERS_OPTIONS):
            return ("",)
        # UDP last: it loses packets, and a lost packet smears the picture for seconds.
        return ("tcp", "udp") if self._transport == "auto" else (self._transport,)

    def _check_size(self) -> None:
        width, height = self.size
        if min(width, height) <= 0:
            raise CameraLostError(f"{self.name} sends no picture")
        if max(width, height) > MAX_SIDE_PX:
            self.close()
            raise CameraLostError(f"{self.name} sends {width}x{height} pixels: more than {MAX_SIDE_PX} a side")

    def _start_clock(self) -> None:
        """Play by time stamps what comes in bursts: HLS, files; motion JPEG has none, or invented ones."""
        assert self._capture is not None
        is_live = not self._is_http or int(self._capture.get(cv2.CAP_PROP_FOURCC)) == MJPEG
        self._clock = None if is_live else StampClock()
        if self._clock is not None:
            self._clock.start(0.0)

    def _next_picture(self) -> tuple[Image | None, float]:
        """Return the stream's next picture and its capture time; None instead of a picture to call it again.

        Raises:
            CameraLostError: there is none.
            InterlacedError: OpenCV did not convert it.
        """
        assert self._capture is not None
        before_s = time.monotonic()
        if not self._capture.grab():
            return self._end(time.monotonic() - before_s)
        self._grabbed += 1
        time_s = self._due_s(time.monotonic())
        bgr = retrieve(self._capture, self._bgr)
        if bgr is None:
            raise CameraLostError(f"{self.name} sent a picture that cannot be decoded")
        self._bgr = bgr
        if self._clock is not None and self._interrupted.wait(max(time_s - time.monotonic(), 0)):
            return None, time_s
        return bgr, time_s

    def _due_s(self, now_s: float) -> float:
        """Return the capture time of the grabbed picture; what arrives late moves what follows."""
        if self._clock is None:
            return now_s
        assert self._capture is not None
        stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        position_s = self._clock.position_s(stamp_s, self._capture.get(cv2.CAP_PROP_FPS))
        if self._grabbed == 1 or self._clock_start_s + position_s < now_s:
            self._clock_start_s = now_s - position_s
        return self._clock_start_s + position_s

    def _end(self, waited_s: float) -> tuple[Image | None, float]:
        """Go on with single pictures if it was one, else raise CameraLostError."""
        if self._grabbed <= 1 and self._is_http and probe(self._url, PROBE_TIMEOUT_S).is_picture:
            self.close()
            self._open_snapshots()
            return self._next_snapshot()
        if waited_s < self._read_timeout_s * 0.9:
            raise CameraLostError(f"{self.name} ended")
        raise CameraLostError(f"{self.name} sent nothing for {self._read_timeout_s:g} s")

    def _open_snapshots(self) -> None:
        if self._snapshot is None:
            log.info("%s: gives one picture per request: %g requests a second (camera.fps)", self.name, self._rate)
        self._snapshot = self._fetch()
        self._reader.aspect = 1.0
        self._has_read_snapshot = False
        self._snapshot_due_s = time.monotonic()

    @property
    def _rate(self) -> float:
        return 1 / self._snapshot_s

    def _next_snapshot(self) -> tuple[Image | None, float]:
        """Wait until the next picture is due, and ask for it."""
        assert self._snapshot is not None
        if not self._has_read_snapshot:
            self._has_read_snapshot = True
            return self._snapshot, time.monotonic()
        self._snapshot_due_s = max(self._snapshot_due_s + self._snapshot_s, time.monotonic() - self._snapshot_s)
        if self._interrupted.wait(max(self._snapshot_due_s - time.monotonic(), 0)):
            return None, 0.0
        self._snapshot = self._fetch()
        return self._snapshot, time.monotonic()

    def _fetch(self) -> Image:
        try:
            return decode_picture(fetch_picture(self._url, self._read_timeout_s))
        except RequestError as error:
            raise CameraLostError(f"{self.name} gives no picture: {error}") from None
        except PictureError as error:
            raise CameraLostError(f"{self.name} gives a picture that {error}") from None

    def _is_flat(self, bgr: Image, now_s: float) -> bool:
        """Return whether a picture has one colour; raise CameraLostError if all have for too long."""
        if not is_flat(bgr):
            self._flat_since_s = None
            return False
        if self._flat_since_s is None:
            self._flat_since_s = now_s
        if now_s - self._flat_since_s >= self._max_flat_s:
            raise CameraLostError(f"{self.name} shows nothing: every picture has one colour only")
        return True

    def _frame(self, bgr: Image, time_s: float) -> Frame:
        """Return the frame of a picture. Raises CameraLostError: OpenCV is stuck at it."""
        image = self._reader.upright_rgb(bgr)
        if self._still is not None and (problem := self._still.check(image, time_s)):
            raise CameraLostError(f"{self.name} {problem}")
        index, self._index = self._index, self._index + 1
        return Frame(image, index, time_s, time.time() - (time.monotonic() - time_s), time_s)


def _ffmpeg_options(transport: str) -> str:
    """Return the user's options for FFmpeg, with this RTSP transport if any."""
    own = [option for option in USERS_OPTIONS.split("|") if option]
    if transport:
        own = [option for option in own if not option.startswith("rtsp_transport;")] + [f"rtsp_transport;{transport}"]
    return "|".join(own)
