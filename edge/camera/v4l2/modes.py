"""Which format, size and rate to ask a V4L2 camera for: as near as it gets, and cheap to turn into RGB."""

import math
from collections.abc import Sequence

from edge.camera.v4l2.device import Mode

__all__ = ["choose"]

RAW = ("YUYV", "UYVY", "NV12", "NV21", "YU12", "YV12", "RGB3", "BGR3", "GREY")
"""Formats that only need a conversion of colours, the usual one first."""
COMPRESSED = ("MJPG", "JPEG")
"""Formats that must be decoded, picture by picture."""

ENOUGH = 0.98
"""29.97 frames per second are 30."""
TOO_SMALL = 0.5
"""Rather a picture that is larger than asked for: it only costs time."""


def choose(modes: Sequence[Mode], size: tuple[int, int], fps: float, *, prefer_compressed: bool = False) -> Mode | None:
    """Return the mode to ask for: the nearest size; there, raw if it reaches the rate, else what is fastest.

    Args:
        modes: what the camera offers.
        size: (width, height) wanted.
        fps: rate wanted.
        prefer_compressed: raw did not work: a USB that is shared may lack the bandwidth.

    Returns:
        None when it offers nothing that can be read.
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
    """Return the rate of a mode; one that tells none is taken at its word."""
    return mode.fps or fps


def _distance(offered: tuple[int, int], wanted: tuple[int, int]) -> float:
    """Return how far a size is from the one wanted: by area, by aspect twice as much, and more when it is smaller."""
    (width, height), (want_width, want_height) = offered, wanted
    area = math.log(width * height / (want_width * want_height))
    aspect = math.log(width * want_height / (height * want_width))
    return abs(area) + 2 * abs(aspect) + (TOO_SMALL if width < want_width or height < want_height else 0.0)
