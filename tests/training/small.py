"""Builders for tests of the training: lopsided people and pictures, small networks, folders of both."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from builders import STANDING_XY
from edge.frame import Image
from tools.train.data.batches import Batches, Share
from tools.train.data.picture import Floats, Picture, bounds
from tools.train.model.network import NetworkShape
from tools.train.run.loop import Recipe, Trainer

SHAPE = NetworkShape(channels=(4, 8, 8, 8, 8), blocks=(1, 0, 0, 0), kernels=(3, 3, 3, 3), pyramid=8, head=8)
SIZE = (120, 90)
"""(width, height) of pictures."""


def person(x: float = 20, y: float = 10, width: float = 30, height: float = 70) -> Floats:
    """Return a standing person, (17, 3), all keypoints visible, whose box has its top left corner at x, y."""
    keypoints = np.full((17, 3), 2, np.float32)
    keypoints[:, :2] = STANDING_XY * (width, height) + (x, y)
    return keypoints


def image(width: int = SIZE[0], height: int = SIZE[1], seed: int = 0) -> Image:
    """Return a picture of random blots."""
    blots = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), np.uint8)
    return np.asarray(cv2.resize(blots, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def picture(*people: Floats, name: str = "a picture", ignored: Sequence[Sequence[float]] = ()) -> Picture:
    """Return a picture of people, whose boxes are those around their known keypoints."""
    known = np.array(people, np.float32).reshape(-1, 17, 3)
    return Picture(
        image(),
        known,
        bounds(known),
        np.array(ignored, np.float32).reshape(-1, 4),
        name,
    )


class Pictures:
    """A source of a few pictures."""

    def __init__(self, *pictures: Picture, name: str = "few") -> None:
        self.name = name
        self._pictures = pictures

    def picture(self, rng: np.random.Generator) -> Picture:
        return self._pictures[int(rng.integers(len(self._pictures)))]


def few() -> Share:
    """Return a source of three pictures with one or two people."""
    return Share(
        Pictures(
            picture(person(), name="one"),
            picture(person(60, 15, 40, 60), name="other"),
            picture(person(5, 5, 25, 50), person(70, 20, 35, 65), name="two"),
        ),
        1.0,
    )


def batches(*shares: Share, first: int = 0, workers: int = 1, seed: int = 0, size: int = 2) -> Batches:
    """Return small batches of a few pictures."""
    return Batches(shares or [few()], size=size, side=64, seed=seed, first=first, workers=workers)


def trainer(steps: int = 20, **recipe: Any) -> Trainer:
    """Return a trainer of a very small network; the same each time."""
    torch.manual_seed(5)
    return Trainer(SHAPE, Recipe(steps=steps, **({"warmup": 2, "bfloat16": False} | recipe)), torch.device("cpu"))


def coco(folder: Path, count: int = 3) -> dict[str, Any]:
    """Write pictures into a folder, and return annotations of one person in each, COCO's format."""
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        name = f"p{number}.png"
        cv2.imwrite(str(folder / name), image(seed=number))
        images.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        keypoints = person(10.0 * number).ravel().tolist()
        annotations.append({"image_id": number, "keypoints": keypoints, "bbox": [10.0 * number, 10, 30, 70]})
    return {"images": images, "annotations": annotations}


def write(path: Path, values: Any) -> Path:
    """Write JSON, NaN as Python does."""
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def annotated(folder: Path, count: int = 3) -> tuple[Path, Path]:
    """Return an annotation file and its folder of pictures."""
    return write(folder / "people.json", coco(folder / "pictures", count)), folder / "pictures"
