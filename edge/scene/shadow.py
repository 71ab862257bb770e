"""Draws the soft shadows of people on the floor."""

import cv2
import numpy as np

from edge.frame import Image
from edge.scene.skeleton import Points

__all__ = ["paint_shadow"]

_DISTANCE = np.minimum(np.hypot(*np.mgrid[-1:1:32j, -1:1:64j]), 1)
_SHADE = np.repeat((255 * (1 - 0.55 * (1 - _DISTANCE) ** 1.3))[..., None], 3, 2).astype(np.uint8)
"""(32, 64, 3): the light left around a point of contact, of 255."""
_FEET = (((22, 24), 0.24, 0.065), ((23, 25), 0.24, 0.065), ((22, 23, 24, 25), 0.5, 0.13))
"""Joints around which the floor is dark, and the half-axes of each dark ellipse in metres, as the camera sees it."""


def paint_shadow(image: Image, xy_px: Points, px_per_m: Points) -> None:
    """Darken the floor under and between a person's feet (joints 22 to 25)."""
    for joints, half_x_m, half_y_m in _FEET:
        half = np.array([half_x_m, half_y_m]) * px_per_m[22]
        middle = xy_px[list(joints)].mean(0)
        (left, top), (right, bottom) = (middle - half).astype(int).tolist(), (middle + half).astype(int).tolist()
        part = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if part.size:
            shade = cv2.resize(_SHADE, (right - left, bottom - top))
            shade = shade[max(0, -top) :, max(0, -left) :][: part.shape[0], : part.shape[1]]
            cv2.multiply(part, shade, dst=part, scale=1 / 255)
