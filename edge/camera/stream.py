"""Camera `stream`: rtsp and http sources over TCP, with timeouts, by OpenCV's FFmpeg."""

import os
import time

import cv2
import numpy as np

from edge.camera.opencv import DECODER_OPTIONS, MAX_SIDE_PX, ImageReader, frame_size
from edge.camera.still import MAX_STILL_S, OPENCV_STICKS, StillWatch
from edge.errors import CameraLostError
from edge.frame import Frame, Image

__all__ = ["StreamCamera"]

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 10.0
FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


class StreamCamera:
    """Reads a live stream; after a loss the caller opens it again.

    Args:
        url: rtsp://, rtsps://, http:// or https://, credentials included.
        name: its name in messages, without credentials.
        rotate: clockwise degrees: 0, 90, 180 or 270.
        open_timeout_s: how long to wait for a connection.
        read_timeout_s: how long to wait for a picture before the stream counts as lost.
        max_still_s: a stream that shows one picture for this long is opened again, where OpenCV may stick.
        may_stick: whether it may, see `edge.camera.still`.
    """

    live = True

    def __init__(
        self,
        url: str,
        *,
        name: str,
        rotate: int = 0,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        max_still_s: float = MAX_STILL_S,
        may_stick: bool = OPENCV_STICKS,
    ) -> None:
        self.name = name
        self._url = url
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        # Once: a stream may show a test card, and a new connection shows whether OpenCV was stuck.
        self._still = StillWatch(max_still_s, once=True) if may_stick else None
        self._reader = ImageReader(rotate)
        self._rotate = rotate
        self._capture: cv2.VideoCapture | None = None
        self._bgr: Image | None = None  # decoded into, again and again
        self._index = 0

    def open(self) -> None:
        """Connect. Raises CameraLostError: no answer in time, or no video."""
        # FFmpeg takes this option only from the environment. UDP loses packets, and a lost packet smears the
        # picture for seconds.
        os.environ.setdefault(FFMPEG_OPTIONS, "rtsp_transport;tcp")
        options = [
            *DECODER_OPTIONS,
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(self._open_timeout_s * 1e3),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(self._read_timeout_s * 1e3),
        ]  # fmt: skip
        self._capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, options)
        if not self._capture.isOpened():
            raise CameraLostError(f"{self.name} cannot be opened")
        if min(self.size) <= 0:
            raise CameraLostError(f"{self.name} sends no picture")
        if max(self.size) > MAX_SIDE_PX:
            width, height = self.size
            self.close()
            raise CameraLostError(f"{self.name} sends {width}x{height} pixels: more than {MAX_SIDE_PX} a side")
        if self._still is not None:
            self._still.start()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as the stream reports, after rotation."""
        assert self._capture is not None
        return frame_size(self._capture, self._rotate)

    def read(self) -> Frame:
        """Wait for the next picture.

        Raises:
            CameraLostError: the stream ended, stalled or is stuck at one picture.
        """
        assert self._capture is not None
        if not self._capture.grab():
            raise CameraLostError(f"{self.name} ended or sent nothing for {self._read_timeout_s:g} s")
        time_s, wall_time_s = time.monotonic(), time.time()
        ok, bgr = self._capture.retrieve(self._bgr)
        if not ok:
            raise CameraLostError(f"{self.name} sent a picture that cannot be decoded")
        self._bgr = np.asarray(bgr, np.uint8)  # no copy: it is uint8, whatever the stubs say
        image = self._reader.upright_rgb(self._bgr)
        if self._still is not None and (problem := self._still.check(image, time_s)):
            raise CameraLostError(f"{self.name} {problem}")
        index, self._index = self._index, self._index + 1
        return Frame(image, index, time_s, wall_time_s, time_s)

    def interrupt(self) -> None:
        """Do nothing: a read ends with the next picture or at its timeout."""

    def is_back(self) -> bool:
        """Return False: only opening a stream shows whether it is back."""
        return False

    def close(self) -> None:
        """Disconnect."""
        if self._capture is not None:
            self._capture.release()
