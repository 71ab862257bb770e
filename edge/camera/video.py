"""Camera `video`: recorded files (mp4, avi, gif, ...) by OpenCV's FFmpeg."""

import logging
from pathlib import Path

import cv2

from edge.camera.files import require_file
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
)
from edge.camera.pacing import Pacer
from edge.camera.stamps import MAX_FPS, StampClock
from edge.camera.still import OPENCV_STICKS, is_flat, is_same_picture
from edge.errors import InputError
from edge.frame import Frame, Image

__all__ = ["VideoCamera"]

log = logging.getLogger(__name__)

MAX_LOOK_BACK = 1500
"""Frames to read again at most, to distinguish a still video from an OpenCV that is stuck."""
FREE_LOOK_BACK = 250
"""Frames that may be read again at any time; beyond, only as many as twice those that were read."""
MAX_MISSING = 0.02
"""A file that lacks a larger share of its frames is called truncated; containers without an index only estimate."""


class VideoCamera:
    """Plays a video file in real time, or every frame once at full speed.

    Args:
        path: the file.
        paced: False to read every frame once, in order.
        loop: restart at the end.
        fps: its pace, whatever its time stamps say; None for these.
        rotate: clockwise degrees: 0, 90, 180 or 270.
        hflip: mirror left to right, before rotation.
        vflip: mirror top to bottom, before rotation.
    """

    live = False

    def __init__(
        self,
        path: Path,
        *,
        paced: bool = True,
        loop: bool = False,
        fps: float | None = None,
        rotate: int = 0,
        hflip: bool = False,
        vflip: bool = False,
    ) -> None:
        self.name = path.name
        self._path = path
        self._loop = loop
        self._pacer = Pacer(paced=paced)
        self._reader = ImageReader(rotate, hflip=hflip, vflip=vflip)
        self._rotate = rotate
        self._capture: cv2.VideoCapture | None = None
        self._bgr: Image | None = None  # the picture last retrieved
        self._spare: Image | None = None  # the one before, to be written next
        self._warned_truncated = False
        self._is_checked = False  # the picture repeats the last one, and that is right
        self._looked_back = 0  # frames read again in this round
        self._is_empty = True  # every picture so far had one colour only, or was not converted
        self._refused = 0  # pictures that were not converted
        self._index = 0  # of the next frame, over all rounds
        self._round_index = 0  # of the next frame in this round
        self._clock = StampClock(fps)
        self._warned_pace = False
        self._position_s = 0.0

    def open(self) -> None:
        """Open the file. Raises InputError: it is missing, no video, or too large."""
        require_file(self._path)
        self._capture = self._open_capture()
        self._reader.aspect = pixel_aspect(self._capture)
        if max(self.size) > MAX_SIDE_PX:
            width, height = self.size
            raise InputError(f"{self._path}: is {width}x{height} pixels: more than {MAX_SIDE_PX} a side")
        self._round_index = self._looked_back = 0
        self._is_empty, self._refused = True, 0
        self._clock.start(0.0)
        self._pacer.start()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) by the container, after rotation; single frames may differ."""
        assert self._capture is not None
        return frame_size(self._capture, self._rotate, self._reader.aspect)

    def read(self) -> Frame | None:
        """Wait for the next due frame; None at the end.

        Frames whose time has passed are skipped.

        Raises:
            InputError: not even the first frame can be read, or no frame shows anything.
        """
        bgr = self._next_picture()
        if bgr is None:
            return None
        self._spare, self._bgr = self._bgr, bgr
        self._is_empty = self._is_empty and is_flat(bgr)
        if OPENCV_STICKS and self._is_stuck():
            log.warning(
                "%s: changes its size after %d frames, which OpenCV %s cannot follow; what was read is kept",
                self._path, self._round_index - 1, cv2.__version__,
            )  # fmt: skip
            return None
        image = self._reader.upright_rgb(bgr)
        if not self._pacer.wait(self._position_s):  # all work is done by then, as a camera's is at the time of capture
            return None
        return self._pacer.frame(image, self._index - 1, self._position_s)

    def interrupt(self) -> None:
        """End a wait in `read`, from another thread."""
        self._pacer.stop()

    def is_back(self) -> bool:
        """Return False: a file is never away."""
        return False

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()

    def _next_picture(self) -> Image | None:
        """Return the newest due picture; those that OpenCV does not convert are left out."""
        while not self._pacer.stopped and self._grab_due():
            assert self._capture is not None
            try:
                bgr = retrieve(self._capture, self._spare)
            except InterlacedError:
                self._refused += 1
                if self._is_empty and self._refused >= MAX_REFUSED:
                    raise InputError(f"{self._path}: {REFUSES_TEXT}") from None
            else:
                return bgr
        return None

    def _is_stuck(self) -> bool:
        """Return whether OpenCV is stuck: a fresh capture has another picture here.

        Checked once per run of equal pictures, as a video may stand still; later where there are many short runs, so
        that the whole takes linear time.
        """
        assert self._bgr is not None
        if not is_same_picture(self._bgr, self._spare):
            self._is_checked = False
            return False
        limit = min(FREE_LOOK_BACK + self._round_index, MAX_LOOK_BACK)
        if self._is_checked or self._round_index > MAX_LOOK_BACK or self._looked_back > limit:
            return False
        self._is_checked = True
        self._looked_back += self._round_index
        fresh = self._open_capture()
        try:
            for _ in range(self._round_index):
                if self._pacer.stopped or not fresh.grab():
                    return False
            picture = retrieve(fresh)
            return picture is not None and not is_same_picture(picture, self._bgr)
        except cv2.error:  # its size is smaller than that of the first frame
            return True
        finally:
            fresh.release()

    def _grab_due(self) -> bool:
        """Grab the newest due frame, or the next one; False at the end."""
        if not self._grab():
            return False
        while not self._pacer.stopped and self._pacer.is_late(self._position_s + self._period_s()):
            if not self._grab():
                return False
        return True

    def _grab(self) -> bool:
        assert self._capture is not None
        if not self._capture.grab():
            if self._index == 0:
                raise InputError(f"{self._path}: not one frame of this video can be read ({self._codec()})")
            if self._is_empty and not self._pacer.stopped:
                problem = REFUSES_TEXT if self._refused else "every picture of this video has one colour only"
                raise InputError(f"{self._path}: {problem}")
            self._warn_if_truncated()
            if not (self._loop and self._round_index > 0 and self._rewind()):
                return False
        self._position_s = self._clock.position_s(self._get(cv2.CAP_PROP_POS_MSEC) / 1e3, self._header_fps())
        self._warn_of_pace()
        self._round_index += 1
        self._index += 1
        return True

    def _rewind(self) -> bool:
        # Reopened instead of a seek: GIF and streams in a file have no index.
        assert self._capture is not None
        self._capture.release()
        self._capture = self._open_capture()
        self._clock.start(self._position_s + self._period_s())
        self._round_index = self._looked_back = 0
        return self._capture.grab()

    def _open_capture(self) -> cv2.VideoCapture:
        capture = open_capture(str(self._path.absolute()))
        if not capture.isOpened():
            raise InputError(f"{self._path}: cannot be read as a video (not a video, damaged, or truncated)")
        return capture

    def _codec(self) -> str:
        """Return the name of the codec, for an error."""
        letters = (int(self._get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1")
        name = letters if letters.isprintable() else "of no name"
        return f"codec {name}: damaged, or OpenCV {cv2.__version__} does not decode it"

    def _period_s(self) -> float:
        return self._clock.period_s(self._header_fps())

    def _header_fps(self) -> float:
        return self._get(cv2.CAP_PROP_FPS)

    def _get(self, prop: int) -> float:
        assert self._capture is not None
        return float(self._capture.get(prop))

    def _warn_of_pace(self) -> None:
        if self._clock.is_absurd and not self._warned_pace:
            self._warned_pace = True
            log.warning(
                "%s: its header says %g frames per second: played at %g; camera.fps sets another",
                self._path, self._header_fps(), 1 / self._period_s(),
            )  # fmt: skip

    def _warn_if_truncated(self) -> None:
        if self._clock.jumps or self._header_fps() > MAX_FPS:
            return  # the number of frames is estimated from the length, which means nothing
        expected = int(self._get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._warned_truncated and expected > 0 and self._round_index < expected * (1 - MAX_MISSING) - 1:
            self._warned_truncated = True
            log.warning(
                "%s: ends after %d of %d frames: truncated or damaged; what was read is kept",
                self._path, self._round_index, expected,
            )  # fmt: skip
