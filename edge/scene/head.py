"""Draws a synthetic person's head: an ellipsoid with hair, face and ears."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from edge.scene.skeleton import Points
from edge.scene.wardrobe import Colour, Look

__all__ = ["head_radius_px", "paint_head", "paint_long_hair"]

_WIDE, _DEEP, _HIGH = 0.043, 0.055, 0.066  # half-axes in body heights
_SHIFT = 3
_DETAIL_BODY_PX = 160


def _directions(*degrees: tuple[float, float]) -> Points:
    """Return unit vectors (K, [left, up, forward]) of angles (left, up) in degrees."""
    left, up = np.radians(np.array(degrees, float)).T
    return np.stack([np.cos(up) * np.sin(left), np.sin(up), np.cos(up) * np.cos(left)], 1)


def _mirrored(*degrees: tuple[float, float]) -> Points:
    """Close an outline given for the person's left side, from top to bottom."""
    return _directions(*degrees, *[(-left, up) for left, up in reversed(degrees)])


_FACE = _mirrored((0, 46), (25, 44), (45, 36), (58, 22), (64, 5), (72, -10), (80, -30), (70, -52), (40, -68), (0, -88))
_LIT = _mirrored((0, 38), (25, 36), (44, 24), (52, 5), (52, -20), (40, -45), (0, -66))
_EYE_WHITE = _directions((11, 5), (20, 9), (29, 5), (20, 1))
_IRIS = _directions((17, 5), (20, 8.5), (24, 5), (20, 1.5))
_BROW = _directions((9, 15), (20, 19.5), (32, 15), (32, 18.5), (20, 23), (9, 19))
_SOCKET = _directions((8, 4), (20, 13), (33, 4), (20, -3))
_MOUTH = _directions((-20, -40), (-7, -37), (0, -38.5), (7, -37), (20, -40), (9, -46), (-9, -46))
_NOSE = np.array([(0.004, 0.012, 0.054), (0.013, -0.018, 0.056), (0.0, -0.020, 0.066), (-0.013, -0.018, 0.056)])
_NOSE_SHADE = np.array([(0.012, -0.017, 0.056), (0.0, -0.014, 0.066), (-0.012, -0.017, 0.056), (0.0, -0.024, 0.058)])
_EAR = np.array([(0.045, 0.010, 0.004), (0.048, 0.008, -0.008), (0.048, -0.004, -0.010), (0.045, -0.016, 0.0),
                 (0.043, -0.014, 0.006)])  # fmt: skip
_LONG_HAIR = np.array([(-1.05, -0.2), (-0.6, -0.9), (0.6, -0.9), (1.05, -0.2), (1.12, 0.8), (0.9, 1.6), (0.3, 1.72),
                       (-0.3, 1.72), (-0.9, 1.6), (-1.12, 0.8)])  # fmt: skip
_AXES = np.array([_WIDE, _HIGH, _DEEP])


def head_radius_px(height_px: float) -> float:
    """Return the mean head radius of a person `height_px` tall."""
    return height_px * _HIGH


class _HeadPose:
    """The head's position and yaw in the image."""

    def __init__(self, xy_px: Points, z_m: Points, px: float) -> None:
        # The ears give the turn: the left one is to the right when the person faces the camera.
        across, away = xy_px[3, 0] - xy_px[4, 0], (z_m[3] - z_m[4]) * px
        length = max(1e-6, math.hypot(across, away))
        self.cos, self.sin = across / length, away / length
        self.centre = xy_px[19]

    def project(self, points: Points, body_px: float) -> tuple[Points, NDArray[np.float64]]:
        """Return pixels (K, 2) and nearness (K,) of points in body heights.

        Nearness is positive towards the camera, in body heights.
        """
        x = points[:, 0] * self.cos + points[:, 2] * self.sin
        near = points[:, 2] * self.cos - points[:, 0] * self.sin
        return np.stack([x, -points[:, 1]], 1) * body_px + self.centre, near

    def wrap(self, directions: Points, body_px: float) -> Points | None:
        """Project an outline on the head; its far side is pulled to the head's edge.

        Returns:
            (K, 2) pixels, None when all of it is on the far side.
        """
        points = directions * _AXES
        x = points[:, 0] * self.cos + points[:, 2] * self.sin
        near = points[:, 2] * self.cos - points[:, 0] * self.sin
        if (near < 0).all():
            return None
        half = math.hypot(_WIDE * self.cos, _DEEP * self.sin)
        flat = np.stack([x / half, -points[:, 1] / _HIGH], 1)
        flat[near < 0] /= np.maximum(1e-6, np.hypot(flat[near < 0, 0], flat[near < 0, 1]))[:, None]
        return np.asarray(flat * (half * body_px, _HIGH * body_px) + self.centre)


