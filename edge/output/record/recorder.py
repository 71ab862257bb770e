"""Sink `record`: annotated frames as video files of constant rate."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from edge.frame import Frame, Image
from edge.host.files import free_bytes
from edge.output.framerate import DEFAULT_FPS, FrameRate
from edge.output.overlay import Overlay
from edge.output.record.encoder import Segment, SizeError
from edge.output.record.segments import MIN_FREE_BYTES, Segments
from edge.payload import Origin
from edge.ports import PoseFrame

__all__ = ["RecorderSink"]

log = logging.getLogger(__name__)

SEGMENT_S = 300.0
MAX_GAP_S = 15.0
"""A longer gap ends the file instead of being filled with the last picture."""
MAX_BACK_S = 1.0
"""Time that goes back further starts another file; less is jitter."""
HOLD_FRAMES = 8
HOLD_BYTES = 16 * 2**20
HOLD_S = 2.0
"""The first pictures are held until the frame rate is known: limits in number, size and time; at least three."""


class RecorderSink:
    """Records annotated frames, or skeletons on black, to video files.

    Every picture is shown from its capture time on: it is repeated while the next is missing, and dropped where
    the one before has its place, so that motion plays at its true speed. A file ends after
    `segment_s`, when frames change their size, and at a gap of more than 15 seconds. A power cut costs at most
    the file that is being written.

    A full disk or a missing folder ends the recording with one warning, never the run; pictures of a size that no
    encoder takes are left out.

    Args:
        path: the first file; further ones are numbered (see `Segments`). An existing file is left alone.
        origin: names the device and the camera in the picture.
        private: skeletons on black; the camera image is not read.
        fps: constant rate of the files; None for the source's rate, measured over the first frames.
        max_bytes: the oldest files of this recording are deleted beyond this; None for no limit.
        segment_s: length of a file in seconds.
        min_free_bytes: the recording ends before the disk has less space.
        free: returns the free bytes of a folder; raises OSError.

    Attributes:
        wants_image: False when frames may arrive without their images.
    """

    name = "record"
    blocks: Literal[True] = True
    lossless = True

    def __init__(
        self,
        path: Path,
        origin: Origin,
        *,
        private: bool = False,
        fps: float | None = None,
        max_bytes: int | None,
        segment_s: float = SEGMENT_S,
        min_free_bytes: int = MIN_FREE_BYTES,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.wants_image = not private
        self._path = path
        self._fixed_fps = fps
        self._overlay = Overlay(origin, private=private)
        self._segments = Segments(
            path, max_bytes=max_bytes, segment_s=segment_s, min_free_bytes=min_free_bytes, free=free
        )
        self._rate = FrameRate()
        self._held: list[tuple[float, Image]] = []
        self._segment: Segment | None = None
        self._canvas: Image = np.empty((0, 0, 3), np.uint8)  # the last picture, or the next one being drawn
        self._last: tuple[float, tuple[int, int]] | None = None  # capture time and size of the last frame
        self._open = False
        self._has_begun = False
        self._refused: set[tuple[int, int]] = set()  # sizes that the encoder does not take

    def open(self) -> None:
        """Check that files can be written. Raises UnavailableError."""
        self._segments.open()
        self._open = True

    def write(self, result: PoseFrame) -> None:
        """Record one result, unless the recording has ended."""
        if not self._open:
            return
        size = result.frame.size
        if size in self._refused:
            return
        try:
            self._record(result)
        except SizeError as error:
            self._leave_out(size, error)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Finish the file."""
        if not self._open:
            return
        self._open = False
        try:
            self._finish()
        except SizeError as error:
            self._leave_out(self._last[1] if self._last else (0, 0), error)
        except OSError as error:
            self._give_up(error)

    def _record(self, result: PoseFrame) -> None:
        frame = result.frame
        if self._is_cut(frame):
            self._finish_last()
        self._last = (frame.media_time_s, frame.size)
        self._rate.add(frame.index, frame.media_time_s)
        if self._segment is None and self._must_measure():
            self._hold(result)
        elif self._has_room(frame.media_time_s, frame.size):
            self._canvas = self._drawn(result, self._canvas)
            self._put()

    def _is_cut(self, frame: Frame) -> bool:
        """Return whether `frame` needs another file than the one before."""
        if self._last is None:
            return False
        time_s, size = self._last
        return frame.size != size or not -MAX_BACK_S <= frame.media_time_s - time_s <= MAX_GAP_S

    def _must_measure(self) -> bool:
        return self._fixed_fps is None and (bool(self._held) or self._rate.mean_fps is None)

    def _hold(self, result: PoseFrame) -> None:
        canvas = self._drawn(result, np.empty((0, 0, 3), np.uint8))
        self._held.append((result.frame.media_time_s, canvas))
        many = max(min(HOLD_FRAMES, HOLD_BYTES // max(canvas.nbytes, 1)), 3)
        if len(self._held) >= many or self._held[-1][0] - self._held[0][0] >= HOLD_S:
            self._record_held()

    def _record_held(self) -> None:
        """Record the pictures held for the frame rate."""
        held, self._held = self._held, []
        for time_s, canvas in held:
            if self._has_room(time_s, (canvas.shape[1], canvas.shape[0])):
                self._canvas = canvas
                self._put()

    def _drawn(self, result: PoseFrame, canvas: Image) -> Image:
        """Draw into `canvas`, or into a new one of the right size."""
        width, height = result.frame.size
        if canvas.shape != (height, width, 3):
            canvas = np.empty((height, width, 3), np.uint8)
        self._overlay.draw(result, self._rate.mean_fps, canvas)
        return canvas

    def _has_room(self, time_s: float, size: tuple[int, int]) -> bool:
        """Repeat the last picture up to `time_s`; False if its place is taken."""
        if self._segment is None:
            self._begin(time_s, size)
        assert self._segment is not None
        while (missing := self._segment.missing(time_s)) > 0:
            self._put()
        return missing == 0

    def _put(self) -> None:
        """Append the picture, to another file if due."""
        assert self._segment is not None
        if self._segments.is_over(self._segment):
            end_s, size = self._segment.end_s, self._segment.size
            self._segments.keep(self._segment)
            self._begin(end_s, size)
        self._segment.write(self._canvas)

    def _begin(self, start_s: float, size: tuple[int, int]) -> None:
        fps = self._fixed_fps or self._rate.constant_fps or DEFAULT_FPS
        self._segment = self._segments.begin(fps=fps, size=size, start_s=start_s)
        if not self._has_begun:
            path, wanted = self._segment.path, self._path
            taken = "" if path == wanted else f": a recording of the name {wanted.name} exists already"
            log.info("recording to %s (%dx%d, %g fps)%s", path, *size, fps, taken)
        self._has_begun = True

    def _finish_last(self) -> None:
        """Finish the file before one of another size; pictures that no encoder takes are left out."""
        try:
            self._finish()
        except SizeError as error:
            assert self._last is not None
            self._leave_out(self._last[1], error)

    def _leave_out(self, size: tuple[int, int], error: SizeError) -> None:
        """Record no pictures of this size; others go into files of their own."""
        self._refused.add(size)
        self._held.clear()
        log.warning("%s: %s: such pictures are left out of the recording", self._path, error)

    def _finish(self) -> None:
        self._record_held()
        if self._segment is not None:
            segment, self._segment = self._segment, None
            self._segments.keep(segment)

    def _give_up(self, error: OSError) -> None:
        self._open = False
        self._held.clear()
        if self._segment is not None:
            self._segment.finish()
            self._segment = None
        log.warning("%s: recording ends: %s; the run goes on", self._path, error.strerror or error)
