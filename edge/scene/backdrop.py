"""Draws the empty hall and the sensor's noise, once per scene."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from edge.scene.pinhole import Pinhole
from edge.scene.wardrobe import Colour

__all__ = ["NOISE_ROWS", "paint_backdrop", "sensor_noise"]

NOISE = 24
"""Sensor noise added to every frame is 0..NOISE, a deviation of a sixth of it; the backdrop is half of it darker."""
NOISE_ROWS = 64
"""The noise is taller than the image by this: a slice from another row is another noise."""

_GRAIN_PX = 1.3
_WALL_M, _CEILING_M, _TILE_M = 17.0, 3.6, 0.9

Point = tuple[float, float, float]

_PANELS = (
    *((left, right, low, high, colour) for at in (-6.6, -3.9) for left, right, low, high, colour in (
        (at - 0.12, at + 2.12, 0.85, 2.95, (236, 234, 228)), (at, at + 2.0, 0.97, 2.83, (206, 222, 234)),
        (at, at + 2.0, 0.97, 1.55, (158, 178, 150)), (at + 0.96, at + 1.04, 0.97, 2.83, (230, 228, 222)))),
    (0.2, 1.9, 1.35, 2.55, (96, 70, 50)), (0.3, 1.8, 1.45, 2.45, (196, 176, 138)),
    (0.5, 1.2, 1.6, 2.1, (112, 132, 128)), (4.0, 5.2, 0.0, 2.15, (112, 92, 74)),
    (4.1, 5.1, 0.0, 2.05, (148, 122, 96)), (4.9, 5.0, 0.95, 1.02, (70, 64, 60)),
)  # fmt: skip
"""Two windows, a picture, a door on the wall: left, right, low, high in metres; colour."""

_BOXES = (
    (-1.7, -0.2, 0.0, 0.95, 16.2, 0.6, (124, 96, 72)), (2.0, 3.7, 0.0, 0.48, 16.0, 0.8, (96, 104, 112)),
    (2.0, 3.7, 0.48, 0.95, 16.6, 0.2, (84, 92, 100)), (-8.6, -7.4, 0.0, 1.9, 16.3, 0.6, (138, 112, 84)),
    (6.0, 6.4, 0.0, 0.45, 16.2, 0.4, (148, 90, 64)),
)  # fmt: skip
"""A chest, a sofa, a shelf, a pot: left, right, low, high, distance, depth in metres; colour."""


def paint_backdrop(view: Pinhole, seed: int) -> Image:
    """Return the empty hall as an RGB image of the camera's size.

    The seed decides the tones of the floor's tiles.
    """
    width, height = view.size
    image = np.empty((height, width, 3), np.uint8)
    _paint_wall(image, view)
    _paint_floor(image, view, np.random.default_rng((seed, 11)))
    _paint_furniture(image, view)
    blurred = cv2.GaussianBlur(image, (0, 0), max(0.6, height / 500))
    lit = blurred * _vignette(width, height)
    lit -= NOISE / 2
    return np.clip(lit, 0, 255, out=lit).astype(np.uint8)


def sensor_noise(size: tuple[int, int], seed: int) -> Image:
    """Return noise 0..NOISE for images of `size`, uint8 (height + NOISE_ROWS, width, 3).

    It has the grain of a small sensor indoors: neighbouring pixels share it, because their colours are interpolated.
    """
    width, height = size
    noise = np.random.default_rng((seed, 13)).standard_normal((height + NOISE_ROWS, width), np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), _GRAIN_PX)
    gain = NOISE / 6 / float(grain.std())
    codes = np.clip(np.rint(grain * np.float32(gain) + np.float32(NOISE / 2)), 0, NOISE).astype(np.uint8)
    return np.repeat(codes[..., None], 3, 2)


def _vignette(width: int, height: int) -> NDArray[np.float32]:
    """Return the lens's vignetting, a gain per pixel (height, width, 1)."""
    x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    return np.asarray(1.0 - 0.08 * (x * x + y * y), np.float32)[..., None]


def _paint_wall(image: Image, view: Pinhole) -> None:
    height, width = image.shape[:2]
    down = np.linspace((206, 200, 188), (176, 170, 160), height)[:, None]
    image[:] = down * np.linspace(1.02, 0.90, width)[:, None]
    side = 2 * view.spread * _WALL_M
    ceiling = [(-side, _CEILING_M, _WALL_M), (side, _CEILING_M, _WALL_M), (side, _CEILING_M, 2), (-side, _CEILING_M, 2)]
    _quad(image, view, ceiling, (224, 222, 216))
    for left, right, low, high, colour in ((-side, side, 0.0, 0.16, (120, 108, 96)), *_PANELS):
        _front(image, view, (left, right, low, high, _WALL_M), colour)


def _paint_floor(image: Image, view: Pinhole, rng: np.random.Generator) -> None:
    near_m = 0.8 * view.focal_px * view.camera_up_m / (view.size[1] - view.principal_px[1])
    columns = int(1.3 * view.spread * _WALL_M / _TILE_M) + 1
    side = columns * _TILE_M
    _flat(image, view, (-side, side, near_m, _WALL_M), 0, (150, 138, 124))
    for row in range(int((_WALL_M - near_m) / _TILE_M) + 1):
        far = _WALL_M - row * _TILE_M
        for column in range(-columns, columns):
            tone = 158 + rng.normal(0, 4) - 18 * (far / _WALL_M)
            left, near = column * _TILE_M, max(near_m, far - _TILE_M + 0.02)
            _flat(image, view, (left, left + _TILE_M - 0.02, near, far), 0, (tone, tone * 0.94, tone * 0.85))


def _paint_furniture(image: Image, view: Pinhole) -> None:
    for left, right, low, high, near, deep, colour in _BOXES:
        top = (colour[0] * 1.15, colour[1] * 1.15, colour[2] * 1.15)
        _flat(image, view, (left, right, near, near + deep), high, top)
        _front(image, view, (left, right, low, high, near), colour)
    for low in (0.45, 0.9, 1.35):
        _front(image, view, (-8.5, -7.5, low, low + 0.36, 16.3), (92, 74, 58))
    radius = max(1, round(0.13 * view.focal_px / 16.3))
    leaves = np.random.default_rng(5).normal(0, 1, (60, 2)) * (0.28, 0.42) + (6.2, 1.15)
    for at, (x_m, up_m) in enumerate(leaves):
        x, y = view.xy_px((x_m, up_m, 16.3))[0].astype(int).tolist()
        green = 84 + at % 5 * 9
        cv2.ellipse(
            image, (x, y), (radius, max(1, radius // 2)), at * 47, 0, 360, (green * 0.55, green, green * 0.5), -1
        )


def _front(image: Image, view: Pinhole, place: tuple[float, float, float, float, float], colour: Colour) -> None:
    """Draw an upright rectangle: left, right, low, high, distance."""
    left, right, low, high, z_m = place
    _quad(image, view, [(left, low, z_m), (right, low, z_m), (right, high, z_m), (left, high, z_m)], colour)


def _flat(image: Image, view: Pinhole, place: tuple[float, float, float, float], up_m: float, colour: Colour) -> None:
    """Draw a level rectangle: left, right, near, far."""
    left, right, near, far = place
    _quad(image, view, [(left, up_m, far), (right, up_m, far), (right, up_m, near), (left, up_m, near)], colour)


def _quad(image: Image, view: Pinhole, corners: list[Point], colour: Colour) -> None:
    points = np.rint(view.xy_px(*corners) * 16).astype(np.int32)
    cv2.fillConvexPoly(image, points, colour, cv2.LINE_AA, 4)
