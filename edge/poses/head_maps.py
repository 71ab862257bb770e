"""Order, channels and quantization of the maps of MoveNet's heads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.poses.pose import KEYPOINTS

__all__ = ["HEADS", "HEAD_CHANNELS", "PUBLISHED_CONSTANTS", "DecodeConstants", "Floats", "HeadsSpec", "MapSpec"]

HEADS = ("center", "heatmap", "regression", "offset", "box_scale", "box_offset")
"""Order of the maps everywhere in this package; a model without boxes has the first four."""

HEAD_CHANNELS = (1, KEYPOINTS, 2 * KEYPOINTS, 2 * KEYPOINTS, 2, 2)
"""Center and heatmap: score per cell. Regression and offset: dy, dx of each keypoint in turn. Box scale: height,
width. Box offset: dy, dx. All but the scores in cells."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MapSpec:
    """Quantization of a map: `real = scale * value + shift` per channel.

    Attributes:
        dtype: NumPy name of its values: float32, int8 or uint8.
        scale: float32 (C,).
        shift: float32 (C,).
    """

    dtype: str
    scale: Floats
    shift: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeConstants:
    """Numbers of the decode, which a graph of float16 weights holds rounded.

    Attributes:
        peak_tolerance: a center may be this much below the greatest of its neighbours.
        min_keypoint_score: keypoints above this make a person's score.
        gaussian: a keypoint at distance d from its seed weighs exp(-d^2 / (gaussian * shorter side of the map)).
    """

    peak_tolerance: float = 1e-6
    min_keypoint_score: float = 0.127
    gaussian: float = 0.3


PUBLISHED_CONSTANTS = DecodeConstants()
"""Of the graph published as tfhub.dev/google/movenet/multipose/lightning/1."""


@dataclass(frozen=True, slots=True)
class HeadsSpec:
    """Size and quantization of a model's maps.

    Attributes:
        size: (width, height) of the maps in cells.
        maps: one per head, in the order of `HEADS`: six, or four without boxes.
        logits: True if center and heatmap are given before the sigmoid.
        constants: of the decode.
    """

    size: tuple[int, int]
    maps: tuple[MapSpec, ...]
    logits: bool = True
    constants: DecodeConstants = PUBLISHED_CONSTANTS

    @property
    def has_boxes(self) -> bool:
        """False for a model cut out of a single-pose network."""
        return len(self.maps) == len(HEADS)
