"""Calibration pictures for int8: of a folder, a video, or the scene.

They are letterboxed like a camera's. What a person looks like to the model depends on size and place, so every other
picture is also shown mirrored, smaller, or moved to a side.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.files import PICTURE_SUFFIXES, require_file
from edge.camera.images import ImagesCamera
from edge.camera.video import VideoCamera
from edge.errors import InputError
from edge.frame import Image
from edge.poses.letterbox import fit
from edge.poses.model_input import letterbox_into
from edge.scene.scene import Scene

__all__ = ["SCENE_STEP", "Calibration", "calibrate", "require_calibration"]

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_IMAGES = 128
"""More do not change the ranges, and cost time."""
MAX_PIXELS = 128 * 1024 * 1024
"""Of all pictures: as floats they take 1.5 GB. Inputs above 1024x1024 get fewer pictures."""
MIN_IMAGES = 20
"""Fewer represent little of what a camera may see."""
SCENE_IMAGES = 64
SCENE_STEP = 41
"""Every 41st frame of the scene is used: neighbours are almost the same picture."""
SMALLEST = 0.4
"""Least size of a shrunk picture."""
LABEL = "calibration"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pictures as the model will get them.

    Attributes:
        images: uint8 (N, H, W, 3), RGB, letterboxed.
        description: where they are from, in one line.
    """

    images: NDArray[np.uint8]
    description: str


def calibrate(
    source: Path | None,
    *,
    size: tuple[int, int],
    seed: int = 0,
    max_images: int = MAX_IMAGES,
    on_progress: Progress = lambda _done, _total, _label: None,
) -> Calibration:
    """Read pictures evenly spread over the source, the same every time.

    `seed` selects other variants.

    A picture that cannot be read is left out with a warning, and so is a warning given for fewer than 20 pictures and
    for the synthetic scene.

    Args:
        source: a folder of pictures (not those in folders within it), a video, or None for the synthetic scene.
        size: (width, height) of the model's input in pixels.
        seed: other variants of the same pictures.
        max_images: of pictures, variants included; fewer for a large input, see `MAX_PIXELS`.
        on_progress: called with (done, total, label).

    Raises:
        InputError: no such file or folder, no picture in it, or none that can be read.
    """
    max_images = min(max_images, MAX_PIXELS // (size[0] * size[1]))
    found, description = _pictures(source, max_images, on_progress)
    if source is None:
        log.warning("calibration: no pictures given, so %s: --calibration FOLDER of real ones finds more", description)
    elif len(found) < MIN_IMAGES:
        log.warning(
            "calibration: %s: %d pictures, fewer than %d: int8 will suit little else",
            source, len(found), MIN_IMAGES,
        )  # fmt: skip
    rng = np.random.default_rng(seed)
    images = [_letterboxed(image, size) for image in found]
    images += [_varied(image, size, rng) for image in _for_variants(found, max_images)]
    return Calibration(np.stack(images), description)


def require_calibration(source: Path, *, few: bool = False) -> None:
    """Check that the first picture can be read, and that there are enough.

    Args:
        source: a folder of pictures, or a video.
        few: whether fewer pictures than `MIN_IMAGES` will do.

    Raises:
        InputError: they cannot be read, or are too few.
    """
    if not require_file(source, or_folder=True):
        camera = VideoCamera(source, paced=False)
        camera.open()
        camera.close()
    elif all(image is None for image in _readable(_files(source))):
        raise _no_picture(source)
    elif (count := len(_files(source))) < MIN_IMAGES and not few:
        raise InputError(
            f"{source}: {count} pictures: --calibration needs {MIN_IMAGES} at least, better 200, or int8 loses people "
            "(--min-oks 0 takes them all the same)"
        )


def _pictures(source: Path | None, max_images: int, on_progress: Progress) -> tuple[list[Image], str]:
    wanted = -(-max_images * 2 // 3)  # the others are variants
    if source is None:
        count = min(wanted, SCENE_IMAGES)
        return list(_counted(_scene(count), count, on_progress)), "frames of the synthetic scene"
    if require_file(source, or_folder=True):
        files = _spread(_files(source), wanted)
        images = list(_counted(_readable(files), len(files), on_progress))
        if not images:
            raise _no_picture(source)
        return images, f"{len(images)} pictures of {source.name}"
    images = _spread_frames(source, wanted, on_progress)
    return images, f"{len(images)} frames of {source.name}"


def _no_picture(folder: Path) -> InputError:
    return InputError(f"{folder}: no picture in it can be read: --calibration needs pictures of people")


def _files(folder: Path) -> list[Path]:
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}") from error
    if not files:
        raise InputError(f"{folder}: no pictures in this folder ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return files


def _readable(files: list[Path]) -> Iterator[Image | None]:
    for file in files:
        camera = ImagesCamera(file, paced=False)
        try:
            camera.open()
        except InputError as error:
            log.warning("%s, skipped", error)
            yield None
            continue
        frame = camera.read()
        yield None if frame is None or frame.image is None else frame.image.copy()
        camera.close()


def _scene(count: int) -> Iterator[Image | None]:
    scene = Scene()
    for index in range(count):
        yield scene.draw(index * SCENE_STEP)[0]


def _counted(images: Iterator[Image | None], total: int, on_progress: Progress) -> Iterator[Image]:
    for done, image in enumerate(images, 1):
        on_progress(done, total, LABEL)
        if image is not None:
            yield image


def _spread(items: list[T], count: int) -> list[T]:
    """Return at most `count` of the items, evenly spread."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places.tolist()]


def _spread_frames(video: Path, count: int, on_progress: Progress) -> list[Image]:
    """Return frames evenly spread over a video of unknown length.

    Every step-th is kept, and the step doubles when too many are.
    """
    camera = VideoCamera(video, paced=False)
    kept: list[Image] = []
    step = 1
    camera.open()
    try:
        while (frame := camera.read()) is not None:
            assert frame.image is not None
            if frame.index % step:
                continue
            kept.append(frame.image.copy())
            on_progress(min(len(kept), count), 2 * count, LABEL)
            if len(kept) == 2 * count:
                kept, step = kept[::2], 2 * step
    finally:
        camera.close()
    on_progress(1, 1, LABEL)
    return _spread(kept, count)


def _for_variants(images: list[Image], max_images: int) -> list[Image]:
    """Return the pictures to vary: every other one, within `max_images`."""
    return images[::2][: max_images - len(images)]


def _letterboxed(image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture letterboxed into `size`, (H, W, 3)."""
    out = np.empty((1, size[1], size[0], 3), np.uint8)
    letterbox_into(image, fit((image.shape[1], image.shape[0]), size), out)
    return np.asarray(out[0])


def _varied(image: Image, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture shrunk, moved, and half the time mirrored, (H, W, 3)."""
    factor = rng.uniform(SMALLEST, 1)
    box = fit((image.shape[1], image.shape[0]), (max(1, int(size[0] * factor)), max(1, int(size[1] * factor))))
    small = cv2.resize(image, box.inner_size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        small = small[:, ::-1]
    left, top = (int(rng.integers(0, room + 1)) for room in (size[0] - small.shape[1], size[1] - small.shape[0]))
    out = np.zeros((size[1], size[0], 3), np.uint8)
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out
