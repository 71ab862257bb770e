"""Camera `images`: one picture, or a folder of them sorted by name."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edge.camera.files import OTHER_SUFFIXES, PICTURE_SUFFIXES, require_file
from edge.camera.opencv import ImageReader, rotated_size
from edge.camera.pacing import Pacer
from edge.camera.picture import PictureError, read_picture
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
        hflip: mirror left to right, before rotation.
        vflip: mirror top to bottom, before rotation.
    """

    live = False

    def __init__(
        self,
        path: Path,
        *,
        fps: float = 25.0,
        paced: bool = True,
        loop: bool = False,
        rotate: int = 0,
        hflip: bool = False,
        vflip: bool = False,
    ) -> None:
        self.name = path.name or str(path)
        self._path = path
        self._period_s = 1 / fps
        self._loop = loop
        self._rotate = rotate
        self._pacer = Pacer(paced=paced)
        self._reader = ImageReader(rotate, hflip=hflip, vflip=vflip)
        self._ahead: tuple[int, Image, str] | None = None  # read in advance, to know the size
        self._start_index: int | None = None  # of the picture that started the clock
        self._pictures: Iterator[tuple[int, Image, str]] = iter(())
        self._index = 0
        self._files: Sequence[Path] = ()
        self._warned: set[Path] = set()
        self._problem = ""  # why the only picture cannot be read

    def open(self) -> None:
        """List the pictures. Raises InputError: none can be read."""
        self._problem = "no picture in it can be read"
        self._files = self._list()
        self._pictures = self._read_all()
        self._ahead = next(self._pictures, None)
        if self._ahead is None:
            raise InputError(f"{self._path}: {self._problem}")
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
        index, bgr, name = ahead
        position_s = self._position_s(index)
        if not self._pacer.wait(position_s):
            return None
        return replace(self._pacer.frame(self._reader.upright_rgb(bgr), index, position_s), source=name)

    def interrupt(self) -> None:
        """End a wait in `read`, from another thread."""
        self._pacer.stop()

    def is_back(self) -> bool:
        """Return False: files are never away."""
        return False

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def _warn_once(self, file: Path, problem: str) -> None:
        if file == self._path:
            self._problem = problem
        elif file not in self._warned:
            self._warned.add(file)
            log.warning("%s: %s, skipped", file, problem)

    def _warn_of_others(self, others: Sequence[Path]) -> None:
        """Name, once, the pictures of a folder that are of no known kind."""
        if others and self._path not in self._warned:
            self._warned.add(self._path)
            kinds = ", ".join(sorted({file.suffix.lower() for file in others}))
            log.warning("%s: %d pictures are left out (%s): convert them to JPEG", self._path, len(others), kinds)

    def _position_s(self, index: int) -> float:
        return (index - (self._start_index or 0)) * self._period_s

    def _is_past(self, index: int) -> bool:
        """Return whether the time of picture `index` is over: a camera would have missed it."""
        return self._start_index is not None and self._pacer.is_late(self._position_s(index + 1))

    def _list(self) -> Sequence[Path]:
        if not require_file(self._path, or_folder=True):
            return (self._path,)
        try:
            entries = sorted(self._path.iterdir())
        except OSError as error:
            raise InputError(f"{self._path}: cannot be listed: {error.strerror}") from error
        files = [entry for entry in entries if entry.suffix.lower() in PICTURE_SUFFIXES]
        self._warn_of_others([entry for entry in entries if entry.suffix.lower() in OTHER_SUFFIXES])
        if not files:
            raise InputError(f"{self._path}: no pictures in this folder ({', '.join(sorted(PICTURE_SUFFIXES))})")
        return files

    def _read_all(self) -> Iterator[tuple[int, Image, str]]:
        """Yield (index, BGR picture, name of its file); unreadable pictures leave a gap in the index."""
        while True:
            found = False
            for file in self._files:
                index, self._index = self._index, self._index + 1
                if self._is_past(index):
                    found = True
                    continue
                try:
                    bgr = read_picture(file)
                except PictureError as error:
                    self._warn_once(file, str(error))
                    continue
                found = True
                yield index, bgr, file.name.encode("utf-8", "replace").decode("utf-8")
            if not (self._loop and found):
                return
