"""Negotiates the stream of a Raspberry Pi camera.

picamera2 may adjust what was requested without an error, so the result is read back.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from edge.camera.pi.pixels import Layout, RgbReader

__all__ = ["Library", "Stream", "Wish", "negotiate", "small_size"]

BUFFERS = 4
"""One is read, one is exposed, and the pipeline needs two more to keep its rate."""
MAX_SKEW = 0.01
"""The two streams' aspects may differ by this share: keypoints are normalized, so it only squeezes the picture."""


class Library(Protocol):
    """The vendor's interface, implemented by `library`."""

    def cameras(self) -> Sequence[Mapping[str, Any]]:
        """Return facts on each connected camera, such as its `Model`."""

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
    """The requested stream.

    Attributes:
        size: (width, height) of the picture, before rotation.
        fps: frames per second.
        hflip: mirror it left to right.
        vflip: mirror it top to bottom.
        small_px: length of the longer side that is enough for the model; None when an output needs the whole
            picture.
    """

    size: tuple[int, int]
    fps: float
    hflip: bool = False
    vflip: bool = False
    small_px: int | None = None

    def rotated(self, rotate: int) -> "Wish":
        """Return the wish with the half turn of `rotate` (degrees) by the sensor."""
        return replace(self, hflip=not self.hflip, vflip=not self.vflip) if rotate >= 180 else self


@dataclass(frozen=True, slots=True)
class Stream:
    """The negotiated stream.

    Attributes:
        name: the stream to read, in picamera2: `main` or `lores`.
        layout: of its buffers.
        reader: converts its buffers.
        size: (width, height) of the main stream, before rotation; the stream to read may be smaller.
        hflip: mirroring that the sensor does not do.
        vflip: likewise.
        summary: size and format for the log.
    """

    name: str
    layout: Layout
    reader: RgbReader
    size: tuple[int, int]
    hflip: bool
    vflip: bool
    summary: str


def small_size(size: tuple[int, int], longest_px: int) -> tuple[int, int] | None:
    """Return the size of a small stream of the same aspect, with even sides.

    It is a whole fraction of the picture.

    Args:
        size: (width, height) of the picture.
        longest_px: minimum of the longer side.

    Returns:
        (width, height); None if there is no smaller one.
    """
    parts = max(size) // longest_px
    if parts < 2:
        return None
    width, height = (max(round(side / parts / 2), 1) * 2 for side in size)
    return (width, height) if _is_same_aspect((width, height), size) else None


def negotiate(camera: Any, library: Library, wish: Wish) -> Stream:
    """Configure a `Picamera2` and read back the result.

    Raises:
        ValueError: the pictures' format cannot be read.
        Exception: any error of picamera2.
    """
    small = small_size(wish.size, wish.small_px) if wish.small_px else None
    try:
        camera.configure(_configuration(camera, library, wish, small))
    except Exception:
        if small is None:
            raise
        camera.configure(_configuration(camera, library, wish, None))  # some cameras have one stream only
    return _read_back(camera.camera_configuration(), wish)


def _configuration(camera: Any, library: Library, wish: Wish, small: tuple[int, int] | None) -> Any:
    """Return a configuration: RGB for the stream to read, the smallest format for the other."""
    lores = {"size": small, "format": "BGR888" if library.takes_small_rgb() else "YUV420"} if small else None
    return camera.create_video_configuration(
        main={"size": wish.size, "format": "YUV420" if small else "BGR888"},
        lores=lores,
        raw=None,
        transform=library.transform(hflip=wish.hflip, vflip=wish.vflip),
        colour_space=library.colour_space(),
        buffer_count=BUFFERS,
        queue=False,  # a picture that waited is an old one
        display=None,
        encode=None,
    )


def _read_back(config: Mapping[str, Any], wish: Wish) -> Stream:
    main, lores, transform = config["main"], config.get("lores") or {}, config["transform"]
    is_small = bool(lores) and _is_same_aspect(lores["size"], main["size"])
    name, read = ("lores", lores) if is_small else ("main", main)
    layout = Layout(str(read["format"]), _pair(read["size"]), int(read["stride"]))
    summary = f"{main['size'][0]}x{main['size'][1]} {main['format']}"
    if is_small:
        summary += f", read at {layout.size[0]}x{layout.size[1]} {layout.format}"
    return Stream(
        name=name,
        layout=layout,
        reader=RgbReader(layout),
        size=_pair(main["size"]),
        hflip=wish.hflip != bool(transform.hflip),
        vflip=wish.vflip != bool(transform.vflip),
        summary=summary,
    )


def _pair(size: Sequence[int]) -> tuple[int, int]:
    return int(size[0]), int(size[1])


def _is_same_aspect(size: Sequence[int], other: Sequence[int]) -> bool:
    return abs(size[0] * other[1] / (size[1] * other[0]) - 1) <= MAX_SKEW
