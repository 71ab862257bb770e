"""One file of a recording, and the available encoders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from edge.frame import Image
from edge.host.process import redirected_stderr

__all__ = ["CODECS", "Segment", "SizeError", "can_read", "can_write", "working"]

CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
"""File suffix to FourCC, for encoders in every build of opencv-python-headless."""
CHATTY = (".webm",)
"""OpenCV warns about these suffixes on stderr at any log level, but writes them correctly."""


class SizeError(OSError):
    """No encoder takes pictures of this size."""


class Segment:
    """One file of a recording, at a constant frame rate.

    Args:
        path: the file; overwritten.
        codec: FourCC.
        fps: frames per second of the file.
        size: (width, height) of the frames; an odd column or row is cut off by the encoder.
        start_s: capture time of its beginning, on the camera's own clock.

    Raises:
        SizeError: the encoder refuses the size, or the file cannot be written.
    """

    def __init__(self, path: Path, codec: str, *, fps: float, size: tuple[int, int], start_s: float) -> None:
        self.path = path
        self.fps = fps
        self.size = size
        self.frames = 0
        self._start_s = start_s
        self._writer = _open_writer(path, codec, fps, size)
        if not self._writer.isOpened():
            raise SizeError(f"no video of {size[0]}x{size[1]} at {fps:g} fps can be written")

    def missing(self, time_s: float) -> int:
        """Return the number of frames missing before that of `time_s`.

        Below 0 its place is taken already.
        """
        return round((time_s - self._start_s) * self.fps) - self.frames

    @property
    def end_s(self) -> float:
        """Capture time at which the next frame is due."""
        return self._start_s + self.frames / self.fps

    @property
    def is_at_whole_second(self) -> bool:
        """Whether a second of the recording starts: about once per second."""
        return self.frames % max(round(self.fps), 1) == 0

    def write(self, bgr: Image) -> None:
        """Append a BGR uint8 (H, W, 3) picture."""
        self._writer.write(bgr)
        self.frames += 1

    def finish(self) -> None:
        """Write the index and close the file; harmless when done already."""
        self._writer.release()


def can_write(path: Path, codec: str) -> bool:
    """Return whether an encoder of this FourCC fits the suffix; overwrites `path`."""
    writer = _open_writer(path, codec, 25.0, (64, 48), chatty=True)
    opened = writer.isOpened()
    writer.release()
    return bool(opened)


def can_read(path: Path) -> bool:
    """Return whether a file is a readable video; a failed one has no index."""
    return bool(cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).isOpened())


def working() -> str:
    """Return which suffixes this OpenCV can write, as a text."""
    with TemporaryDirectory() as folder:
        names = [suffix for suffix, codec in sorted(CODECS.items()) if can_write(Path(folder) / f"p{suffix}", codec)]
    return f"this OpenCV writes {', '.join(names) or 'no videos at all'}"


def _open_writer(path: Path, codec: str, fps: float, size: tuple[int, int], *, chatty: bool = False) -> cv2.VideoWriter:
    with _silence(chatty=chatty or path.suffix.lower() in CHATTY):
        return cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size)


@contextmanager
def _silence(*, chatty: bool) -> Iterator[None]:
    """Discard stderr for a moment, as native code prints to it.

    Lines of other threads are lost too, so it is short.
    """
    if not chatty:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with redirected_stderr(nowhere):
            yield
    finally:
        os.close(nowhere)
