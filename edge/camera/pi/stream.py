"""What is asked of a Raspberry Pi camera, and what it then agrees to: picamera2 may adjust a wish without a word."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2

from edge.camera.pi.pixels import Layout, RgbReader
from edge.frame import BufferPool, Image
from edge.poses.model_input import rotate_into

__all__ = ["Library", "Stream", "Turner", "Wish", "negotiate", "small_size"]

BUFFERS = 4
"""One is read, one is being exposed, and the pipeline wants two more to keep its rate."""
MAX_SKEW = 0.01
"""By so much the aspects of the two streams may differ; keypoints are normalized, so it only squeezes the picture."""


class Library(Protocol):
    """The vendor's part, as `pi_library` has it."""

    def cameras(self) -> Sequence[Mapping[str, Any]]:
        """Return what is known of each camera that is connected, such as its `Model`."""

    def open(self, number: int) -> Any:
        """Return a `Picamera2`."""

    def transform(self, *, hflip: bool, vflip: bool) -> Any:
        """Return a `libcamera.Transform`."""

    def colour_space(self) -> Any:
        """Return a `libcamera.ColorSpace`."""

    def mapped(self, request: Any, stream: str) -> AbstractContextManager[Any]:
        """Return a context whose `array` is a stream's buffer (n,), uint8."""

    def takes_small_rgb(self) -> bool:
        """Return whether the low-resolution stream may be RGB."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        size: (width, height) of the picture, before rotation.
        fps: frames per second.
        hflip: mirror it left to right.
        vflip: mirror it top to bottom.
        small_px: the model is content with a picture whose longer side has so many pixels; None when an output
            wants the whole one.
    """

    size: tuple[int, int]
    fps: float
    hflip: bool = False
    vflip: bool = False
    small_px: int | None = None

    def turned(self, rotate: int) -> "Wish":
        """Return the wish with the half turn in `rotate`, clockwise degrees, left to the sensor."""
        return replace(self, hflip=not self.hflip, vflip=not self.vflip) if rotate >= 180 else self


@dataclass(frozen=True, slots=True)
class Stream:
    """What was agreed to.

    Attributes:
        name: which of picamera2's streams is read: `main` or `lores`.
        layout: how it lies in memory.
        reader: reads it.
        size: (width, height) of the main stream, before rotation; the one that is read may be smaller.
        hflip: mirroring that is left to us.
        vflip: likewise.
        told: the same for the log.
    """

    name: str
    layout: Layout
    reader: RgbReader
    size: tuple[int, int]
    hflip: bool
    vflip: bool
    told: str


def small_size(size: tuple[int, int], longest_px: int) -> tuple[int, int] | None:
    """Return the size of a small stream: a whole fraction of the picture with even sides, about its aspect.

    Args:
        size: (width, height) of the picture.
        longest_px: what the longer side needs at least.

    Returns:
        (width, height); None when there is none that is smaller.
    """
    parts = max(size) // longest_px
    if parts < 2:
        return None
    width, height = (max(round(side / parts / 2), 1) * 2 for side in size)
    return (width, height) if _is_same_aspect((width, height), size) else None


def negotiate(camera: Any, library: Library, wish: Wish) -> Stream:
    """Configure a `Picamera2` and read back what it will do.

    Raises:
        ValueError: it gives pictures that cannot be read.
        Exception: whatever picamera2 raises.
    """
    small = small_size(wish.size, wish.small_px) if wish.small_px else None
    try:
        camera.configure(_configuration(camera, library, wish, small))
    except Exception:
        if small is None:
            raise
        camera.configure(_configuration(camera, library, wish, None))  # a camera may have one stream only
    return _agreed(camera.camera_configuration(), wish)


def _configuration(camera: Any, library: Library, wish: Wish, small: tuple[int, int] | None) -> Any:
    """Ask for RGB where it is read, and for the least that fits where it is not."""
    lores = {"size": small, "format": "BGR888" if library.takes_small_rgb() else "YUV420"} if small else None
    return camera.create_video_configuration(
        main={"size": wish.size, "format": "YUV420" if small else "BGR888"},
        lores=lores,
        raw=None,
        transform=library.transform(hflip=wish.hflip, vflip=wish.vflip),
        colour_space=library.colour_space(),
        buffer_count=BUFFERS,
        queue=False,  # a picture that waited while we were busy is an old one
        display=None,
        encode=None,
    )


def _agreed(config: Mapping[str, Any], wish: Wish) -> Stream:
    main, lores, transform = config["main"], config.get("lores") or {}, config["transform"]
    is_small = bool(lores) and _is_same_aspect(lores["size"], main["size"])
    name, read = ("lores", lores) if is_small else ("main", main)
    layout = Layout(str(read["format"]), _pair(read["size"]), int(read["stride"]))
    told = f"{main['size'][0]}x{main['size'][1]} {main['format']}"
    if is_small:
        told += f", read at {layout.size[0]}x{layout.size[1]} {layout.format}"
    return Stream(
        name=name,
        layout=layout,
        reader=RgbReader(layout),
        size=_pair(main["size"]),
        hflip=wish.hflip != bool(transform.hflip),
        vflip=wish.vflip != bool(transform.vflip),
        told=told,
    )


def _pair(size: Sequence[int]) -> tuple[int, int]:
    return int(size[0]), int(size[1])


def _is_same_aspect(size: Sequence[int], other: Sequence[int]) -> bool:
    return abs(size[0] * other[1] / (size[1] * other[0]) - 1) <= MAX_SKEW


class Turner:
    """Does what the sensor does not: mirrors, then turns, in buffers that are used again.

    Args:
        hflip: left to right.
        vflip: top to bottom.
        rotate: clockwise degrees: 0, 90, 180 or 270.
    """

    def __init__(self, *, hflip: bool, vflip: bool, rotate: int) -> None:
        self._flip = {(True, True): -1, (True, False): 1, (False, True): 0}.get((hflip, vflip))  # OpenCV's codes
        self._rotate = rotate
        self._flipped = BufferPool()
        self._turned = BufferPool()

    def turn(self, image: Image) -> Image:
        """Return an RGB image (H, W, 3) upright; itself when there is nothing to do."""
        if self._flip is not None:
            flipped = self._flipped.take(image.shape)
            cv2.flip(image, self._flip, dst=flipped)
            image = flipped
        if not self._rotate:
            return image
        height, width, _ = image.shape
        turned = self._turned.take((width, height, 3) if self._rotate in (90, 270) else image.shape)
        rotate_into(image, self._rotate, turned)
        return turned
