"""The pinhole camera that looks at the scene, and the room's coordinates.

The room: x right, y up from the floor, z away from the camera, in metres; the camera looks along +z.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pinhole"]


class Pinhole:
    """The pinhole camera of the scene: level, 2 m up, its sensor shifted down so that floor fills the image.

    Attributes:
        size: (width, height) in pixels.
        focal_px: focal length.
        principal_px: (x, y) of the horizon's middle.
        camera_up_m: height above the floor.
        spread: half the image's width per metre of distance.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        self.size = size
        # 62 degrees across a 16:9 image; in other shapes a mean of both sides.
        self.focal_px = 1.107 * float(np.sqrt(width * height))
        self.principal_px = (width / 2, 0.17 * height)
        self.camera_up_m = 1.9
        self.spread = width / 2 / self.focal_px

    def xy_px(self, *room: tuple[float, float, float]) -> NDArray[np.float64]:
        """Project points (x, up, away) in metres: (K, 2) pixels."""
        points = np.array(room)
        scale = self.focal_px / points[:, 2:]
        return np.stack([points[:, 0], self.camera_up_m - points[:, 1]], 1) * scale + self.principal_px
