"""The scene's pinhole camera, and the room's coordinates.

The room: x right, y up from the floor, z away from the camera, in metres; the camera looks along +z.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pinhole"]


class Pinhole:
    """A level pinhole camera, 1.9 m up.

    Its sensor is shifted down, so that floor fills the image.

    Attributes:
        size: (width, height) in pixels.
        focal_px: focal length.
        principal_px: (x, y) of the principal point, the horizon's middle.
        camera_up_m: height above the floor.
        spread: half the image's width per metre of distance.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        self.size = size
        # 62 degrees across a 16:9 image; in other shapes the geometric mean of both sides counts.
        self.focal_px = 1.107 * float(np.sqrt(width * height))
        self.principal_px = (width / 2, 0.17 * height)
        self.camera_up_m = 1.9
        self.spread = width / 2 / self.focal_px

    def xy_px(self, *room: tuple[float, float, float]) -> NDArray[np.float64]:
        """Return pixels (K, 2) of room points (x, y, z) in metres."""
        points = np.array(room)
        scale = self.focal_px / points[:, 2:]
        return np.stack([points[:, 0], self.camera_up_m - points[:, 1]], 1) * scale + self.principal_px
