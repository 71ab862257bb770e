"""Draws poses onto an image.

The person's left and right side have different colours, the id stands at the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from edge.poses.pose import EDGES, LEFT, RIGHT, Pose

__all__ = ["Colours", "draw_poses", "draw_text_lines"]

Rgb = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX  # ASCII only
_DIGIT_HEIGHT = 22  # pixels at scale 1
_HEAD = slice(0, 5)  # nose, eyes, ears
_SHIFT = 4  # OpenCV takes coordinates in sixteenths of a pixel
_WHITE: Rgb = (255, 255, 255)
_PLATE = 24  # grey


@dataclass(frozen=True, slots=True)
class Colours:
    """RGB colours of a skeleton.

    Blue and orange differ for colour-blind people too (Okabe and Ito).
    """

    left: Rgb = (255, 159, 28)
    right: Rgb = (64, 180, 255)
    middle: Rgb = (245, 245, 245)
    outline: Rgb = (20, 20, 20)

    def reversed(self) -> "Colours":
        """Return the colours for a BGR image."""
        return Colours(self.left[::-1], self.right[::-1], self.middle[::-1], self.outline[::-1])


_COLOURS = Colours()


def draw_poses(
    image: Image,
    poses: Sequence[Pose],
    *,
    min_keypoint_score: float = 0.3,
    labels: bool = True,
    colours: Colours = _COLOURS,
) -> None:
    """Draw skeletons in place, the highest score on top.

    Lines and text grow with the image; the lines of small people are thinner. Keypoints may lie outside.

    Args:
        image: RGB uint8 (H, W, 3), contiguous and writable; BGR with reversed `colours`.
        poses: people on this image, normalized coordinates.
        min_keypoint_score: keypoints below are not drawn, nor are their bones.
        labels: write the track id and the score, in percent, above each head.
        colours: of the skeletons.
    """
    for pose in sorted(poses, key=lambda pose: pose.score):
        _draw_skeleton(image, pose, min_keypoint_score, colours)
    if labels:
        for pose in sorted(poses, key=lambda pose: pose.score):
            _draw_label(image, pose, min_keypoint_score)


def draw_text_lines(image: Image, lines: Sequence[str]) -> None:
    """Write ASCII lines into the upper left corner, in place."""
    height = _text_height(image)
    for row, line in enumerate(lines):
        _draw_plate(image, line, (height // 2, round(height * (0.5 + 2.0 * row))), height)


def _draw_skeleton(image: Image, pose: Pose, min_score: float, colours: Colours) -> None:
    known = _known(pose, min_score)
    points = _sixteenths(image, pose.keypoints[:, :2])
    width = _line_width(image, pose)
    bones = [(a, b) for a, b in EDGES if known[a] and known[b]]
    dots = np.flatnonzero(known).tolist()
    # All outlines first, so that the outline of one bone does not cut through another.
    for a, b in bones:
        cv2.line(image, points[a], points[b], colours.outline, width + 2 * _rim(width), cv2.LINE_AA, _SHIFT)
    for dot in dots:
        _draw_dot(image, points[dot], 0.8 * width + _rim(width), colours.outline)
    for a, b in bones:
        cv2.line(image, points[a], points[b], _colour(colours, a, b), width, cv2.LINE_AA, _SHIFT)
    for dot in dots:
        _draw_dot(image, points[dot], 0.8 * width, _colour(colours, dot, dot))


def _draw_dot(image: Image, point: Sequence[int], radius_px: float, colour: Rgb) -> None:
    cv2.circle(image, point, round(radius_px * 2**_SHIFT), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_label(image: Image, pose: Pose, min_score: float) -> None:
    height = _text_height(image)
    text = f"{pose.score:.0%}" if pose.id is None else f"#{pose.id} {pose.score:.0%}"
    head = pose.keypoints[_HEAD, :2][_known(pose, min_score)[_HEAD]].astype(np.float64)  # (known, 2)
    left, top, right, _ = pose.box_xyxy
    x = head[:, 0].mean() if len(head) else (left + right) / 2
    y = min(top, head[:, 1].min()) if len(head) else top
    middle, bottom = np.clip([x, y], 0, 1) * (image.shape[1], image.shape[0])
    _draw_plate(image, text, (round(middle - _text_width(text, height) / 2), round(bottom - 1.8 * height)), height)


def _draw_plate(image: Image, text: str, at: tuple[int, int], height: int) -> None:
    """Write `text`, `height` pixels high, on a dark plate; `at` is its top left, moved into the image."""
    margin = max(round(0.4 * height), 3)  # room for descenders
    width = _text_width(text, height)
    left = int(np.clip(at[0], margin, max(image.shape[1] - width - margin, margin)))
    top = int(np.clip(at[1], margin, max(image.shape[0] - height - margin, margin)))
    inside = image[top - margin : top + height + margin, left - margin : left + width + margin]
    cv2.convertScaleAbs(inside, dst=inside, alpha=0.25, beta=0.75 * _PLATE)  # in place: a quarter shines through
    cv2.putText(image, text, (left, top + height), _FONT, _scale(height), _WHITE, _stroke(height), cv2.LINE_AA)


def _text_height(image: Image) -> int:
    return max(round(_shorter_px(image) / 40), 9)


def _shorter_px(image: Image) -> int:
    """Return the shorter side: in a portrait image, text scaled by the height would not fit the width."""
    return int(min(image.shape[:2]))


def _stroke(height: int) -> int:
    return max(round(height / 10), 1)


def _scale(height: int) -> float:
    return height / _DIGIT_HEIGHT


def _text_width(text: str, height: int) -> int:
    return int(cv2.getTextSize(text, _FONT, _scale(height), _stroke(height))[0][0])


def _line_width(image: Image, pose: Pose) -> int:
    """Return the width of bones in pixels: 1/180 of the image's shorter side, at most 1/50 of the person's."""
    sides = (pose.box_xyxy[2:] - pose.box_xyxy[:2]) * (image.shape[1], image.shape[0])
    return max(round(min(_shorter_px(image) / 180, float(sides.max()) / 50)), 1)


def _rim(width: int) -> int:
    return max(width // 3, 1)


def _colour(colours: Colours, a: int, b: int) -> Rgb:
    """Return the colour of the bone from keypoint a to b: a side's, unless it joins both sides."""
    if {a, b} & set(LEFT):
        return colours.middle if {a, b} & set(RIGHT) else colours.left
    return colours.right if {a, b} & set(RIGHT) else colours.middle


def _known(pose: Pose, min_score: float) -> NDArray[np.bool_]:
    return np.asarray((pose.keypoints[:, 2] >= min_score) & np.isfinite(pose.keypoints).all(axis=1))


def _sixteenths(image: Image, points: NDArray[np.float32]) -> list[list[int]]:
    """Return normalized (K, 2) in OpenCV's fixed point, with 0 at the centre of the first pixel.

    Points far outside (two image sides) are clipped, because OpenCV's integers would overflow.
    """
    pixels = np.clip(np.nan_to_num(points), -2, 3) * (image.shape[1], image.shape[0]) - 0.5
    sixteenths: list[list[int]] = np.rint(pixels * 2**_SHIFT).astype(int).tolist()
    return sixteenths
