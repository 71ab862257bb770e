"""A batch: pictures with their targets, as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tools.train.data.picture import Picture
from tools.train.data.targets import Targets

__all__ = ["Batch", "SoftMaps", "collate"]


@dataclass(frozen=True, slots=True)
class SoftMaps:
    """Maps of a teacher for N pictures, float32, of h x w cells.

    Attributes:
        center: (N, 1, h, w), scores 0..1.
        heatmap: (N, 17, h, w), scores 0..1.
        regression: (N, 34, h, w), dy, dx of every keypoint in cells.
        offset: (N, 34, h, w), dy, dx in cells.
    """

    center: Tensor
    heatmap: Tensor
    regression: Tensor
    offset: Tensor

    def to(self, device: torch.device) -> "SoftMaps":
        """Return the maps on a device."""
        return SoftMaps(*(getattr(self, each.name).to(device) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Batch:
    """N pictures with their targets; see `Targets`.

    S cells learn the regression, T the offset.

    Attributes:
        pixels: uint8 (N, H, W, 3), RGB.
        center: float32 (N, h, w).
        heat: float32 (N, 17, h, w).
        center_judged: bool (N, h, w).
        heat_judged: float32 (N, 17, h, w).
        seed_cells: int64 (S, 3), the picture's number, y, x.
        seeds: float32 (S, 34).
        seed_weights: float32 (S, 34).
        offset_cells: int64 (T, 4), the picture's number, keypoint, y, x.
        offsets: float32 (T, 2).
        names: of the pictures.
        soft: a teacher's maps; None without a teacher.
    """

    pixels: Tensor
    center: Tensor
    heat: Tensor
    center_judged: Tensor
    heat_judged: Tensor
    seed_cells: Tensor
    seeds: Tensor
    seed_weights: Tensor
    offset_cells: Tensor
    offsets: Tensor
    names: tuple[str, ...]
    soft: SoftMaps | None = None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        named: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        return Batch(**{name: value.to(device) if hasattr(value, "to") else value for name, value in named.items()})


def collate(pictures: Sequence[Picture], targets: Sequence[Targets]) -> Batch:
    """Put pictures of one size and their targets together."""
    return Batch(
        pixels=torch.from_numpy(np.stack([each.image for each in pictures])),
        center=_stacked(targets, "center"),
        heat=_stacked(targets, "heat"),
        center_judged=_stacked(targets, "center_judged"),
        heat_judged=_stacked(targets, "heat_judged"),
        seed_cells=_numbered(targets, "seed_cells"),
        seeds=_joined(targets, "seeds"),
        seed_weights=_joined(targets, "seed_weights"),
        offset_cells=_numbered(targets, "offset_cells"),
        offsets=_joined(targets, "offsets"),
        names=tuple(each.name for each in pictures),
    )


def _stacked(targets: Sequence[Targets], name: str) -> Tensor:
    return torch.from_numpy(np.stack([getattr(each, name) for each in targets]))


def _joined(targets: Sequence[Targets], name: str) -> Tensor:
    return torch.from_numpy(np.concatenate([getattr(each, name) for each in targets]))


def _numbered(targets: Sequence[Targets], name: str) -> Tensor:
    """Return cells that begin with the number of their picture."""
    cells = [np.insert(getattr(each, name), 0, number, axis=1) for number, each in enumerate(targets)]
    return torch.from_numpy(np.concatenate(cells))
