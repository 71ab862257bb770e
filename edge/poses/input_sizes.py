"""Sizes of a model's input, for models that take any: three for each shape of picture.

A larger input finds smaller people and costs time in proportion to its area.
"""

from edge.poses.letterbox import fit

__all__ = ["LEVELS", "input_sizes"]

SIZES = {
    "16:9": ((448, 256), (320, 192), (256, 160)),
    "4:3": ((384, 288), (288, 224), (224, 160)),
    "1:1": ((320, 320), (256, 256), (192, 192)),
    "3:4": ((256, 320), (192, 256), (160, 224)),
    "9:16": ((224, 384), (192, 320), (160, 256)),
}
"""(width, height) in pixels, largest first; those of a column cost about the same.

Sides are multiples of 32, as MoveNet needs (tfhub.dev/google/movenet/multipose/lightning). Upright pictures show people
at their full height more often, and MoveNet finds people of more than about 320 pixels less well: AP 0.39 at 320x256
(HxW) and 0.32 at 384x288 on the upright pictures of COCO, so their sizes are less tall than others are wide.
"""

LEVELS = 3
"""Number of sizes for a shape."""


def input_sizes(image_size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return the (width, height) of inputs for an image, largest first.

    They have the shape that needs least padding; wider and narrower pictures than 16:9 and 9:16 take those.

    Args:
        image_size: (width, height) of the image in pixels.
    """
    return min(SIZES.values(), key=lambda sizes: _padded(image_size, sizes[0]))


def _padded(image_size: tuple[int, int], input_size: tuple[int, int]) -> float:
    """Return the part of an input that is padding, 0 to 1."""
    inner_w, inner_h = fit(image_size, input_size).inner_size
    return 1 - inner_w * inner_h / (input_size[0] * input_size[1])
