"""Camera `v4l2`: USB cameras and whatever else has a /dev/video node, through OpenCV, unplugged and plugged in again.

`VideoCapture.isOpened()` stays True after an unplug, and `read()` only says False: what happened is found out from
the node itself.
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
from edge.camera.still import MAX_STILL_S, StillWatch
from edge.camera.v4l2.open import BUFFERS, SELECT_TIMEOUT_S, Capture, Node, NodeState, Opener, open_node, state_of
from edge.errors import CameraLostError
from edge.frame import Frame, Image

__all__ = ["DEFAULT_FPS", "DEFAULT_SIZE", "V4l2Camera", "is_flat"]

log = logging.getLogger(__name__)

DEFAULT_SIZE, DEFAULT_FPS = (640, 360), 30.0
"""The model looks at 256 pixels. Most cameras give this size raw, at 30 fps, over USB 2: nothing is to be decoded."""
MAX_BROKEN_S = 5.0
MAX_FLAT_S = 1.0
"""So long after the start pictures of one colour are left out: many cameras begin with some black or green ones."""
WAITED_S = 0.001
"""A grab that took longer waited for its picture, which so is the newest."""


def is_flat(image: Image) -> bool:
    """Return whether a picture (H, W, 3) has one colour only."""
    return bool((image[::16] == image[0, 0]).all()) and bool((image == image[0, 0]).all())


class V4l2Camera:
    """Reads a V4L2 device; when it is lost, it is for the caller to open it again.

    Args:
        path: /dev/video0, or a link that survives a reboot: /dev/v4l/by-id/….
        name: how messages name it.
        size: (width, height) wanted; the nearest that it offers is taken.
        fps: rate wanted.
        rotate: clockwise degrees: 0, 90, 180 or 270.
        max_still_s: a camera that shows one picture for so long is frozen.
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
        self._reader = ImageReader(rotate)
        self._interrupted = threading.Event()
        self._node: Node | None = None
        self._state: NodeState | None = None
        self._told = ""
        self._is_starved = False  # nothing came in the format that was chosen
        self._opened_s = 0.0
        self._time_s = 0.0  # of the last picture
        self._index = 0  # of the next picture
        self._started = False  # a picture with something in it has come
        self._bgr: Image | None = None  # the picture last retrieved
        self._spare: Image | None = None  # the one before, to be written next

    def open(self) -> None:
        """Find the device, negotiate, open. Raises CameraLostError: absent, busy, forbidden, no camera."""
        self._interrupted.clear()
        self._state = state_of(self._path)
        size, fps = self._wanted
        self._node = self._opener(self._path, size, fps, prefer_compressed=self._is_starved)
        if not all(self.size):
            raise CameraLostError(f"{self._path} went away while it was opened")
        self._started = False
        self._still.start()
        self._opened_s = self._clock()
        self._tell(f"{self._node.card}: {self._node.told}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as negotiated, after rotation."""
        return frame_size(self._capture, self._rotate)

    def read(self) -> Frame | None:
        """Wait for the next picture, leaving out broken ones; None once it is interrupted.

        Raises:
            CameraLostError: it was unplugged, gives nothing, or shows one picture for long.
        """
        good_s = self._clock()
        while not self._interrupted.is_set():
            passed = self._grab_newest()
            now_s, wall_s = self._clock(), time.time()
            index = self._count(passed, capture_time_s(self._buffer_s(), self._time_s, now_s))
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
        """End `read` with the picture it waits for."""
        self._interrupted.set()

    def is_back(self) -> bool:
        """Return whether the device has appeared, or another one in its place, since it was last opened."""
        state = state_of(self._path)
        return state is not None and state != self._state

    def close(self) -> None:
        """Let go of the device."""
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
        """Take the newest buffer: a reader that was late finds old ones, at once, before those to come.

        Returns:
            How many old ones were passed over.
        """
        for passed in range(BUFFERS):
            before_s = self._clock()
            if not self._capture.grab():
                raise CameraLostError(self._why_nothing(self._clock() - before_s))
            now_s = self._clock()
            if now_s - before_s > WAITED_S or not self._is_old(now_s):
                return passed
        return BUFFERS - 1

    def _count(self, passed: int, time_s: float) -> int:
        """Number a picture; after old ones those count, too, for which the driver had no buffer."""
        if passed and self._fps > 0:
            passed = max(passed, round((time_s - self._time_s) * self._fps) - 1)
        index, self._time_s = self._index + passed, time_s
        self._index = index + 1
        return index

    def _is_old(self, now_s: float) -> bool:
        """Return whether there should be a newer buffer by now."""
        taken_s = capture_time_s(self._buffer_s(), 0.0, now_s)
        return self._started and self._fps > 0 and now_s - taken_s > 1.5 / self._fps

    def _buffer_s(self) -> float:
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3

    def _retrieve(self, now_s: float) -> bool:
        """Convert the grabbed buffer; False when it holds nothing to look at."""
        try:
            ok, bgr = self._capture.retrieve(self._spare)
        except cv2.error:  # a buffer that was cut short
            return False
        if not ok or bgr is None:
            return False
        if not self._started and now_s - self._opened_s < MAX_FLAT_S and is_flat(bgr):
            return False
        self._started = True
        self._spare, self._bgr = self._bgr, np.asarray(bgr, np.uint8)  # no copy: it is uint8, whatever the stubs say
        return True

    def _why_nothing(self, waited_s: float) -> str:
        if self._state is not None and state_of(self._path) != self._state:
            return f"{self._path} was unplugged"
        if not self._started:
            self._is_starved = not self._is_starved
        if waited_s > SELECT_TIMEOUT_S / 2:
            return f"{self._path} gave no picture for {waited_s:.0f} s"
        if not self._started:
            return f"{self._path} cannot start: too little USB bandwidth, or taken by another process"
        return f"{self._path} stopped: unplugged, or its driver gave up"

    def _tell(self, negotiated: str) -> None:
        """Log what was negotiated, once per change."""
        if negotiated != self._told:
            (width, height), fps = self._wanted
            log.info("%s: %s (asked for %dx%d at %g fps)", self._path, negotiated, width, height, fps)
        self._told = negotiated
