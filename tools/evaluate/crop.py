"""Cuts annotated images to one shape, as a camera of that shape would see their middle."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge.errors import InputError, UsageError
from edge.frame import Frame
from tools.evaluate.annotations import AnnotatedImage, Annotations, Region

__all__ = ["cut_annotations", "cut_frame", "parse_shape"]

MAX_SIDE = 100


@dataclass(frozen=True, slots=True)
class Shape:
    """Width to height, such as 16:9."""

    width: int
    height: int


def parse_shape(text: str) -> Shape:
    """Return the shape of `W:H`.

    Raises:
        UsageError: it is something else.
    """
    width, colon, height = text.partition(":")
    if colon and all(part.isascii() and part.isdigit() and 0 < int(part) <= MAX_SIDE for part in (width, height)):
        return Shape(int(width), int(height))
    raise UsageError(f"--crop takes a shape such as 16:9 (width to height), not '{text}'")


def cut_annotations(annotations: Annotations, shape: Shape) -> Annotations:
    """Return the images that lie or stand as `shape` does, cut to it about their middle.

    A keypoint outside is as one that nobody annotated, and a person outside is left out. Of who was cut, box and area
    are what is left; COCO ignores people without keypoints. A wide shape leaves out upright images and the reverse:
    what is left of them says nothing of such a camera.

    Raises:
        InputError: no image lies as the shape does.
    """
    kept = [image for image in annotations.images if _lies_as(image.size, shape)]
    if not kept:
        raise InputError(f"{annotations.path}: no image lies as {shape.width}:{shape.height} does: use another --crop")
    return Annotations(annotations.path, tuple(_cut(image, shape) for image in kept))


def cut_frame(frame: Frame, image: AnnotatedImage) -> Frame:
    """Return the part of an image's frame that is looked at; the frame may be of another resolution."""
    region = image.region
    if region is None:
        return frame
    across, down = frame.size[0] / region.whole[0], frame.size[1] / region.whole[1]
    left, top = round(region.left * across), round(region.top * down)
    right, bottom = round((region.left + region.width) * across), round((region.top + region.height) * down)
    return replace(frame, image=np.ascontiguousarray(frame.image[top:bottom, left:right]), image_size=None)


def _lies_as(size: tuple[int, int], shape: Shape) -> bool:
    return (size[0] > size[1]) == (shape.width > shape.height) and (size[0] < size[1]) == (shape.width < shape.height)


def _cut(image: AnnotatedImage, shape: Shape) -> AnnotatedImage:
    width, height = image.size
    inner = (
        min(width, max(1, round(height * shape.width / shape.height))),
        min(height, max(1, round(width * shape.height / shape.width))),
    )
    region = Region((width - inner[0]) // 2, (height - inner[1]) // 2, *inner, whole=image.size)
    people = (_cut_person(person, region) for person in image.people)
    return replace(image, size=inner, people=tuple(person for person in people if person is not None), region=region)


def _cut_person(person: dict[str, Any], region: Region) -> dict[str, Any] | None:
    """Return a person in the pixels of the region; None if nothing of the box is in it."""
    x, y, width, height = person["bbox"]
    left, top = max(0.0, x - region.left), max(0.0, y - region.top)
    right, bottom = min(region.width, x + width - region.left), min(region.height, y + height - region.top)
    if right <= left or bottom <= top:
        return None
    keypoints = np.array(person["keypoints"], np.float64).reshape(-1, 3)
    moved = keypoints - (region.left, region.top, 0)
    inside = (moved[:, 0] >= 0) & (moved[:, 0] < region.width) & (moved[:, 1] >= 0) & (moved[:, 1] < region.height)
    moved[~inside | (keypoints[:, 2] == 0)] = 0
    part = (right - left) * (bottom - top) / (width * height)
    return {
        **person,
        "bbox": [left, top, right - left, bottom - top],
        "keypoints": moved.ravel().tolist(),
        "num_keypoints": int((moved[:, 2] > 0).sum()),
        "area": person["area"] * part,
    }
