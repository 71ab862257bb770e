"""Annotations of photographs, validated on reading.

In COCO's format (cocodataset.org, "format-data"), or in one of the two forms of `train.data.normalised`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import InputError
from edge.poses.pose import KEYPOINT_NAMES, KEYPOINTS
from tools.train.data.normalised import as_coco, is_boxes, is_labels
from tools.train.data.picture import Floats, bounds

__all__ = ["Annotated", "read_annotations"]

VISIBILITIES = (0, 1, 2)


class _BrokenError(ValueError):
    """The annotations are broken; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """One picture.

    Attributes:
        path: its file, which need not be there.
        size: (width, height) of the coordinates below; the file's pixels may be others.
        people: (P, 17, 3), rows of x, y, v; each with at least one known keypoint.
        boxes: (P, 4) x0, y0, x1, y1 of those people, around their known keypoints at least.
        others: (Q, 4) boxes of all others: crowds, and people without keypoints.
        scores: (Q,), of the others; 1 where none is given.
    """

    path: Path
    size: tuple[int, int]
    people: Floats
    boxes: Floats
    others: Floats
    scores: Floats


def read_annotations(path: Path, folder: Path) -> list[Annotated]:
    """Read the annotations of a folder's pictures.

    Raises:
        InputError: it cannot be read, is in none of the formats, or something in it makes no sense.
    """
    found = _read(path)
    try:
        return _annotated(_to_coco(found, folder), folder)
    except (_BrokenError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        text = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: not annotations in COCO's format: {' '.join(text.split())[:200]}") from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON, or cut off ({error})") from error


def _to_coco(found: Any, folder: Path) -> dict[str, Any]:
    if not _is_coco(found) and (is_labels(found) or is_boxes(found)):
        found = as_coco(found, folder)
    if not _is_coco(found):
        raise _BrokenError("it needs the lists 'images' and 'annotations'")
    _require_our_keypoints(found.get("categories", ()))
    coco: dict[str, Any] = found
    return coco


def _is_coco(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(key), list) for key in ("images", "annotations"))


def _require_our_keypoints(categories: Sequence[Any]) -> None:
    for category in categories:
        names = category.get("keypoints")
        if names and tuple(names) != KEYPOINT_NAMES:
            raise _BrokenError(f"its {len(names)} keypoints ({names[0]}, …) are not COCO's {KEYPOINTS}")


def _annotated(found: dict[str, Any], folder: Path) -> list[Annotated]:
    of_image: dict[Any, list[tuple[int, dict[str, Any]]]] = {image["id"]: [] for image in found["images"]}
    for number, each in enumerate(found["annotations"]):
        if each["image_id"] not in of_image:
            raise _BrokenError(f"annotation {number}: no image has the id {each['image_id']}")
        of_image[each["image_id"]].append((number, each))
    return [_one(image, folder, of_image[image["id"]]) for image in found["images"]]


def _one(image: dict[str, Any], folder: Path, annotations: list[tuple[int, dict[str, Any]]]) -> Annotated:
    size = int(image["width"]), int(image["height"])
    if min(size) < 1:
        raise _BrokenError(f"image {image['id']}: a size of {size[0]}x{size[1]} (width x height)")
    people, boxes, others, scores = [], [], [], []
    for number, each in annotations:
        keypoints = _keypoints(each, number)
        if (keypoints[:, 2] > 0).any() and not each.get("iscrowd"):
            people.append(keypoints)
            boxes.append(_around(keypoints, each, number))
        elif "bbox" in each:
            others.append(_box(each, number))
            scores.append(_numbers([each.get("score", 1.0)], 1, number, "score")[0])
    return Annotated(
        folder / str(image["file_name"]),
        size,
        np.array(people, np.float32).reshape(-1, KEYPOINTS, 3),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(others, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
    )


def _keypoints(annotation: dict[str, Any], number: int) -> Floats:
    values = annotation.get("keypoints") or [0] * (3 * KEYPOINTS)
    keypoints = _numbers(values, 3 * KEYPOINTS, number, "keypoints").reshape(KEYPOINTS, 3)
    if not np.isin(keypoints[:, 2], VISIBILITIES).all():
        raise _BrokenError(f"annotation {number}: keypoints whose visibility is none of {VISIBILITIES}")
    return keypoints


def _around(keypoints: Floats, annotation: dict[str, Any], number: int) -> Floats:
    """Return the box around a person's keypoints and the annotated box.

    An empty annotated box is ignored.
    """
    own: Floats = bounds(keypoints[None])[0]
    box = _box(annotation, number) if "bbox" in annotation else own
    if (box[2:] <= box[:2]).any():  # what some tools write where there is none
        return own
    return np.concatenate([np.minimum(own[:2], box[:2]), np.maximum(own[2:], box[2:])])


def _box(annotation: dict[str, Any], number: int) -> Floats:
    x, y, width, height = _numbers(annotation["bbox"], 4, number, "bbox")
    return np.array([x, y, x + width, y + height], np.float32)


def _numbers(values: Any, count: int, number: int, what: str) -> Floats:
    """Return `count` finite numbers, or raise with the annotation's number."""
    if len(values) != count:
        raise _BrokenError(f"annotation {number}: {what} of {len(values)} values instead of {count}")
    numbers = np.array(values, np.float32)
    if not np.isfinite(numbers).all():
        raise _BrokenError(f"annotation {number}: {what} with a value that is no number")
    return numbers
