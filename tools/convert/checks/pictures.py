"""Pictures for the checks: from a folder, or of the synthetic scene."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.camera.images import ImagesCamera
from edge.frame import Image
from edge.poses.letterbox import Letterbox, fit
from edge.poses.model_input import letterbox_into
from edge.scene.scene import Scene
from tools.convert.int8.calibration import SCENE_STEP

__all__ = ["Picture", "folder_pictures", "scene_pictures"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as the model gets it.

    Attributes:
        index: place among the folder's pictures, sorted by name; frame of the scene.
        pixels: uint8 (1, H, W, 3), RGB, letterboxed.
        letterbox: the way back.
    """

    index: int
    pixels: NDArray[np.uint8]
    letterbox: Letterbox


def folder_pictures(folder: Path, size: tuple[int, int], max_pictures: int) -> Iterator[Picture]:
    """Yield the first pictures of a folder by name, letterboxed.

    `size` is (width, height); pictures that cannot be read are left out.

    Raises:
        InputError: no such folder, or no picture in it that can be read.
    """
    camera = ImagesCamera(folder, paced=False)
    camera.open()
    try:
        for _ in range(max_pictures):
            frame = camera.read()
            if frame is None or frame.image is None:
                return
            yield _picture(frame.index, frame.image, size)
    finally:
        camera.close()


def scene_pictures(size: tuple[int, int], count: int) -> Iterator[Picture]:
    """Yield frames of the synthetic scene, letterboxed into `size` (width, height)."""
    scene = Scene()
    for index in range(0, count * SCENE_STEP, SCENE_STEP):
        yield _picture(index, scene.draw(index)[0], size)


def _picture(index: int, image: Image, size: tuple[int, int]) -> Picture:
    box = fit((image.shape[1], image.shape[0]), size)
    pixels = np.empty((1, size[1], size[0], 3), np.uint8)
    letterbox_into(image, box, pixels)
    return Picture(index, pixels, box)
