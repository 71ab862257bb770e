"""Annotated photographs as a source of pictures."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.errors import InputError
from edge.frame import Image
from tools.train.data.annotations import Annotated, read_annotations
from tools.train.data.picture import LESS_SURE, Picture

__all__ = ["CocoSource", "read_image", "require_pictures"]

log = logging.getLogger(__name__)

MAX_SIDE = 640
"""Larger pictures are kept smaller: no view needs more."""
KEPT_BYTES = 2_000_000_000
"""Size of a source's cache in memory; pictures beyond it are read again each time."""


class CocoSource:
    """Annotated pictures of a folder, cached once read.

    People without labelled keypoints and crowds are ignored: neither learned nor taken for background. A picture that
    turns out to be unreadable is left out, with one warning, and the next one takes its place.

    Args:
        annotations: a file that `read_annotations` takes.
        images: folder with the files it names.
        by_model: a model labelled them: a v of 1 says that it was less sure, and not that the keypoint is hidden.
        kept_bytes: of pixels that stay in memory.

    Raises:
        InputError: it cannot be read, makes no sense, or none of its pictures is there.
    """

    def __init__(
        self, annotations: Path, images: Path, *, by_model: bool = False, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self.name = annotations.stem
        self._hidden = LESS_SURE if by_model else 1.0
        self._entries = require_pictures(read_annotations(annotations, images), annotations, images)
        self._images: dict[int, Image] = {}
        self._room_bytes = kept_bytes
        self._broken: set[int] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def picture(self, rng: np.random.Generator) -> Picture:
        """Return one of the pictures. Raises InputError when none is readable."""
        return self.at(int(rng.integers(len(self._entries))))

    def at(self, number: int) -> Picture:
        """Return picture `number`, or the next readable one. Raises InputError."""
        for place in range(number, number + len(self._entries)):
            image = self._image(place % len(self._entries))
            if image is not None:
                return _picture(image, self._entries[place % len(self._entries)], self._hidden)
        raise InputError(f"{self._entries[0].path.parent}: not one of the {len(self._entries)} pictures can be read")

    def _image(self, number: int) -> Image | None:
        if number in self._broken:
            return None
        image = self._images.get(number)
        if image is not None:
            return image
        try:
            image = read_image(self._entries[number].path)
        except InputError as error:
            self._leave_out(number, error)
            return None
        with self._lock:
            if image.nbytes <= self._room_bytes and number not in self._images:
                self._images[number] = image
                self._room_bytes -= image.nbytes
        return image

    def _leave_out(self, number: int, error: InputError) -> None:
        with self._lock:
            is_news = number not in self._broken
            self._broken.add(number)
        if is_news:
            log.warning("%s: it is left out", error)


def read_image(path: Path) -> Image:
    """Return a picture file as RGB uint8 (h, w, 3). Raises InputError.

    Its longer side is at most MAX_SIDE.
    """
    try:
        coded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    image = cv2.imdecode(coded, cv2.IMREAD_COLOR) if len(coded) else None
    if image is None:
        raise InputError(f"{path}: cannot be read as a picture")
    factor = MAX_SIDE / max(image.shape[:2])
    if factor < 1:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def require_pictures(entries: Sequence[Annotated], annotations: Path, images: Path) -> list[Annotated]:
    """Return the entries whose file exists; log a warning for missing ones.

    Raises:
        InputError: there is no such folder, or not one of the files.
    """
    if not images.is_dir():
        raise InputError(f"{images}: no such folder of pictures")
    if not entries:
        raise InputError(f"{annotations}: it names no pictures")
    there = [entry for entry in entries if entry.path.is_file()]
    missing = [entry.path for entry in entries if not entry.path.is_file()]
    if not there:
        raise InputError(f"{images}: none of the {len(entries)} pictures of {annotations} is here")
    if missing:
        of_all = f"{len(missing)} of its {len(entries)} pictures are left out"
        log.warning("%s: %s: %s is missing", annotations, of_all, missing[0])
    return there


def _picture(image: Image, entry: Annotated, hidden: float) -> Picture:
    """Return a picture with its annotations in pixels; `hidden` stands for v = 1."""
    factors = np.array(image.shape[1::-1]) / entry.size
    people = entry.people.copy()
    people[..., :2] *= factors
    people[..., 2][people[..., 2] == 1] = hidden
    boxes, others = ((each * np.tile(factors, 2)).astype(np.float32) for each in (entry.boxes, entry.others))
    return Picture(image, people, boxes, others, str(entry.path))
