"""Camera `stream`: rtsp and http sources, through OpenCV's FFmpeg, over TCP and with deadlines."""

import os
import time

import cv2
import numpy as np

from edge.camera.video import DECODER_OPTIONS, ImageReader
from edge.errors import CameraLostError
from edge.frame import Frame, Image

__all__ = ["StreamCamera"]

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 10.0
FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


class StreamCamera:
    """Reads a live stream; when it breaks off, it is for the caller to open it again.

    Args:
        url: rtsp://, rtsps://, http:// or https://, credentials included.
        name: how messages name it: without credentials.
        rotate: clockwise degrees: 0, 90, 180 or 270.
        open_timeout_s: give up opening after so long.
        read_timeout_s: call the stream lost when nothing comes for so long.
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
    ) -> None:
        self.name = name
        self._url = url
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._reader = ImageReader(rotate)
        self._rotate = rotate
        self._capture: cv2.VideoCapture | None = None
        self._bgr: Image | None = None
        self._index = 0

    def open(self) -> None:
        """Connect. Raises CameraLostError when nobody answers in time or it is no video."""
        # FFmpeg takes this option only so; UDP loses packets, and a lost packet smears the picture for seconds.
        os.environ.setdefault(FFMPEG_OPTIONS, "rtsp_transport;tcp")
        options = [
            *DECODER_OPTIONS,
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(self._open_timeout_s * 1e3),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(self._read_timeout_s * 1e3),
        ]  # fmt: skip
        self._capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, options)
        if not self._capture.isOpened():
            raise CameraLostError(f"{self.name} cannot be opened")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as the stream tells."""
        assert self._capture is not None
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        return (height, width) if self._rotate in (90, 270) else (width, height)

    def read(self) -> Frame:
        """Wait for the next picture. Raises CameraLostError when the stream ends or stalls."""
        assert self._capture is not None
        if not self._capture.grab():
            raise CameraLostError(f"{self.name} ended or sent nothing for {self._read_timeout_s:g} s")
        time_s, wall_time_s = time.monotonic(), time.time()
        ok, bgr = self._capture.retrieve(self._bgr)
        if not ok:
            raise CameraLostError(f"{self.name} sent a picture that cannot be decoded")
        self._bgr = np.asarray(bgr, np.uint8)  # no copy: OpenCV gives uint8, its stubs do not say so
        index, self._index = self._index, self._index + 1
        return Frame(self._reader.upright_rgb(self._bgr), index, time_s, wall_time_s, time_s)

    def interrupt(self) -> None:
        """A read ends by itself: with the next picture, or at its deadline."""

    def close(self) -> None:
        """Hang up."""
        if self._capture is not None:
            self._capture.release()
