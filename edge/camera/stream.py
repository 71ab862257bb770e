"""Camera `stream`: rtsp and http sources, through OpenCV's FFmpeg, over TCP and with deadlines."""

import os
import time

import cv2
import numpy as np

from edge.camera.opencv import DECODER_OPTIONS, ImageReader
from edge.camera.still import STICKS, is_same_picture
from edge.errors import CameraLostError
from edge.frame import Frame, Image

__all__ = ["StreamCamera"]

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 10.0
MAX_STILL_S = 5.0
FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


class StreamCamera:
    """Reads a live stream; when it breaks off, it is for the caller to open it again.

    Args:
        url: rtsp://, rtsps://, http:// or https://, credentials included.
        name: how messages name it: without credentials.
        rotate: clockwise degrees: 0, 90, 180 or 270.
        open_timeout_s: give up opening after so long.
        read_timeout_s: call the stream lost when nothing comes for so long.
        max_still_s: where OpenCV may get stuck, open a stream again that shows one picture for so long.
        may_stick: whether it may, see `still`.
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
        may_stick: bool = STICKS,
    ) -> None:
        self.name = name
        self._url = url
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._max_still_s = max_still_s
        self._may_stick = may_stick
        self._reader = ImageReader(rotate)
        self._rotate = rotate
        self._capture: cv2.VideoCapture | None = None
        self._bgr: Image | None = None  # the picture last retrieved
        self._spare: Image | None = None  # the one before, to be written next
        self._still_since_s: float | None = None
        self._known_still: Image | None = None  # a picture that stayed the same even after a reopen
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
        if min(self.size) <= 0:
            raise CameraLostError(f"{self.name} sends no picture")

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
        ok, bgr = self._capture.retrieve(self._spare)
        if not ok:
            raise CameraLostError(f"{self.name} sent a picture that cannot be decoded")
        self._spare, self._bgr = self._bgr, np.asarray(bgr, np.uint8)  # no copy: it is uint8, whatever the stubs say
        if self._may_stick:
            self._raise_if_stuck(self._bgr, time_s)
        index, self._index = self._index, self._index + 1
        return Frame(self._reader.upright_rgb(self._bgr), index, time_s, wall_time_s, time_s)

    def _raise_if_stuck(self, bgr: Image, time_s: float) -> None:
        """Have a stream opened again that shows one picture for long; not twice for the same picture."""
        if not is_same_picture(bgr, self._spare):
            self._still_since_s = None
        elif self._still_since_s is None:
            self._still_since_s = time_s
        elif time_s - self._still_since_s > self._max_still_s and not is_same_picture(bgr, self._known_still):
            self._known_still, self._still_since_s = bgr.copy(), None
            raise CameraLostError(f"{self.name} shows one picture for {self._max_still_s:g} s")

    def interrupt(self) -> None:
        """A read ends by itself: with the next picture, or at its deadline."""

    def is_back(self) -> bool:
        """Only opening it tells."""
        return False

    def close(self) -> None:
        """Hang up."""
        if self._capture is not None:
            self._capture.release()
