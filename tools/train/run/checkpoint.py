"""Checkpoints: all that a training needs to resume, written atomically."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from edge.errors import InputError, ModelError
from edge.host.atomic_write import write_whole
from tools.train.model.network import NetworkShape

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

FORMAT = "edge-pose training 1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State after `step` steps.

    Attributes:
        step: batches learned from.
        shape: of the network.
        weights: state of the network.
        average: state of its moving average, which is what is exported.
        optimizer: state of the optimizer.
        recipe: how it was learned, as plain values; empty where that is not known.
    """

    step: int
    shape: NetworkShape
    weights: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically; the one before survives a failure.

    Raises:
        UnavailableError: it cannot be written; the one before is still there.
    """
    values = {
        "format": FORMAT,
        "step": checkpoint.step,
        "shape": checkpoint.shape.to_json(),
        "weights": checkpoint.weights,
        "average": checkpoint.average,
        "optimizer": checkpoint.optimizer,
        "recipe": checkpoint.recipe,
    }
    content = io.BytesIO()  # 16 MB; torch's own writing to a disk that is full ends in many ways
    torch.save(values, content)
    write_whole(path, content.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InputError: it cannot be read.
        ModelError: it is damaged, or another program's.
    """
    try:
        values = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: the checkpoint cannot be read: {error.strerror}") from error
    except Exception as error:  # torch raises whatever its unpickling meets
        raise _damaged(path) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ModelError(f"{path}: not a checkpoint of this training: name another --output")
    try:
        return Checkpoint(
            int(values["step"]),
            NetworkShape.from_json(values["shape"]),
            values["weights"],
            values["average"],
            values["optimizer"],
            dict(values.get("recipe", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> ModelError:
    return ModelError(f"{path}: the checkpoint is damaged: remove it to start over, or name another --output")
