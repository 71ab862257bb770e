"""Ranges of a network's tensors at the cells that matter.

Most cells of a head's map are read for no picture: the regression only at centers, the offset only where a keypoint
is. Ranges taken from these cells are up to six times narrower than those of the whole maps, and so are the steps of
int8; elsewhere values may be clipped. The center map alone is looked at everywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.graph.network import Floats, Layer, Network
from tools.convert.int8.execute import run_network

__all__ = [
    "BATCH",
    "Cells",
    "Range",
    "batches",
    "cells_of",
    "head_ranges",
    "relevant_cells",
    "sigmoid",
    "tensor_ranges",
]

Cells = NDArray[np.bool_]
BATCH = 8
BATCH_PIXELS = 48 * 256 * 256
"""Of a batch, whatever the size of a picture: 1.5 GB at most, see `quantize`."""
MIN_CENTER = 0.08
"""Least score of a center whose regression and box are read."""
MIN_HEAT = 0.03
"""Least heat of a cell that may become a keypoint."""
MIN_OFFSET_HEAT = 0.1
LEAST_LOGIT = -7.0
"""A score of 0.001; lower ones do not matter."""
LOGIT_ROOM = 0.3
PERCENTILE = 0.1
"""Share, in percent, of a head's relevant values that is left out at either end, before SPARE is added."""
SPARE = 0.25
"""Room beyond them, as a share of the range: a head's own steps are far finer than the network's errors."""
FEW_CELLS = 4.0
"""n relevant cells leave a share of FEW_CELLS / sqrt(n) of the range unseen."""


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest value per channel, (C,) each."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def joined(self, other: "Range | None") -> "Range":
        """Return the union of both ranges."""
        return self if other is None else Range(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def scaled(self, factors: NDArray[Any] | float) -> "Range":
        """Return the range of values scaled by `factors` > 0, (C,) or a number."""
        return Range(self.low * factors, self.high * factors)

    def shifted(self, distance: NDArray[Any]) -> "Range":
        """Return the range of values shifted by `distance`, (C,)."""
        return Range(self.low + distance, self.high + distance)

    @property
    def reach(self) -> NDArray[np.float64]:
        """Greatest magnitude, (C,)."""
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))


def batches(images: Floats) -> Iterator[Floats]:
    """Yield pictures (N, H, W, 3) in batches."""
    count = max(1, min(BATCH, BATCH_PIXELS // (images.shape[1] * images.shape[2])))
    for first in range(0, len(images), count):
        yield images[first : first + count]


def relevant_cells(maps: Mapping[str, Floats]) -> dict[str, Cells]:
    """Return the cells of each head that a decode may read, (N, h, w).

    Args:
        maps: of the float network, logits for center and heatmap.
    """
    center = sigmoid(maps["center"])[..., 0]
    heat = sigmoid(maps["heatmap"]).max(axis=-1)
    special = {"center": np.ones_like(center, bool), "heatmap": heat > MIN_HEAT, "offset": heat > MIN_OFFSET_HEAT}
    return {head: special.get(head, center > MIN_CENTER) for head in maps}


def cells_of(tensor_feeds: frozenset[str], relevant: Mapping[str, Cells]) -> Cells:
    """Return a tensor's cells that matter to the heads it feeds.

    With their neighbours where 3x3 taps follow.
    """
    if len(tensor_feeds) == 1:
        return relevant[next(iter(tensor_feeds))]
    both = np.any([relevant[head] for head in tensor_feeds], axis=0)
    return np.stack([cv2.dilate(each.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for each in both])


def tensor_ranges(
    network: Network, images: Floats, *, only_relevant: bool = True, on_batch: Callable[[], None] = lambda: None
) -> dict[int, Range]:
    """Return the range of every channel by tensor.

    At the maps' resolution only the cells that matter count.

    Args:
        network: float.
        images: (N, H, W, 3) normalized.
        only_relevant: False for all cells everywhere.
        on_batch: called after every few pictures.
    """
    found: dict[int, Range] = {}
    counts: dict[int, int] = {}
    feeds, resolution = network.feeds(), network.shapes[network.heads["center"]][1:3]

    def note(tensor: int, rows: Floats) -> None:
        if len(rows):
            seen = Range(rows.min(axis=0).astype(float), rows.max(axis=0).astype(float))
            found[tensor] = seen.joined(found.get(tensor))
            counts[tensor] = counts.get(tensor, 0) + len(rows)

    for batch in batches(images):
        waiting: dict[int, Floats] = {}  # which cells matter is known only at the end

        def look(layer: Layer, values: Floats, waiting: dict[int, Floats] = waiting) -> None:
            if only_relevant and values.shape[1:3] == resolution:
                waiting[layer.output] = values
            else:
                note(layer.output, values.reshape(-1, values.shape[-1]))

        relevant = relevant_cells(run_network(network, batch, look))
        for tensor, values in waiting.items():
            note(tensor, values[cells_of(feeds[tensor], relevant)])
        on_batch()
    channels = {layer.output: network.shapes[layer.output][3] for layer in network.layers}
    room = {tensor: 1 + (FEW_CELLS / count**0.5 if only_relevant else 0) for tensor, count in counts.items()}
    # Some tensors have no relevant cell where no picture shows a person: -1..1 then.
    return {
        tensor: found[tensor].scaled(room[tensor]) if tensor in found else Range(np.full(size, -1.0), np.ones(size))
        for tensor, size in channels.items()
    }


def head_ranges(network: Network, images: Floats, *, on_batch: Callable[[], None] = lambda: None) -> dict[str, Range]:
    """Return the range that each head's channels need, without the rarest values.

    Args:
        network: float.
        images: (N, H, W, 3) normalized.
        on_batch: called after every few pictures.
    """
    values: dict[str, list[list[Floats]]] = {head: [] for head in network.heads}
    for batch in batches(images):
        maps = run_network(network, batch)
        for head, picked in _pick(maps).items():
            values[head].append(picked)
        on_batch()
    return {head: _needed(head, [np.concatenate(rows) for rows in zip(*parts, strict=True)])
            for head, parts in values.items()}  # fmt: skip


def _pick(maps: Mapping[str, Floats]) -> dict[str, list[Floats]]:
    """Return the values that matter, by head and channel."""
    center, heat = sigmoid(maps["center"])[..., 0] > MIN_CENTER, sigmoid(maps["heatmap"]) > MIN_HEAT
    picked = {}
    for head, each in maps.items():
        channels = range(each.shape[-1])
        if head in ("center", "heatmap"):
            picked[head] = [each[..., channel].ravel() for channel in channels]
        elif head == "offset":
            picked[head] = [each[..., channel][heat[..., channel // 2]] for channel in channels]
        else:
            picked[head] = [each[..., channel][center] for channel in channels]
    return picked


def _needed(head: str, channels: list[Floats]) -> Range:
    if head in ("center", "heatmap"):
        high = np.array([max(float(each.max()), 0) + LOGIT_ROOM for each in channels])
        return Range(np.full(len(channels), LEAST_LOGIT), high)
    ends = [
        np.percentile(each, [PERCENTILE, 100 - PERCENTILE]) if len(each) else np.array([-1, 1]) for each in channels
    ]
    low, high = np.array(ends, float).T
    spare = np.maximum(SPARE * (high - low), 0.05)  # so that a channel of one value only has a range too
    return Range(low - spare, high + spare)


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + exp(-values))."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), np.float32)
