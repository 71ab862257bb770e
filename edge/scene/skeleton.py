"""Joint positions of a synthetic person who stands, walks or waves.

Lengths are fractions of the body height after Drillis and Contini (1966), as tabled by Winter, "Biomechanics and
Motor Control of Human Movement". The room: x right, y up from the floor, z away from the camera, in metres; the
camera looks along +z. A heading of 0 faces the camera, +90 degrees faces the right edge of the image.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["STRIDE_M", "Build", "Stance", "joints"]

Points = NDArray[np.float64]

STRIDE_M = 0.80
"""Length of a stride (two steps), in body heights: the foot on the floor then does not slide."""

JOINTS = 26
"""COCO's 17 keypoints, then 17 pelvis, 18 neck, 19 head centre, 20 hand tips, 22 heels, 24 toes (left, right)."""

_THIGH, _SHANK, _ANKLE = 0.245, 0.246, 0.042
_UPPER_ARM, _FOREARM, _HAND = 0.176, 0.146, 0.080
_SHOULDER_UP, _NECK_UP, _HEAD_UP = 0.288, 0.322, 0.405  # above the hip joints

# Head points as (left, up, forward) from the head's centre: nose, eyes, ears.
_FACE = np.array(
    [(0.0, -0.012, 0.064), (0.018, 0.006, 0.050), (-0.018, 0.006, 0.050), (0.044, -0.002, -0.002),
     (-0.044, -0.002, -0.002)]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Build:
    """Shape of a body: height in metres, widths relative to the average."""

    height_m: float
    shoulders: float = 1.0
    hips: float = 1.0
    girth: float = 1.0


@dataclass(frozen=True, slots=True)
class Stance:
    """Place and posture of a body at one instant.

    Attributes:
        x_m: place on the floor, to the right of the camera's axis.
        z_m: distance from the camera along its axis.
        heading_rad: direction that the body faces (see the module).
        phase_rad: place in the stride; at 0 the left foot touches down in front.
        walking: 0 stands, 1 walks; between them a blend.
        gaze_rad: turn of the head to the body's left.
        sway: slow idle movement, -1..1.
        arms: (2, 6) left and right arm at rest (see `walks`), blended out by walking.
    """

    x_m: float
    z_m: float
    heading_rad: float
    phase_rad: float
    walking: float
    gaze_rad: float
    sway: float
    arms: Points


def joints(build: Build, stance: Stance) -> Points:
    """Return a body's joints in the room, (JOINTS, 3) in metres."""
    body = np.zeros((JOINTS, 3))  # left, up, forward from the point on the floor, in body heights
    lean = 0.05 * stance.walking
    legs = [_leg(stance, at) for at in (0, 1)]
    pelvis_up = max(leg[0] for leg in legs)
    sway = 0.010 * stance.sway * (1 - stance.walking)
    body[17] = sway, pelvis_up, 0
    body[18] = sway * 1.5, pelvis_up + _NECK_UP, lean * 0.8
    body[19] = sway * 1.8, pelvis_up + _HEAD_UP, lean + 0.012
    for at, (_, (knee, ankle, heel, toe)) in enumerate(legs):
        side = 1 - 2 * at
        hip = body[17] + (side * 0.062 * build.hips, 0, 0)
        body[11 + at] = hip
        out = side * (0.004 + 0.006 * (1 - stance.walking))  # both knee and ankle
        for joint, (up, forward) in ((13, knee), (15, ankle), (22, heel), (24, toe)):
            body[joint + at] = hip + np.array([out, up, forward])
        body[24 + at] = body[24 + at, 0] + side * 0.018, max(0.012, body[24 + at, 1]), body[24 + at, 2]
        _arm(body, at, build, stance)
    _head(body, stance.gaze_rad)
    return _into_room(body, build.height_m, stance)


def _leg(stance: Stance, at: int) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Return the hip's height, and (up, forward) from it to knee, ankle, heel and toe."""
    # Joint angles: hip forward, knee bend (in the swing, and a little under load), foot to the floor.
    phase = stance.phase_rad + math.pi * at
    walk = stance.walking
    swing = max(0.0, -math.sin(phase - 0.25))
    hip = walk * (0.40 * math.cos(phase) + 0.06)
    bend = 0.04 + walk * (0.06 + 0.95 * swing**1.5 + 0.16 * max(0.0, math.sin(phase)))
    bend += 0.06 * (1 - walk) * (1 + (1 - 2 * at) * stance.sway)
    shank = hip - bend
    foot = min(0.35, max(-0.75, 0.75 * shank + 0.06 * walk))
    # From the hip downwards, each bone along its angle.
    knee = (-_THIGH * math.cos(hip), _THIGH * math.sin(hip))
    ankle = (knee[0] - _SHANK * math.cos(shank), knee[1] + _SHANK * math.sin(shank))
    sole_up, sole_forward = -math.cos(foot), math.sin(foot)
    heel = (ankle[0] + 0.030 * sole_up - 0.018 * sole_forward, ankle[1] + 0.030 * sole_forward + 0.018 * sole_up)
    toe = (heel[0] + 0.128 * sole_forward, heel[1] - 0.128 * sole_up)
    toe = (toe[0] + 0.006 * sole_up, toe[1])
    return _ANKLE - ankle[0], (knee, ankle, heel, toe)


def _arm(body: Points, at: int, build: Build, stance: Stance) -> None:
    """Place shoulder, elbow, wrist and hand tip of one arm."""
    side = 1 - 2 * at
    half = 0.112 * build.shoulders
    twist = 0.10 * stance.walking * math.cos(stance.phase_rad)  # the shoulders turn against the legs
    shoulder = body[17] + (
        side * half + body[18, 0] - body[17, 0],
        _SHOULDER_UP,
        side * half * twist + body[18, 2] * 0.93,
    )
    # Swinging arms while walking, the given ones at rest.
    swing = -0.42 * math.cos(stance.phase_rad + math.pi * at)
    away, ahead, bend, *plane = (
        stance.walking * np.array([0.10, swing, 0.32 + 0.2 * max(0.0, swing), 0.0, 0.0, 1.0])
        + (1 - stance.walking) * stance.arms[at]
    )
    # The forearm bends in the plane of the upper arm and the given direction (Gram-Schmidt).
    upper = np.array([side * math.sin(away), -math.cos(away) * math.cos(ahead), math.cos(away) * math.sin(ahead)])
    towards = np.array([side * plane[0], plane[1], plane[2]])
    towards -= upper * float(upper @ towards)
    towards /= max(1e-6, math.sqrt(float(towards @ towards)))
    lower = upper * math.cos(bend) + towards * math.sin(bend)
    body[5 + at] = shoulder
    body[7 + at] = shoulder + upper * _UPPER_ARM
    body[9 + at] = body[7 + at] + lower * _FOREARM
    body[20 + at] = body[9 + at] + lower * _HAND


def _head(body: Points, gaze_rad: float) -> None:
    """Place nose, eyes and ears."""
    cos, sin = math.cos(gaze_rad), math.sin(gaze_rad)
    body[:5, 0] = body[19, 0] + _FACE[:, 0] * cos + _FACE[:, 2] * sin
    body[:5, 1] = body[19, 1] + _FACE[:, 1]
    body[:5, 2] = body[19, 2] + _FACE[:, 2] * cos - _FACE[:, 0] * sin


def _into_room(body: Points, height_m: float, stance: Stance) -> Points:
    """Convert (left, up, forward) to the room's x, y, z.

    At heading 0 the person's left is at larger x.
    """
    cos, sin = math.cos(stance.heading_rad), math.sin(stance.heading_rad)
    room = np.empty_like(body)
    room[:, 0] = stance.x_m + height_m * (body[:, 0] * cos + body[:, 2] * sin)
    room[:, 1] = height_m * body[:, 1]
    room[:, 2] = stance.z_m + height_m * (body[:, 0] * sin - body[:, 2] * cos)
    return room
