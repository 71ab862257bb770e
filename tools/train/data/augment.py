"""Augmentation: size, place, angle, mirror, light, camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.frame import Image
from tools.train.data.picture import OUTSIDE, Floats, Picture, bounds, labelled_enough

__all__ = ["Variety", "View", "choose_view", "mosaic", "recolour", "take_view"]

MIRRORED = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
"""Left keypoints for right ones, in COCO's order."""
TOP_LEFT, CENTRED = 0.35, 0.25
"""Shares of the whole pictures that are placed so; the others are anywhere."""


@dataclass(frozen=True, slots=True)
class Variety:
    """Ranges of the augmentation.

    Attributes:
        min_extent_px: size that the chosen person gets at least; longer side of the box of keypoints, in pixels of
            the network's input.
        max_extent_px: at most; whole pictures may have larger ones.
        max_enlargement: pixels of the input per pixel of a picture, at most.
        whole: share of views that show the whole picture, letterboxed, as a camera's is.
        close: share of views of somebody close to the camera, who is cut off: from the waist or the shoulders up.
        close_heights: range of such a person's height, as far as the picture shows them, in heights of the view.
        close_enlargement: as `max_enlargement`, in such a view.
        max_degrees: angle of most views.
        tilted: share of the views that are tilted at all.
        filled: share of the views that show no more than they must of what is around the picture.
    """

    min_extent_px: float = 32.0
    max_extent_px: float = 190.0
    max_enlargement: float = 2.5
    whole: float = 0.3
    close: float = 0.27
    close_heights: tuple[float, float] = (0.6, 2.0)
    close_enlargement: float = 4.0
    max_degrees: float = 28.0
    tilted: float = 0.6
    filled: float = 0.8


@dataclass(frozen=True, slots=True)
class View:
    """A view of a picture: `matrix` (2, 3) from its pixels to the input's.

    `mirrored` comes before the matrix.
    """

    matrix: Floats
    mirrored: bool


def choose_view(picture: Picture, side: int, rng: np.random.Generator, variety: Variety) -> View:
    """Choose a view for a square input of `side` pixels."""
    height, width = picture.image.shape[:2]
    boxes = bounds(picture.people[labelled_enough(picture.people)])
    angle = rng.uniform(-1, 1) * variety.max_degrees if rng.random() < variety.tilted else 0.0
    mirrored = bool(rng.random() < 0.5)
    stretch = rng.uniform(0.92, 1.08, 2)  # lenses and pixels are not always square
    kind = rng.random()
    if not len(boxes) or kind < variety.whole:
        # The whole picture, a little larger or smaller, at the top left, in the middle, or anywhere.
        scale = side / max(height, width) * rng.uniform(0.8, 1.6)
        focus = np.array([width / 2, height / 2])
        place = _placed(side - scale * stretch * 2 * focus, rng) + scale * stretch * focus
    elif kind < variety.whole + variety.close:
        # One person, most likely a large one, from the head down to where the view ends.
        boxes = picture.boxes[labelled_enough(picture.people)]
        heights = np.maximum(boxes[:, 3] - boxes[:, 1], 4.0)
        chosen = rng.choice(len(boxes), p=heights / heights.sum())
        wanted = side * np.exp(rng.uniform(*np.log(variety.close_heights)))
        scale = float(min(wanted / heights[chosen], variety.close_enlargement))
        focus = np.array([(boxes[chosen, 0] + boxes[chosen, 2]) / 2, boxes[chosen, 1]])
        place = side * np.array([0.5 + rng.uniform(-0.3, 0.3), rng.uniform(-0.05, 0.3)])
    else:
        # One person at a chosen size, anywhere in the input.
        box = boxes[rng.integers(len(boxes))]
        extent = max(float((box[2:] - box[:2]).max()), 4.0)
        # As many small ones as large ones: the wanted extent is uniform in its logarithm.
        wanted = np.exp(rng.uniform(np.log(variety.min_extent_px), np.log(variety.max_extent_px)))
        scale = float(np.clip(wanted / extent, side / max(height, width) * 0.7, variety.max_enlargement))
        focus = (box[:2] + box[2:]) / 2
        room = max(0.05, 0.5 - 0.4 * extent * scale / side)
        place = side * (0.5 + rng.uniform(-room, room, 2))
    if mirrored:
        focus = np.array([width - focus[0], focus[1]])
    turn = np.deg2rad(angle)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear * stretch[:, None]
    if rng.random() < variety.filled:
        share = np.array([width, height]) * scale * stretch / side
        place = np.asarray(_filling(place, focus, share, side, scale * stretch), np.float64)
    return View(np.column_stack([linear, place - linear @ focus]).astype(np.float32), mirrored)


def _placed(spare: Floats, rng: np.random.Generator) -> Floats:
    """Return the corner of a picture in the view: where letterboxing puts it, or anywhere.

    `spare` is what the view has more than the picture, by axis; less than nothing where the picture is larger.
    """
    kind = rng.random()
    anywhere = rng.uniform(0, 1, 2)
    return np.asarray(spare * (0.0 if kind < TOP_LEFT else 0.5 if kind < TOP_LEFT + CENTRED else anywhere))


