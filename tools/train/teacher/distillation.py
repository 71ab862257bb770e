"""Distillation: soft targets from a larger model's heads, cell by cell."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch

from edge.engine.litert import LiteRtEngine
from edge.ports import ModelSpec
from edge.poses.head_maps import HeadsSpec
from tools.train.data.batch import SoftMaps
from tools.train.data.picture import Floats, Picture
from tools.train.model.network import HEAD_NAMES

__all__ = ["SoftTeacher"]

SCORED = ("center", "heatmap")
MAX_LOGIT = 80.0
"""exp(80) still fits a float32."""


class SoftTeacher:
    """Maps of a model of kind `heads`, with one engine per thread.

    Args:
        load: loads the model, its input fixed at the size of the pictures.
    """

    def __init__(self, load: Callable[[], LiteRtEngine]) -> None:
        self._load = load
        self._of_thread = threading.local()

    def maps(self, pictures: Sequence[Picture]) -> SoftMaps:
        """Return the maps of pictures of the model's size."""
        engine = self._engine()
        assert engine.spec.heads is not None
        rows = [_heads(engine, engine.spec, engine.spec.heads, picture) for picture in pictures]
        return SoftMaps(*(torch.from_numpy(np.stack(each)) for each in zip(*rows, strict=True)))

    def _engine(self) -> LiteRtEngine:
        if not hasattr(self._of_thread, "engine"):
            self._of_thread.engine = self._load()
        engine: LiteRtEngine = self._of_thread.engine
        return engine


def _heads(engine: LiteRtEngine, spec: ModelSpec, heads: HeadsSpec, picture: Picture) -> list[Floats]:
    """Return center, heatmap, regression and offset, float32.

    (1, h, w), (17, h, w), and twice (34, h, w).
    """
    pixels = picture.image if spec.input_codes is None else spec.input_codes[picture.image]
    outputs = engine.run(pixels[None].astype(spec.input_dtype, copy=False))
    # The order of `edge.poses.head_maps.HEADS`, whose first four are ours; boxes are not learned.
    return [
        _real(output[0], heads, number, is_score=name in SCORED)
        for number, (name, output) in enumerate(zip(HEAD_NAMES, outputs, strict=False))
    ]


def _real(values: Floats, heads: HeadsSpec, number: int, *, is_score: bool) -> Floats:
    """Dequantize a map (h, w, C); return it channels first."""
    meant = heads.maps[number]
    real = values.astype(np.float32) * meant.scale + meant.shift
    if is_score and heads.logits:
        real = 1 / (1 + np.exp(np.minimum(-real, MAX_LOGIT)))
    return np.ascontiguousarray(real.transpose(2, 0, 1), np.float32)
