"""Chooses a V4L2 camera's mode: near the wish, cheap to convert."""

import math
from collections.abc import Sequence

from edge.camera.v4l2.device import Mode

__all__ = ["choose"]

RAW = ("YUYV", "UYVY", "NV12", "NV21", "YU12", "YV12", "RGB3", "BGR3", "GREY")
"""Formats that need a colour conversion only, the usual one first."""
COMPRESSED = ("MJPG", "JPEG")
"""Formats that need decoding."""

ENOUGH = 0.98
"""Share of the requested rate that is enough: 29.97 frames per second count as 30."""
TOO_SMALL = 0.5
"""Extra distance of a smaller size: a larger one only costs time."""


def choose(modes: Sequence[Mode], size: tuple[int, int], fps: float, *, prefer_compressed: bool = False) -> Mode | None:
    """Return the mode to request.

    The nearest size comes first, then a raw format if it reaches the rate, else the fastest one.

    Args:
        modes: offered by the camera.
        size: (width, height) wanted.
        fps: rate wanted.
        prefer_compressed: after a raw format failed: a shared USB may lack the bandwidth.

    Returns:
        None if no mode can be read.
    """
    readable = [mode for mode in modes if mode.fourcc in RAW + COMPRESSED]
    if not readable:
        return None
    nearest = min({mode.size for mode in readable}, key=lambda offered: _distance(offered, size))
    there = [mode for mode in readable if mode.size == nearest]
    if prefer_compressed and any(mode.fourcc in COMPRESSED for mode in there):
        there = [mode for mode in there if mode.fourcc in COMPRESSED]
    return max(there, key=lambda mode: (min(_known(mode, fps), fps * ENOUGH), -(RAW + COMPRESSED).index(mode.fourcc)))


def _known(mode: Mode, fps: float) -> float:
    """Return a mode's rate; an unknown one is taken to suffice."""
    return mode.fps or fps


def _distance(offered: tuple[int, int], wanted: tuple[int, int]) -> float:
    """Return a size's distance from the wanted one.

    The logarithm of the areas' ratio, that of the aspects twice, and TOO_SMALL for a smaller size.
    """
    (width, height), (want_width, want_height) = offered, wanted
    area = math.log(width * height / (want_width * want_height))
    aspect = math.log(width * want_height / (height * want_width))
    return abs(area) + 2 * abs(aspect) + (TOO_SMALL if width < want_width or height < want_height else 0.0)
