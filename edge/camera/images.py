"""Camera `images`: one picture, or a folder of them sorted by name."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.camera.files import PICTURE_SUFFIXES, require_file
from edge.camera.opencv import ImageReader, rotated_size
from edge.camera.pacing import Pacer
from edge.errors import InputError
from edge.frame import Frame, Image

__all__ = ["ImagesCamera"]

log = logging.getLogger(__name__)


class ImagesCamera:
    """Plays the pictures of a folder in order of their names.

    A picture that cannot be read is skipped with a warning.

    Args:
        path: a folder, or one picture.
        fps: pictures per second when paced.
        paced: False to read every picture once, at full speed.
        loop: restart after the last picture.
        rotate: clockwise degrees: 0, 90, 180 or 270.
    """

    live = False

    def __init__(
        self, path: Path, *, fps: float = 25.0, paced: bool = True, loop: bool = False, rotate: int = 0
    ) -> None:
        self.name = path.name or str(path)
        self._path = path
        self._period_s = 1 / fps
        self._loop = loop
        self._rotate = rotate
        self._pacer = Pacer(paced=paced)
        self._reader = ImageReader(rotate)
        self._ahead: tuple[int, Image] | None = None  # read in advance, to know the size
        self._start_index: int | None = None  # of the picture that started the clock
        self._pictures: Iterator[tuple[int, Image]] = iter(())
        self._index = 0
        self._files: Sequence[Path] = ()
        self._warned: set[Path] = set()

    def open(self) -> None:
        """List the pictures. Raises InputError: none can be read."""
        self._files = self._list()
        self._pictures = self._read_all()
        self._ahead = next(self._pictures, None)
        if self._ahead is None:
            raise InputError(f"{self._path}: no picture in it can be read")
        self._start_index = self._ahead[0]
        self._pacer.start()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the first picture; others may differ."""
        assert self._ahead is not None
        height, width = self._ahead[1].shape[:2]
        return rotated_size((width, height), self._rotate)

    def read(self) -> Frame | None:
        """Wait for the next picture; None after the last."""
        if self._pacer.stopped:
            return None
        ahead = self._ahead or next(self._pictures, None)
        if ahead is None:
            return None
        self._ahead = None
        index, bgr = ahead
        position_s = self._position_s(index)
        if not self._pacer.wait(position_s):
            return None
        return self._pacer.frame(self._reader.upright_rgb(bgr), index, position_s)

    def interrupt(self) -> None:
        """End a wait in `read`, from another thread."""
        self._pacer.stop()

    def is_back(self) -> bool:
        """Return False: files are never away."""
        return False

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def _warn_once(self, file: Path) -> None:
        if file not in self._warned:
            self._warned.add(file)
            log.warning("%s: cannot be read as a picture, skipped", file)

    def _position_s(self, index: int) -> float:
        return (index - (self._start_index or 0)) * self._period_s

    def _is_past(self, index: int) -> bool:
        """Return whether the time of picture `index` is over: a camera would have missed it."""
        return self._start_index is not None and self._pacer.is_late(self._position_s(index + 1))

    def _list(self) -> Sequence[Path]:
        if not require_file(self._path, or_folder=True):
            return (self._path,)
        try:
            files = sorted(entry for entry in self._path.iterdir() if entry.suffix.lower() in PICTURE_SUFFIXES)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be listed: {error.strerror}") from error
        if not files:
            raise InputError(f"{self._path}: no pictures in this folder ({', '.join(sorted(PICTURE_SUFFIXES))})")
        return files

    def _read_all(self) -> Iterator[tuple[int, Image]]:
        """Yield (index, BGR picture); unreadable pictures leave a gap in the index."""
        while True:
            found = False
            for file in self._files:
                index, self._index = self._index, self._index + 1
                if self._is_past(index):
                    found = True
                    continue
                bgr = _read_bgr(file)
                if bgr is None:
                    self._warn_once(file)
                    continue
                found = True
                yield index, bgr
            if not (self._loop and found):
                return


def _read_bgr(file: Path) -> Image | None:
    """Return a picture as BGR uint8 (H, W, 3), rotated by its EXIF data, or None."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    if not _is_whole(data):
        return None
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def _is_whole(data: bytes) -> bool:
    """Return whether a JPEG or PNG is complete; data may follow its end.

    Decoders fill the missing part of a truncated one with grey.
    """
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data
    if data.startswith(b"\xff\xd8"):
        return data.find(b"\xff\xd9", _scan_start(data)) > 0
    return len(data) > 0


def _scan_start(data: bytes) -> int:
    """Return the offset of a JPEG's start of scan, behind its segments.

    One of these may hold a thumbnail, with an end of its own.

    A segment is 0xFF, a marker, and a length of two bytes that counts itself (ITU T.81, B.1.1.4).
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:  # 0xDA: start of scan
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return at