def paint_head(image: Image, look: Look, xy_px: Points, z_m: Points, px_per_m: float) -> None:
    """Draw the head at joint 19; the ears (joints 3, 4) give its yaw."""
    body_px = look.build.height_m * px_per_m
    pose = _HeadPose(xy_px, z_m, px_per_m)
    half = math.hypot(_WIDE * pose.cos, _DEEP * pose.sin)
    hair = look.skin if look.hair_style == "bald" else look.hair
    # From shade to light: left, up, half-width, half-height, tone.
    for left, up, wide, high, gain in (
        (0, 0.007, 1.09, 1.0, 0.75),
        (0.1, 0.010, 0.8, 0.86, 1.0),
        (0.25, 0.028, 0.45, 0.42, 1.25),
    ):
        centre = pose.centre - (left * half * body_px, up * body_px)
        _ellipse(image, centre, (wide * half * body_px, high * _HIGH * body_px), _tone(hair, gain))
    if look.hair_style == "bun":
        bun, _ = pose.project(np.array([(0.0, 0.030, -0.068)]), body_px)
        _ellipse(image, bun[0], (0.026 * body_px, 0.026 * body_px), _tone(hair, 0.9))
    _face(image, look, pose, body_px)


def _face(image: Image, look: Look, pose: _HeadPose, body_px: float) -> None:
    """Draw the visible skin, ears and features; a small face is only skin."""
    skin = look.skin
    if pose.cos < -0.35:
        return
    _fill(image, pose.wrap(_FACE, body_px), _tone(skin, 0.84))
    _fill(image, pose.wrap(_LIT, body_px), skin)
    if body_px < _DETAIL_BODY_PX:
        return
    for sided in (np.array([1.0, 1.0, 1.0]), np.array([-1.0, 1.0, 1.0])):
        ear, near = pose.project(_EAR * sided, body_px)
        if near.mean() > -0.006 and (look.hair_style != "long" or pose.cos > 0.2):
            _fill(image, ear, _tone(skin, 0.78))
        _feature(image, pose, _SOCKET * sided, body_px, _tone(skin, 0.80))
        _feature(image, pose, _EYE_WHITE * sided, body_px, (228, 224, 218))
        _feature(image, pose, _IRIS * sided, body_px, (44, 34, 30))
        _feature(image, pose, _BROW * sided, body_px, _tone(look.hair, 0.7))
    _feature(image, pose, _MOUTH, body_px, _tone((skin[0], skin[1] * 0.62, skin[2] * 0.62), 0.82))
    nose, near = pose.project(_NOSE, body_px)
    if near[2] > 0:
        _fill(image, nose, _tone(skin, 0.92 if pose.cos > 0.4 else 1.0))
        _fill(image, pose.project(_NOSE_SHADE, body_px)[0], _tone(skin, 0.62))


def _feature(image: Image, pose: _HeadPose, directions: Points, body_px: float, colour: Colour) -> None:
    """Draw a feature of the face if its middle faces the camera."""
    corners, near = pose.project(directions * _AXES, body_px)
    if near.mean() > 0.008:
        _fill(image, corners, colour)


def paint_long_hair(image: Image, look: Look, xy_px: Points, z_m: Points, px_per_m: float) -> None:
    """Draw the hair that falls to the shoulders.

    The caller draws it before the neck when it is behind that, else after the head.
    """
    if look.hair_style != "long":
        return
    body_px = look.build.height_m * px_per_m
    pose = _HeadPose(xy_px, z_m, px_per_m)
    half = math.hypot(_WIDE * pose.cos, _DEEP * pose.sin)
    for reach, gain in ((1.0, 0.7), (0.72, 0.9)):
        outline = _LONG_HAIR * (half * reach, _HIGH) - (0.3 * _DEEP * pose.sin + 0.08 * half * (1 - reach), 0)
        _fill(image, outline * body_px + pose.centre, _tone(look.hair, gain))


def _ellipse(image: Image, centre: Points, half_axes: tuple[float, float], colour: Colour) -> None:
    at, axes = np.rint(np.array([centre, half_axes]) * (1 << _SHIFT)).astype(int).tolist()
    cv2.ellipse(image, at, axes, 0, 0, 360, colour, cv2.FILLED, cv2.LINE_8, _SHIFT)


def _fill(image: Image, corners: Points | None, colour: Colour) -> None:
    if corners is not None:
        cv2.fillPoly(image, [np.rint(corners * (1 << _SHIFT)).astype(np.int32)], colour, cv2.LINE_8, _SHIFT)


def _tone(colour: Colour, gain: float) -> Colour:
    return min(250.0, colour[0] * gain), min(250.0, colour[1] * gain), min(250.0, colour[2] * gain)
