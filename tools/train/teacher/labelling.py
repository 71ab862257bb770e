"""Labels photographs by a teacher, cached as COCO JSON."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edge.errors import InputError
from edge.frame import Image
from edge.host.atomic_write import write_whole
from edge.poses.pose import KEYPOINT_NAMES
from tools.train.data.annotations import Annotated, read_annotations
from tools.train.data.coco import read_image, require_pictures
from tools.train.data.normalised import pictures_in
from tools.train.data.picture import Floats
from tools.train.teacher.teacher import Labelled

__all__ = ["Labeller", "Unlabelled", "label_pictures"]

log = logging.getLogger(__name__)

KEEP_S = 20.0
"""Interval of writing the labels."""
DECIMALS = 1
CATEGORY = {"id": 1, "name": "person", "keypoints": list(KEYPOINT_NAMES)}

Progress = Callable[[int, int, str], None]


class Labeller(Protocol):
    """Labels pictures: `train.teacher.teacher.Teacher`."""

    def find(self, image: Image) -> tuple[Floats, Floats]:
        """Return people's boxes (B, 4) in pixels, and their scores (B,).

        x0, y0, x1, y1.
        """
        ...

    def label(self, image: Image, boxes: Floats, scores: Floats) -> Labelled:
        """Return labels of the people in boxes."""
        ...


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Photographs of people.

    Attributes:
        folder: with the pictures.
        boxes: annotations with the people's boxes; None: the teacher finds the people itself, which is worse.
    """

    folder: Path
    boxes: Path | None


class _Cache:
    """The labels made so far, in a file.

    Args:
        path: the file.
        made_from: what the labels depend on; labels made from anything else are forgotten.
    """

    def __init__(self, path: Path, made_from: str) -> None:
        self._path, self._made_from = path, made_from
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._load()
        self.done = {image["file_name"] for image in self._images}

    def add(self, name: str, image: Image, labelled: Labelled) -> None:
        """Take the labels of one more picture."""
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": name, "width": image.shape[1], "height": image.shape[0]})
        pairs = zip(labelled.people, labelled.boxes, strict=True)
        self._annotations += [_annotation(number, person, box) for person, box in pairs]
        self._annotations += [{"image_id": number, "bbox": _sides(box)} for box in labelled.ignored]
        self.done.add(name)

    def write(self) -> None:
        """Write the file whole. Raises UnavailableError."""
        for number, annotation in enumerate(self._annotations, 1):
            annotation.update(id=number, category_id=1, iscrowd=0)
        values = {
            "info": {"made_from": self._made_from},
            "images": self._images,
            "annotations": self._annotations,
            "categories": [CATEGORY],
        }
        write_whole(self._path, json.dumps(values).encode())

    def _load(self) -> None:
        try:
            found = json.loads(self._path.read_bytes())
            if found["info"]["made_from"] == self._made_from:
                self._images, self._annotations = found["images"], found["annotations"]
                return
            log.warning("%s: made from another teacher, other boxes or pictures: labelled again", self._path)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("%s: cannot be read: the pictures are labelled again", self._path)


def label_pictures(unlabelled: Unlabelled, teacher: Labeller, cache: Path, digest: str, on_progress: Progress) -> None:
    """Label the people in photographs; a stopped labelling resumes.

    Args:
        unlabelled: the photographs.
        teacher: who labels.
        cache: file for the labels, COCO's format.
        digest: of the teacher; labels of another one are made again.
        on_progress: called with (done, total, label).

    Raises:
        InputError: there are no pictures, not one can be read, or the boxes make no sense.
        UnavailableError: the labels cannot be written.
    """
    pictures = _pictures(unlabelled)
    labels = _Cache(cache, _made_from(unlabelled, digest))
    written_s = time.monotonic()
    try:
        for number, picture in enumerate(pictures, 1):
            name = str(picture.path.relative_to(unlabelled.folder))
            if name not in labels.done:
                _label(picture, name, teacher, labels, has_boxes=unlabelled.boxes is not None)
            on_progress(number, len(pictures), f"labelling {unlabelled.folder.name}")
            if time.monotonic() - written_s > KEEP_S:
                labels.write()
                written_s = time.monotonic()
    finally:
        if labels.done:
            labels.write()
    if not labels.done:
        raise InputError(f"{unlabelled.folder}: not one of the {len(pictures)} pictures can be read")


def _pictures(unlabelled: Unlabelled) -> Sequence[Annotated]:
    folder = unlabelled.folder
    if unlabelled.boxes is not None:
        return require_pictures(read_annotations(unlabelled.boxes, folder), unlabelled.boxes, folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of pictures")
    nothing = np.empty((0, len(KEYPOINT_NAMES), 3)), np.empty((0, 4)), np.empty((0, 4)), np.empty(0)
    found = [Annotated(path, (1, 1), *nothing) for path in pictures_in(folder)]
    if not found:
        raise InputError(f"{folder}: no pictures in it")
    return found


def _label(picture: Annotated, name: str, teacher: Labeller, labels: _Cache, *, has_boxes: bool) -> None:
    try:
        image = read_image(picture.path)
    except InputError as error:
        log.warning("%s: it is left out", error)
        return
    boxes, scores = _boxes(picture, image) if has_boxes else teacher.find(image)
    labels.add(name, image, teacher.label(image, boxes, scores))


def _boxes(picture: Annotated, image: Image) -> tuple[Floats, Floats]:
    """Return a picture's boxes in its own pixels, and their scores."""
    factors = np.tile(np.array(image.shape[1::-1]) / picture.size, 2)
    # Annotations with keypoints may give the boxes, too.
    boxes = np.concatenate([picture.others, picture.boxes]) * factors
    return boxes.astype(np.float32), np.concatenate([picture.scores, np.ones(len(picture.boxes), np.float32)])


def _annotation(number: int, person: Floats, box: Floats) -> dict[str, Any]:
    """Return a COCO annotation of a person (17, 3) with a box.

    The box is x0, y0, x1, y1.
    """
    known = person[:, 2:] > 0
    return {
        "image_id": number,
        "keypoints": [round(float(value), DECIMALS) for value in (person * known).ravel()],
        "num_keypoints": int(known.sum()),
        "bbox": _sides(box),
        "area": round(float((box[2] - box[0]) * (box[3] - box[1])), DECIMALS),
    }


def _sides(box: Floats) -> list[float]:
    """Return a box x0, y0, x1, y1 as x, y, width, height."""
    return [round(float(value), DECIMALS) for value in (box[0], box[1], box[2] - box[0], box[3] - box[1])]


def _made_from(unlabelled: Unlabelled, digest: str) -> str:
    boxes = "none" if unlabelled.boxes is None else hashlib.sha256(unlabelled.boxes.read_bytes()).hexdigest()
    return f"teacher sha256:{digest}, boxes {boxes}, folder {unlabelled.folder.absolute()}"
