"""Paints the window's picture: image or black, with skeletons or dimmed."""

import cv2

from edge.frame import Image
from edge.ports import PoseFrame
from edge.poses.drawing import draw_poses

__all__ = ["first_size", "fit", "paint"]

DIMMED = 0.25
SMOOTH_BELOW = 0.6
"""Pictures scaled down further are averaged, as thin lines would flicker; it costs four times as much."""
MIN_WIDTH_PX = 640
"""Smaller pictures are enlarged at first, to make room for the texts."""
SCREEN_PART = (0.9, 0.85)
"""Largest share of a screen's width and height for a new picture; the rest is for the bar and the desktop."""

Size = tuple[int, int]  # (width, height) in pixels


def fit(size: Size, into: Size) -> Size:
    """Return the largest size (width, height) of the same aspect that fits.

    At least one pixel. The aspect may be off by half a pixel, so that no column or row of the window is lost.
    """
    scale = min((into[0] + 0.5) / size[0], (into[1] + 0.5) / size[1])
    return max(int(size[0] * scale), 1), max(int(size[1] * scale), 1)


def first_size(image: Size, screen: Size) -> Size:
    """Return the first picture's size: the image's, or less on a small screen."""
    room = (round(screen[0] * SCREEN_PART[0]), round(screen[1] * SCREEN_PART[1]))
    wanted = image if image[0] >= MIN_WIDTH_PX else fit(image, (MIN_WIDTH_PX, room[1]))
    return wanted if wanted[0] <= room[0] and wanted[1] <= room[1] else fit(wanted, room)


def paint(result: PoseFrame, canvas: Image, *, private: bool, dimmed: bool) -> None:
    """Draw a result into `canvas`, overwriting all of it.

    Args:
        result: its image is not read when `private`.
        canvas: RGB uint8 (H, W, 3) of the image's aspect, up to rounding.
        private: black instead of the camera image.
        dimmed: darkened and without skeletons, so that it is not taken for the present.
    """
    if private:
        canvas[:] = 0
    else:
        _scale(result.frame.image, canvas)
    if dimmed:
        cv2.convertScaleAbs(canvas, dst=canvas, alpha=DIMMED)
    else:
        draw_poses(canvas, result.poses)


def _scale(image: Image, canvas: Image) -> None:
    height, width = canvas.shape[:2]
    way = cv2.INTER_AREA if width < SMOOTH_BELOW * image.shape[1] else cv2.INTER_LINEAR
    cv2.resize(image, (width, height), dst=canvas, interpolation=way)
