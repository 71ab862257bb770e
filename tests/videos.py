"""Writes small videos and pictures whose frames show their number, with red, green and blue in fixed places."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image

STEP = 12  # grey levels between two numbers; they begin again at 20


def numbered_image(index: int, width: int = 96, height: int = 64) -> Image:
    """An RGB image: red top left, green top right, and below the number of the frame as a grey level."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (230, 0, 0)
    image[: height // 2, width // 2 :] = (0, 220, 0)
    image[height // 2 :] = index % 20 * STEP
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """Read the number, modulo 20, back from an upright image, lossy compression or not."""
    height, width = image.shape[:2]
    return round(float(image[height * 3 // 4, width // 4 : width * 3 // 4].mean()) / STEP)


def write_video(path: Path, frames: int = 10, *, fps: float = 25.0, fourcc: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), fps, (96, 64))
    for index in range(frames):
        writer.write(cv2.cvtColor(numbered_image(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_pictures(folder: Path, count: int = 10, *, suffix: str = ".png") -> Path:
    folder.mkdir(exist_ok=True)
    for index in range(count):
        picture = cv2.cvtColor(numbered_image(index), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{index:03}{suffix}"), picture)
    return folder
