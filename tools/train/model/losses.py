"""How far the heads are from their targets."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tools.train.data.batch import Batch, SoftMaps
from tools.train.data.targets import MIN_WEIGHED_EXTENT

__all__ = ["Weights", "losses", "soft_losses"]

SURE = 0.99
"""Least value of a peak in a map of Gaussians."""
TRUSTED = 0.3
"""Where a teacher's center, or the heat of a keypoint, reaches this, its regression, or offset, is believed."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each head counts in the sum."""

    center: float = 1.0
    heatmap: float = 1.0
    regression: float = 20.0
    """A share of the person's extent is a small number beside the other losses."""
    offset: float = 1.0


def losses(heads: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Return the loss of every head, each a number.

    Center and heatmap: the penalty-reduced focal loss of Law and Deng 2018 (CornerNet, equation 1) with alpha 2 and
    beta 4. Regression: L1 as a share of the person's extent, per known keypoint of a cell. Offset: L1 in cells, per
    cell.

    Args:
        heads: (N, C, h, w) by head; center and heatmap are logits.
        batch: what is true.
    """
    index, y, x = batch.seed_cells.unbind(1)
    seeds = heads["regression"].float()[index, :, y, x]  # (S, 34)
    known = (batch.seed_weights > 0).sum().clamp(min=1)
    regression = ((seeds - batch.seeds).abs() * batch.seed_weights).sum() / known
    index, which, y, x = batch.offset_cells.unbind(1)
    offset = heads["offset"].float()
    pairs = torch.stack([offset[index, 2 * which, y, x], offset[index, 2 * which + 1, y, x]], dim=1)
    return {
        "center": focal(heads["center"][:, 0].float(), batch.center, batch.center_judged),
        "heatmap": focal(heads["heatmap"].float(), batch.heat, batch.heat_judged),
        "regression": regression,
        "offset": (pairs - batch.offsets).abs().mean() if len(pairs) else offset.sum() * 0,
    }


def focal(logits: Tensor, truth: Tensor, judged: Tensor) -> Tensor:
    """Return the focal loss per peak, over `judged` cells."""
    score = torch.sigmoid(logits)
    peaks = truth >= SURE
    right = functional.softplus(-logits) * (1 - score).square()
    wrong = functional.softplus(logits) * score.square() * (1 - truth).square().square()
    each = torch.where(peaks, right, wrong) * judged
    return each.sum() / peaks.sum().clamp(min=1)


def soft_losses(heads: Mapping[str, Tensor], soft: SoftMaps) -> dict[str, Tensor]:
    """Return the distillation loss of every head, each a number.

    Center and heatmap: cross-entropy against its scores, less their own entropy, such that 0 is the same. Regression:
    L1 as a share of the extent in the teacher's map, where its center is high. Offset: L1 in cells, where its heat is.

    Args:
        heads: (N, C, h, w) by head; center and heatmap are logits.
        soft: the teacher's.
    """
    away = (heads["regression"].float() - soft.regression).abs().mean(dim=1)  # (N, h, w)
    trusted = soft.center[:, 0] >= TRUSTED
    apart = (heads["offset"].float() - soft.offset).abs().unflatten(1, (-1, 2)).mean(dim=2)  # (N, 17, h, w)
    hot = soft.heatmap >= TRUSTED
    return {
        "center": divergence(heads["center"].float(), soft.center),
        "heatmap": divergence(heads["heatmap"].float(), soft.heatmap),
        "regression": (away / _extents(soft.regression) * trusted).sum() / trusted.sum().clamp(min=1),
        "offset": (apart * hot).sum() / hot.sum().clamp(min=1),
    }


def divergence(logits: Tensor, scores: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of cells from scores (0..1).

    Per sum of scores.
    """
    known = scores.clamp(1e-6, 1 - 1e-6)
    entropy = -(known * known.log() + (1 - known) * (1 - known).log())
    each = functional.binary_cross_entropy_with_logits(logits, known, reduction="none") - entropy
    return each.sum() / scores.sum().clamp(min=1)


def _extents(regression: Tensor) -> Tensor:
    """Return people's longer sides (N, h, w) in cells.

    Of the people that a regression (N, 34, h, w) predicts.
    """
    keypoints = regression.unflatten(1, (-1, 2))  # (N, 17, [dy, dx], h, w)
    return (keypoints.amax(dim=1) - keypoints.amin(dim=1)).amax(dim=1).clamp(min=MIN_WEIGHED_EXTENT)
