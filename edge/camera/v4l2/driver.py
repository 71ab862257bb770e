"""Camera `v4l2`: USB cameras and other /dev/video nodes, by OpenCV.

They may be unplugged and plugged in again. `VideoCapture.isOpened()` stays True after an unplug, and `read()` only
returns False, so the cause is found at the node itself.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge.camera.capture_time import capture_time_s
from edge.camera.opencv import ImageReader, frame_size
from edge.camera.still import MAX_STILL_S, StillWatch, is_flat
from edge.camera.v4l2.open import BUFFERS, SELECT_TIMEOUT_S, Capture, Node, NodeState, Opener, open_node, state_of
from edge.errors import CameraLostError
from edge.frame import Frame, Image

__all__ = ["DEFAULT_FPS", "DEFAULT_SIZE", "V4l2Camera"]

log = logging.getLogger(__name__)

DEFAULT_SIZE, DEFAULT_FPS = (640, 360), 30.0
"""The model needs 448 pixels. Most cameras give this size raw, at 30 fps, over USB 2, so nothing is decoded."""
MAX_BROKEN_S = 5.0
MAX_FLAT_S = 1.0
"""Pictures of one colour are skipped for this long after the start: many cameras begin with black or green ones."""
WAITED_S = 0.001
"""A grab that took longer waited for its picture, which therefore is the newest."""


class V4l2Camera:
    """Reads a V4L2 device; after a loss the caller opens it again.

    Args:
        path: /dev/video0, or a link that survives a reboot: /dev/v4l/by-id/….
        name: its name in messages.
        size: (width, height) wanted; the nearest offered one is used.
        fps: rate wanted.
        rotate: clockwise degrees: 0, 90, 180 or 270.
        hflip: mirror left to right, before rotation.
        vflip: mirror top to bottom, before rotation.
        max_still_s: a camera that shows one picture for this long counts as frozen.
        opener: opens the path.
        clock: the monotonic clock, in seconds.
    """

    live = True

    def __init__(
        self,
        path: str,
        *,
        name: str = "",
        size: tuple[int, int] = DEFAULT_SIZE,
        fps: float = DEFAULT_FPS,
        rotate: int = 0,
        hflip: bool = False,
        vflip: bool = False,
        max_still_s: float = MAX_STILL_S,
        opener: Opener = open_node,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name or Path(path).name
        self._path = path
        self._wanted = (size, fps)
        self._rotate = rotate
        self._still = StillWatch(max_still_s)
        self._opener = opener
        self._clock = clock
        self._reader = ImageReader(rotate, hflip=hflip, vflip=vflip)
        self._interrupted = threading.Event()
        self._node: Node | None = None
        self._state: NodeState | None = None
        self._logged = ""
        self._is_starved = False  # no picture came in the chosen format
        self._opened_s = 0.0
        self._time_s = 0.0  # of the last picture
        self._index = 0  # of the next picture
        self._started = False  # a picture that is not flat has come
        self._bgr: Image | None = None  # decoded into, again and again

    def open(self) -> None:
        """Find the device, negotiate, open.

        Raises:
            CameraLostError: it is absent, busy, forbidden, or no camera.
        """
        self._interrupted.clear()
        self._state = state_of(self._path)
        size, fps = self._wanted
        self._node = self._opener(self._path, size, fps, prefer_compressed=self._is_starved)
        if not all(self.size):
            raise CameraLostError(f"{self._path} went away while it was opened")
        self._started = False
        self._still.start()
        self._opened_s = self._clock()
        self._log_negotiated(f"{self._node.card}: {self._node.summary}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as negotiated, after rotation."""
        return frame_size(self._capture, self._rotate)

    def read(self) -> Frame | None:
        """Wait for the next picture; None after an interrupt.

        Broken pictures are skipped.

        Raises:
            CameraLostError: it was unplugged, delivers nothing, or shows one picture for too long.
        """
        good_s = self._clock()
        while not self._interrupted.is_set():
            skipped = self._grab_newest()
            now_s, wall_s = self._clock(), time.time()
            index = self._count(skipped, capture_time_s(self._buffer_s(), self._time_s, now_s))
            if self._retrieve(now_s):
                assert self._bgr is not None
                image = self._reader.upright_rgb(self._bgr)
                if problem := self._still.check(image, now_s):
                    raise CameraLostError(f"{self._path} {problem}")
                return Frame(image, index, self._time_s, wall_s - (now_s - self._time_s), self._time_s)
            if now_s - good_s > MAX_BROKEN_S:
                raise CameraLostError(f"{self._path} sends pictures that cannot be decoded")
        return None

    def interrupt(self) -> None:
        """End `read` at its next picture, from another thread."""
        self._interrupted.set()

    def is_back(self) -> bool:
        """Return whether a device has appeared or changed since the last open."""
        state = state_of(self._path)
        return state is not None and state != self._state

    def close(self) -> None:
        """Release the device."""
        node, self._node = self._node, None
        if node is not None:
            node.capture.release()

    @property
    def _fps(self) -> float:
        return self._node.fps if self._node is not None else 0.0

    @property
    def _capture(self) -> Capture:
        assert self._node is not None
        return self._node.capture

    def _grab_newest(self) -> int:
        """Grab the newest buffer; a late reader finds old ones first.

        Returns:
            The number of old ones that were skipped.
        """
        for skipped in range(BUFFERS):
            before_s = self._clock()
            if not self._capture.grab():
                raise CameraLostError(self._loss_text(self._clock() - before_s))
            now_s = self._clock()
            if now_s - before_s > WAITED_S or not self._is_old(now_s):
                return skipped
        return BUFFERS - 1

    def _count(self, skipped: int, time_s: float) -> int:
        """Return a picture's index.

        After skipped buffers those pictures count too for which the driver had no buffer.
        """
        if skipped and self._fps > 0:
            skipped = max(skipped, round((time_s - self._time_s) * self._fps) - 1)
        index, self._time_s = self._index + skipped, time_s
        self._index = index + 1
        return index

    def _is_old(self, now_s: float) -> bool:
        """Return whether a newer buffer should exist by now."""
        taken_s = capture_time_s(self._buffer_s(), 0.0, now_s)
        return self._started and self._fps > 0 and now_s - taken_s > 1.5 / self._fps

    def _buffer_s(self) -> float:
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3

    def _retrieve(self, now_s: float) -> bool:
        """Decode the grabbed buffer to BGR; False if it is broken or flat."""
        try:
            ok, bgr = self._capture.retrieve(self._bgr)
        except cv2.error:  # a buffer that was cut short
            return False
        if not ok or bgr is None:
            return False
        if not self._started and now_s - self._opened_s < MAX_FLAT_S and is_flat(bgr):
            return False
        self._started = True
        self._bgr = np.asarray(bgr, np.uint8)  # no copy: it is uint8, whatever the stubs say
        return True

    def _loss_text(self, waited_s: float) -> str:
        """Return why a grab failed; after a failed start the other kind of format is next."""
        if self._state is not None and state_of(self._path) != self._state:
            return f"{self._path} was unplugged"
        if not self._started:
            self._is_starved = not self._is_starved
        if waited_s > SELECT_TIMEOUT_S / 2:
            return f"{self._path} gave no picture for {waited_s:.0f} s"
        if not self._started:
            return f"{self._path} cannot start: too little USB bandwidth, or taken by another process"
        return f"{self._path} stopped: unplugged, or its driver gave up"

    def _log_negotiated(self, negotiated: str) -> None:
        """Log the negotiated mode, once per change."""
        if negotiated != self._logged:
            (width, height), fps = self._wanted
            log.info("%s: %s (asked for %dx%d at %g fps)", self._path, negotiated, width, height, fps)
        self._logged = negotiated
