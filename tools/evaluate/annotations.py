"""Person keypoints in COCO's format, validated on loading.

See cocodataset.org, "format-data".
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.poses.pose import KEYPOINT_NAMES

__all__ = ["AREA_OF_BOX", "CATEGORY", "AnnotatedImage", "Annotations", "Region", "load_annotations", "require_images"]

CATEGORY = 1
"""The one category that is left: people."""
AREA_OF_BOX = 0.53
"""Area inside a person's outline as a part of the box: the median of 222 annotated people of COCO."""
VALUES = 3 * len(KEYPOINT_NAMES)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an image, in pixels of its annotations; `whole` is the image's (width, height)."""

    left: int
    top: int
    width: int
    height: int
    whole: tuple[int, int]


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image, or a part of it.

    Attributes:
        id: as in the file.
        file_name: relative to the folder of the images.
        size: (width, height) in pixels, of its annotations.
        people: COCO's annotations of this image, crowds and people without keypoints included.
        region: the part that is looked at, which size and people are of; None for the whole image.
    """

    id: int
    file_name: str
    size: tuple[int, int]
    people: tuple[dict[str, Any], ...]
    region: Region | None = None

    @property
    def whole_size(self) -> tuple[int, int]:
        """(width, height) of the file in pixels."""
        return self.region.whole if self.region else self.size

    @property
    def wanted(self) -> list[dict[str, Any]]:
        """The people that COCO counts: no crowds, at least one keypoint."""
        return [person for person in self.people if person["num_keypoints"] and not person["iscrowd"]]


@dataclass(frozen=True, slots=True)
class Annotations:
    """Ground truth of a folder of images."""

    path: Path
    images: tuple[AnnotatedImage, ...]

    @property
    def people(self) -> int:
        """Number of people whom COCO asks for."""
        return sum(len(image.wanted) for image in self.images)

    def dataset(self) -> dict[str, Any]:
        """Return COCO's format, with one category and ids from 1 on."""
        return {
            "info": {},
            "images": [{"id": image.id, "width": image.size[0], "height": image.size[1]} for image in self.images],
            "annotations": [dict(person) for image in self.images for person in image.people],
            "categories": [{"id": CATEGORY, "name": "person"}],
        }


def load_annotations(path: Path) -> Annotations:
    """Read a file such as COCO's person_keypoints_val2017.json.

    What other tools leave out is filled in: ids, `iscrowd`, `num_keypoints`, `area`.

    Raises:
        InputError: it is missing, no JSON, not in this format, or has no keypoints.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON, or cut off ({error})") from error
    try:
        return Annotations(path, tuple(_images(found)))
    except _NoKeypointsError as error:
        raise InputError(f"{path}: {error}; needed are person keypoints (person_keypoints_*.json of COCO)") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not in COCO's format ({type(error).__name__}: {error}); needed are 'images' with id, file_name, "
            "width and height, and 'annotations' with image_id, bbox and keypoints"
        ) from error


def require_images(annotations: Annotations, folder: Path) -> None:
    """Check that the folder has the images.

    Raises:
        InputError: there is no such folder, it lacks some of them, or it cannot be looked into.
    """
    try:
        is_folder = folder.is_dir()
        missing = [image.file_name for image in annotations.images if not (folder / image.file_name).is_file()]
    except OSError as error:  # no rights, or a name that is too long
        raise InputError(f"{error.filename or folder}: cannot be read: {error.strerror}") from error
    if not is_folder:
        raise InputError(f"{folder}: no such folder of images")
    if missing:
        raise InputError(
            f"{folder}: {len(missing)} of the {len(annotations.images)} images of {annotations.path.name} are missing, "
            f"{missing[0]} for one"
        )


class _NoKeypointsError(Exception):
    """Annotations of another kind."""


def _images(found: dict[str, Any]) -> Iterable[AnnotatedImage]:
    people: dict[int, list[dict[str, Any]]] = {int(image["id"]): [] for image in found["images"]}
    if not people:
        raise ValueError("it has no images")
    _require_keypoints(found["annotations"])
    _require_our_order(found.get("categories", ()))
    for person in found["annotations"]:
        if "keypoints" in person:  # the others are things, not people
            people[int(person["image_id"])].append(person)
    number = 1  # pycocotools takes id 0 for "no match"
    for image in found["images"]:
        cleaned = tuple(_clean(person, at) for at, person in enumerate(people[int(image["id"])], number))
        number += len(cleaned)
        yield AnnotatedImage(
            int(image["id"]), str(image["file_name"]), (int(image["width"]), int(image["height"])), cleaned
        )


def _require_keypoints(annotations: Sequence[dict[str, Any]]) -> None:
    if annotations and not any("keypoints" in each for each in annotations):
        raise _NoKeypointsError("none of its annotations has keypoints")


def _require_our_order(categories: Iterable[dict[str, Any]]) -> None:
    for category in categories:
        names = category.get("keypoints")
        if names and tuple(names) != KEYPOINT_NAMES:
            raise _NoKeypointsError(f"its {len(names)} keypoints ({names[0]}, …) are not COCO's 17")


def _clean(person: dict[str, Any], number: int) -> dict[str, Any]:
    keypoints = [float(value) for value in person["keypoints"]]
    box = [float(value) for value in person["bbox"]]
    if len(keypoints) != VALUES or len(box) != 4:
        raise ValueError(f"{len(keypoints)} keypoint values and {len(box)} of the bbox instead of {VALUES} and 4")
    return {
        "id": number,
        "image_id": int(person["image_id"]),
        "category_id": CATEGORY,
        "keypoints": keypoints,
        "num_keypoints": int(person.get("num_keypoints", sum(value > 0 for value in keypoints[2::3]))),
        "bbox": box,
        "area": float(person.get("area", AREA_OF_BOX * box[2] * box[3])),
        "iscrowd": int(person.get("iscrowd", 0)),
    }
