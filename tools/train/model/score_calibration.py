"""Calibrates scores (Platt): of poses with 0.7, seven in ten are right.

A focal loss leaves scores far too low. Platt's scaling (Platt 1999, "Probabilistic outputs for support vector
machines") fits score = sigmoid(gain * logit + shift) to what was right and what was wrong; gain and shift then become
part of the last convolution of center and heatmap. Neither the order of the centers nor that of the cells changes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edge.poses.head_maps import PUBLISHED_CONSTANTS
from edge.poses.heads import PEAK_SIDE
from tools.train.data.batch import Batch
from tools.train.model.losses import SURE
from tools.train.model.network import PoseNetwork, Scaled, normalize

__all__ = ["Evidence", "PlattScaling", "calibrate_scores", "fit_scaling", "gather"]

RIGHT_CENTER = 0.4
"""A peak of the center map is right where the true Gaussian is as high as that ..."""
WRONG_CENTER = 0.1
"""... wrong below this; in between it does not count."""
RIGHT_HEAT = 0.3
LEAST_LOGIT = -7.0
"""Lower peaks do not count: an empty picture has hundreds."""
STEPS = 60
MIN_EVIDENCE = 50


@dataclass(frozen=True, slots=True)
class Evidence:
    """Logits (K,) of peaks, and whether each was right (K,)."""

    logits: Tensor
    right: Tensor


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """logit' = gain * logit + shift."""

    gain: float
    shift: float


def calibrate_scores(
    network: PoseNetwork, batches: Iterable[Batch], *, min_evidence: int = MIN_EVIDENCE
) -> dict[str, PlattScaling]:
    """Calibrate the network's scores in place; return the scaling by head.

    Args:
        network: with a normalization that has settled.
        batches: pictures with what is true of them; best some that were not learned from.
        min_evidence: a head with fewer right or fewer wrong peaks is left as it is.
    """
    evidence = gather(network, batches)
    done: dict[str, PlattScaling] = {}
    for head, found in evidence.items():
        if min(int(found.right.sum()), int((~found.right).sum())) < min_evidence:
            continue
        done[head] = fit_scaling(found)
        last = network.heads[head][-1]
        assert isinstance(last, Scaled)
        assert last.bias is not None
        with torch.no_grad():
            last.weight.mul_(done[head].gain)
            last.bias.mul_(done[head].gain).add_(done[head].shift / last.gain)
    return done


@torch.no_grad()
def gather(network: PoseNetwork, batches: Iterable[Batch]) -> dict[str, Evidence]:
    """Collect peaks of the center map and each keypoint's best cell.

    These are what the decode would take.
    """
    device = next(network.parameters()).device
    network.eval()
    centers, keypoints = [], []
    for batch in batches:
        here = batch.to(device)
        heads = network(normalize(here.pixels).contiguous(memory_format=torch.channels_last))
        centers.append(_centers(heads, here))
        keypoints.append(_keypoints(heads, here))
    return {"center": _joined(centers), "heatmap": _joined(keypoints)}


def fit_scaling(evidence: Evidence) -> PlattScaling:
    """Return the maximum-likelihood gain (positive) and shift."""
    logits, right = evidence.logits.double(), evidence.right.double()
    free = torch.zeros(2, dtype=torch.float64, requires_grad=True)  # logarithm of the gain, shift
    optimizer = torch.optim.LBFGS([free], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = functional.binary_cross_entropy_with_logits(free[0].exp() * logits + free[1], right)
        found.backward()
        return found

    optimizer.step(loss)
    return PlattScaling(float(free[0].detach().exp()), float(free[1].detach()))


def _centers(heads: Mapping[str, Tensor], batch: Batch) -> Evidence:
    logits = heads["center"][:, 0].float()
    highest = functional.max_pool2d(logits[:, None], PEAK_SIDE, stride=1, padding=PEAK_SIDE // 2)[:, 0]
    near = batch.center
    counted = batch.center_judged & ((near >= RIGHT_CENTER) | (near < WRONG_CENTER))
    peaks = (logits >= highest) & (logits > LEAST_LOGIT) & counted
    return Evidence(logits[peaks], near[peaks] >= RIGHT_CENTER)


def _keypoints(heads: Mapping[str, Tensor], batch: Batch) -> Evidence:
    number, y, x = batch.seed_cells.unbind(1)
    # Of the cells that learn the regression only the peak: the decode reads seeds nowhere else.
    true = batch.center[number, y, x] >= SURE
    number, y, x = number[true], y[true], x[true]
    known = batch.seed_weights[true][:, ::2] > 0  # (P, 17)
    seeds = heads["regression"].float()[number, :, y, x].unflatten(1, (-1, 2))  # (P, 17, [dy, dx])
    heat = heads["heatmap"].float()[number]  # (P, 17, h, w)
    height, width = heat.shape[2:]
    # The decode looks for the hottest cell near the seed: heat times a Gaussian around it.
    spread = PUBLISHED_CONSTANTS.gaussian * min(height, width)
    rows = torch.arange(height, device=heat.device) - (seeds[..., 0] + y[:, None])[..., None]
    columns = torch.arange(width, device=heat.device) - (seeds[..., 1] + x[:, None])[..., None]
    weights = torch.exp(-rows.square() / spread)[..., None] * torch.exp(-columns.square() / spread)[..., None, :]
    best = (torch.sigmoid(heat) * weights).flatten(2).argmax(dim=2, keepdim=True)
    logits = heat.flatten(2).gather(2, best)[..., 0]
    right = batch.heat[number].flatten(2).gather(2, best)[..., 0] >= RIGHT_HEAT
    return Evidence(logits[known], right[known])


def _joined(parts: list[Evidence]) -> Evidence:
    return Evidence(torch.cat([part.logits for part in parts]), torch.cat([part.right for part in parts]))
