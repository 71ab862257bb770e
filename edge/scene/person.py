"""Draws one synthetic person: limbs as shaded tubes, ordered by depth.

A tube runs between two joints, with a half-width at each of seven levels along it. It is filled six times, each time
narrower, lighter and nearer to the light: that gives round limbs for a few polygon fills. Light falls from the
upper left.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from edge.scene.head import head_radius_px, paint_head, paint_long_hair
from edge.scene.pinhole import Pinhole
from edge.scene.skeleton import Points
from edge.scene.wardrobe import Colour, Look

__all__ = ["Person", "Tubes", "paint_person", "place_person", "tailor"]

SHIFT = 3
"""Fractional bits of polygon corners."""

_BANDS = np.array([(-1.0, 1.0), (-0.94, 0.84), (-0.84, 0.66), (-0.72, 0.45), (-0.60, 0.24), (-0.48, 0.02)])
"""Start and end of each fill across the tube; -1 is the edge towards the light."""
_TONES = (0.60, 0.72, 0.83, 0.92, 0.99, 1.05)
_DETAIL_PX_PER_M = 100
_LEVELS = (0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0)
_ROUND = 1.25  # length of a tube's rounded end beyond the joint, in half-widths of its end level
_LIGHT = np.array([0.85, 0.53])  # across the image, away from the light
_GROUPS = ("leg0", "leg1", "hips", "torso", "neck", "arm0", "arm1", "hand0", "hand1")

# Half-widths along limbs, in body heights.
_THIGH, _SHANK = (0.046, 0.049, 0.044, 0.037, 0.032), (0.031, 0.036, 0.034, 0.026, 0.021)
_TROUSER_THIGH, _TROUSER_SHANK = (0.048, 0.052, 0.049, 0.044, 0.040), (0.040, 0.040, 0.037, 0.034, 0.033)
_SHORTS = (0.050, 0.055, 0.056, 0.053, 0.050)
_FOOT = (0.022, 0.026, 0.024, 0.023, 0.017)
_UPPER, _FORE = (0.027, 0.031, 0.029, 0.026, 0.025), (0.024, 0.026, 0.023, 0.019, 0.016)
_SLEEVE, _FORE_SLEEVE = (0.029, 0.035, 0.033, 0.031, 0.030), (0.029, 0.030, 0.027, 0.025, 0.023)
_HAND = (0.016, 0.024, 0.025, 0.019, 0.011)
_NECK = (0.038, 0.034, 0.032, 0.032, 0.032)
# The trunk is elliptic: (up along pelvis to neck, half-width, half-depth); the skirt runs from pelvis to knees.
_TORSO = ((-0.20, 0.101, 0.064), (0.0, 0.098, 0.062), (0.28, 0.084, 0.058), (0.58, 0.096, 0.068),
          (0.78, 0.110, 0.064), (0.94, 0.116, 0.050), (1.06, 0.042, 0.034))  # fmt: skip
_HIPS = ((-0.26, 0.060, 0.045), (-0.18, 0.086, 0.060), (-0.07, 0.094, 0.064), (0.0, 0.094, 0.064),
         (0.10, 0.088, 0.060), (0.20, 0.081, 0.056), (0.27, 0.077, 0.055))  # fmt: skip
_SKIRT = ((-0.32, 0.078, 0.056), (-0.18, 0.087, 0.062), (0.0, 0.098, 0.070), (0.3, 0.106, 0.086),
          (0.6, 0.113, 0.100), (0.9, 0.122, 0.110), (0.96, 0.120, 0.108))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tubes:
    """The N tubes of a dressed person.

    Attributes:
        ends: (N, 2) joint numbers at both ends; joint 26 is the middle of the knees.
        levels: (N, 7) place of each level along the tube, 0..1.
        caps: (N, 7) shift of a level along the tube, in half-widths.
        widths: (N, 7) half-widths in metres; of the trunk, seen from the front.
        depths: (N, 7) half-widths in metres, seen from the side.
        colours: N x 6 tones, edge to highlight.
        groups: tubes of each body part in drawing order.
    """

    ends: NDArray[np.intp]
    levels: Points
    caps: Points
    widths: Points
    depths: Points
    colours: tuple[tuple[Colour, ...], ...]
    groups: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Person:
    """A person placed in the image.

    Attributes:
        look: hair, skin and build.
        tubes: limbs and clothes.
        outlines: int32 (N, 6, 14, 2) corners of each tube's bands, in pixels with SHIFT fractional bits.
        xy_px: (27, 2) joints in pixels; z_m: (27,) their distances.
        px_per_m: (27,) scale at each joint, pixels per metre.
        capsules: (N + 1, 7) occluders: x, y of both ends, mean half-width in pixels, distances of both ends in metres.
        yaw_rad: turn from facing the camera, towards the image's right.
        box_px: x0, y0, x1, y1 around everything drawn.
    """

    look: Look
    tubes: Tubes
    outlines: NDArray[np.int32]
    xy_px: Points
    z_m: Points
    px_per_m: Points
    capsules: Points
    yaw_rad: float
    box_px: tuple[float, float, float, float]


def tailor(look: Look) -> Tubes:
    """Return the tubes of a person with this look."""
    cut: dict[str, list[int]] = {group: [] for group in _GROUPS}
    rows: list[tuple[tuple[int, int], Points, Points, Points, Points, Colour]] = []
    build = look.build

    def add(group: str, ends: tuple[int, int], radii: tuple[float, ...], colour: Colour, reach: float = 1.0) -> None:
        widths = np.array([0.6 * radii[0], *radii, 0.6 * radii[-1]]) * build.height_m * (0.5 + 0.5 * build.girth)
        caps = np.array([-_ROUND, 0, 0, 0, 0, 0, _ROUND if reach == 1.0 else 0.0])
        cut[group].append(len(rows))
        rows.append((ends, np.array(_LEVELS) * reach, caps, widths, widths, colour))

    def add_trunk(
        group: str, ends: tuple[int, int], shape: tuple[tuple[float, ...], ...], colour: Colour, wide: Points
    ) -> None:
        levels, widths, depths = np.array(shape).T
        cut[group].append(len(rows))
        scale = build.height_m * build.girth
        rows.append((ends, levels, np.zeros(7), widths * wide * build.height_m, depths * scale, colour))

    for at in (0, 1):
        leg, arm = f"leg{at}", f"arm{at}"
        cloth = look.legs == "trousers"
        add(leg, (22 + at, 24 + at), _FOOT, look.shoes)
        add(leg, (13 + at, 15 + at), *((_TROUSER_SHANK, look.bottom) if cloth else (_SHANK, look.skin)))
        add(leg, (11 + at, 13 + at), *((_TROUSER_THIGH, look.bottom) if cloth else (_THIGH, look.skin)))
        if look.legs == "shorts":
            add(leg, (11 + at, 13 + at), _SHORTS, look.bottom, 0.85)
        sleeved = look.sleeves > 1
        add(arm, (5 + at, 7 + at), *((_SLEEVE, look.top) if sleeved else (_UPPER, look.skin)))
        if not sleeved:
            add(arm, (5 + at, 7 + at), tuple(1.08 * r for r in _SLEEVE), look.top, look.sleeves)
        add(f"hand{at}", (9 + at, 20 + at), _HAND, look.skin)
        add(f"hand{at}", (7 + at, 9 + at), *((_FORE_SLEEVE, look.top) if sleeved else (_FORE, look.skin)))
    hips, shoulders = np.full(7, build.hips), np.interp(np.arange(7), (1, 4), (build.hips, build.shoulders))
    add_trunk("hips", (17, 18), _HIPS, look.bottom, hips)
    if look.legs == "skirt":
        add_trunk("hips", (17, 26), _SKIRT, look.bottom, hips)
    add_trunk("torso", (17, 18), _TORSO, look.top, shoulders)
    add("neck", (18, 19), _NECK, look.skin)
    ends, levels, caps, widths, depths, colours = zip(*rows, strict=True)
    return Tubes(
        np.array(ends), np.array(levels), np.array(caps), np.array(widths), np.array(depths),
        tuple(_tones(colour) for colour in colours), {group: tuple(at) for group, at in cut.items()},
    )  # fmt: skip


def _tones(colour: Colour) -> tuple[Colour, ...]:
    """Return six tones of a colour, from shade to light."""
    red, green, blue = colour
    return tuple((min(250, gain * red), min(250, gain * green), min(250, gain * blue)) for gain in _TONES)


def place_person(look: Look, tubes: Tubes, joints: Points, view: Pinhole) -> Person:
    """Project a body (26, 3) into the image and outline its tubes."""
    # Joint 26, between the knees, is the lower end of a skirt.
    room = np.concatenate([joints, joints[13:15].mean(0, keepdims=True)])  # (27, 3)
    z_m = room[:, 2]
    px_per_m = view.focal_px / z_m
    xy_px = np.stack([room[:, 0] * px_per_m, (view.camera_up_m - room[:, 1]) * px_per_m], 1)
    xy_px += view.principal_px

    # The trunk is elliptic: its width in the image depends on the turn.
    left = joints[5] - joints[6]
    yaw = math.atan2(left[2], left[0]) + math.atan2(room[17, 0], room[17, 2])
    cos, sin = math.cos(yaw), math.sin(yaw)
    widths = np.hypot(tubes.widths * cos, tubes.depths * sin)  # (N, 7); round limbs stay as they are

    # Unit vectors along each tube and across it, away from the light.
    start, end = xy_px[tubes.ends[:, 0]], xy_px[tubes.ends[:, 1]]
    along = end - start
    length = np.hypot(along[:, 0], along[:, 1])[:, None]
    along_1 = np.where(length > 1e-6, along / np.maximum(length, 1e-6), (0.0, 1.0))
    across = np.stack([-along_1[:, 1], along_1[:, 0]], 1)
    across *= np.where(across @ _LIGHT < 0, -1.0, 1.0)[:, None]

    # Half-widths in pixels at each level, then the polygons of the six bands.
    scale = px_per_m[tubes.ends]
    half_px = widths * (scale[:, :1] + (scale[:, 1:] - scale[:, :1]) * tubes.levels)
    middle = start[:, None] + along[:, None] * tubes.levels[..., None]
    middle += along_1[:, None] * (tubes.caps * half_px)[..., None]  # (N, 7, 2)
    reach = (half_px[..., None] * across[:, None])[:, None]  # (N, 1, 7, 2)
    sides = middle[:, None] + reach * _BANDS[:, 0, None, None], middle[:, None] + reach * _BANDS[:, 1, None, None]
    outlines = np.concatenate([sides[0], sides[1][:, :, ::-1]], 2)  # (N, 6, 14, 2)

    # Capsules for hidden keypoints: one per tube, the head last.
    head_px = head_radius_px(look.build.height_m * px_per_m[19])
    capsules = np.empty((len(tubes.ends) + 1, 7))
    capsules[:-1, :2], capsules[:-1, 2:4] = middle[:, 1], middle[:, 5]
    capsules[:-1, 4], capsules[:-1, 5:] = half_px[:, 1:6].mean(1), z_m[tubes.ends]
    capsules[-1] = *xy_px[19], *xy_px[19], head_px, z_m[19], z_m[19]
    low = np.minimum(outlines[:, 0].min((0, 1)), xy_px[19] - head_px * np.array([0.9, 1.2]))
    high = np.maximum(outlines[:, 0].max((0, 1)), xy_px[19] + head_px)
    corners = np.rint(outlines * (1 << SHIFT)).astype(np.int32)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Person(look, tubes, corners, xy_px, z_m, px_per_m, capsules, yaw, box)


def paint_person(image: Image, person: Person) -> None:
    """Draw a placed person into an RGB image, the farthest parts first."""
    z_m, look, px_per_m = person.z_m, person.look, float(person.px_per_m[19])
    behind = [z_m[[7 + at, 9 + at, 9 + at]].mean() > z_m[[17, 18]].mean() + 0.07 for at in (0, 1)]
    legs = (0, 1) if z_m[13] + z_m[15] > z_m[14] + z_m[16] else (1, 0)
    arms = (0, 1) if z_m[7] + z_m[9] > z_m[8] + z_m[10] else (1, 0)
    for at in arms:
        if behind[at]:
            _paint_arm(image, person, at)
    for at in legs:
        _paint(image, person, person.tubes.groups[f"leg{at}"])
    facing = math.cos(person.yaw_rad) > 0
    if facing:
        paint_long_hair(image, look, person.xy_px, person.z_m, px_per_m)
    for group in ("hips", "torso", "neck") if facing else ("neck", "hips", "torso"):
        _paint(image, person, person.tubes.groups[group])
    paint_head(image, look, person.xy_px, person.z_m, px_per_m)
    if not facing:
        paint_long_hair(image, look, person.xy_px, person.z_m, px_per_m)
    for at in arms:
        if not behind[at]:
            _paint_arm(image, person, at)


def _paint_arm(image: Image, person: Person, at: int) -> None:
    """Draw an arm; a forearm that points away from the camera is behind the upper arm."""
    upper, lower = person.tubes.groups[f"arm{at}"], person.tubes.groups[f"hand{at}"]
    away = person.z_m[9 + at] > person.z_m[7 + at] + 0.05
    _paint(image, person, lower + upper if away else upper + lower)


def _paint(image: Image, person: Person, tubes: tuple[int, ...]) -> None:
    # Every other step of the shading is enough for a small person.
    step = 1 if person.px_per_m[17] > _DETAIL_PX_PER_M else 2
    for tube in tubes:
        for outline, colour in zip(person.outlines[tube, ::step], person.tubes.colours[tube][::step], strict=True):
            cv2.fillConvexPoly(image, outline, colour, cv2.LINE_8, SHIFT)