def _filling(place: Floats, focus: Floats, share: Floats, side: int, scale: Floats) -> Floats:
    """Return the focus's place where the picture fills the input or is inside.

    `share` is the picture's size in sides of the input.
    """
    spare = (1 - share) * side
    low, high = np.minimum(spare, 0), np.maximum(spare, 0)
    return np.asarray(np.clip(place - focus * scale, low, high) + focus * scale)


def take_view(picture: Picture, view: View, side: int, rng: np.random.Generator) -> Picture:
    """Return the view, (side, side, 3); keypoints out of view become OUTSIDE."""
    image, people = picture.image, picture.people.copy()
    matrix = view.matrix.astype(np.float64)
    if view.mirrored:
        flip = np.array([[-1.0, 0, image.shape[1]], [0, 1, 0], [0, 0, 1]])
        matrix = matrix @ flip
        people = people[:, MIRRORED]
    people[..., :2] = people[..., :2] @ matrix[:, :2].T + matrix[:, 2]
    inside = ((people[..., :2] >= 0) & (people[..., :2] < side)).all(axis=-1)
    people[..., 2] = np.where(inside | (people[..., 2] <= 0), people[..., 2], OUTSIDE)
    shown = _warped(image, matrix, side, _border(rng))
    boxes, ignored = _moved(picture.boxes, matrix, side), _moved(picture.ignored, matrix, side)
    seen = (ignored[:, 2:] - ignored[:, :2]).min(axis=1, initial=side) > 1
    return Picture(shown, people.astype(np.float32), boxes, ignored[seen], picture.name)


def mosaic(parts: Sequence[Picture]) -> Picture:
    """Return four square pictures of one size as one."""
    side = parts[0].image.shape[0]
    image = np.concatenate([np.concatenate([part.image for part in parts[row : row + 2]], axis=1) for row in (0, 2)])
    people, boxes, ignored = [], [], []
    for number, part in enumerate(parts):
        corner = np.array([number % 2, number // 2], np.float32) * side
        people.append(part.people + np.append(corner, 0).astype(np.float32))
        boxes.append(part.boxes + np.tile(corner, 2))
        ignored.append(part.ignored + np.tile(corner, 2))
    name = ", ".join(part.name for part in parts)
    return Picture(image, np.concatenate(people), np.concatenate(boxes), np.concatenate(ignored), name)


def _border(rng: np.random.Generator) -> tuple[float, ...]:
    """Return the colour around the picture: mostly the letterbox's black."""
    return (0.0, 0.0, 0.0) if rng.random() < 0.7 else tuple(rng.uniform(0, 255, 3).tolist())


def _warped(image: Image, matrix: Floats, side: int, border: tuple[float, ...]) -> Image:
    """Warp without aliasing: shrink by area before large reductions."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.7:
        width, height = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        factors = np.array([image.shape[1] / width, image.shape[0] / height])
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.column_stack([matrix[:, :2] * factors, matrix[:, 2]])
    # Coordinates here are of edges: pixel 0 reaches from 0 to 1. OpenCV's are of middles.
    middles = matrix.copy()
    middles[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return np.asarray(
        cv2.warpAffine(image, middles, (side, side), flags=cv2.INTER_LINEAR, borderValue=border), np.uint8
    )


def _moved(boxes: Floats, matrix: Floats, side: int) -> Floats:
    """Return boxes (Q, 4) around the moved corners, clipped."""
    if not len(boxes):
        return boxes
    corners = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [2, 3]], boxes[:, [0, 3]]], axis=1)
    corners = np.clip(corners @ matrix[:, :2].T + matrix[:, 2], 0, side)
    moved = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return np.asarray(moved, np.float32)


def recolour(image: Image, rng: np.random.Generator) -> Image:
    """Return the picture with other colours, contrast, blur, noise or resolution."""
    table = np.arange(256, dtype=np.float32)[:, None] / 255
    table = table ** np.exp(rng.uniform(-0.45, 0.45))  # gamma
    table = (table - 0.5) * rng.uniform(0.65, 1.3) + 0.5 + rng.uniform(-0.15, 0.15)
    table = table * rng.uniform(0.9, 1.1, 3)  # white balance, (256, 3)
    codes = np.clip(table * 255, 0, 255).astype(np.uint8)
    made = cv2.LUT(image, codes[None])
    grey = rng.random()
    if grey < 0.35:
        luma = cv2.cvtColor(cv2.cvtColor(made, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = 1.0 if grey < 0.06 else rng.uniform(0, 0.9)
        made = cv2.addWeighted(made, 1 - share, luma, share, 0)
    kind = rng.random()
    if kind < 0.12:
        made = cv2.GaussianBlur(made, (0, 0), rng.uniform(0.4, 1.3))
    elif kind < 0.24:
        noise = rng.normal(0, rng.uniform(2, 14), (*made.shape[:2], 1)).astype(np.float32)
        made = np.clip(made + noise, 0, 255).astype(np.uint8)
    elif kind < 0.32:
        side = int(made.shape[0] * rng.uniform(0.45, 0.8))
        small = cv2.resize(made, (side, side), interpolation=cv2.INTER_AREA)
        made = cv2.resize(small, made.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(made, np.uint8)
