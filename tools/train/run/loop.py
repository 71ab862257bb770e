"""The training loop: batches, losses, and a moving average of the weights.

The average becomes the model.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edge.errors import EdgeError, ModelError, one_line
from tools.train.data.batch import Batch
from tools.train.model.losses import Weights, losses, soft_losses
from tools.train.model.network import NetworkShape, PoseNetwork, normalize
from tools.train.run.checkpoint import Checkpoint

__all__ = ["MAX_WARMUP", "DivergedError", "Recipe", "Trainer"]

MAX_WARMUP = 400
"""Steps."""


class DivergedError(EdgeError):
    """The loss is not finite: a bug, or a bad recipe.

    `names` are the batch's pictures.
    """

    exit_code = 70

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training.

    Attributes:
        steps: batches in all; the learning rate falls to nothing over them.
        rate: highest learning rate, of AdamW.
        warmup: steps in which it rises to that.
        decay: of the weights, per step and learning rate.
        average: share of the moving average that is kept in a step.
        max_norm: longer gradients are shortened to this.
        weights: what each head counts.
        soft: what a teacher's maps count besides, where batches have them.
        bfloat16: compute in it where torch finds that safe.
        inputs: what the batches are made of, in words.
    """

    steps: int
    rate: float = 2.5e-3
    warmup: int = MAX_WARMUP
    decay: float = 0.02
    average: float = 0.9995
    max_norm: float = 5.0
    weights: Weights = field(default_factory=Weights)
    soft: float = 0.0
    bfloat16: bool = True
    inputs: str = ""

    def changes(self, before: Mapping[str, Any]) -> list[str]:
        """Return the differences from a recipe `before`, given as plain values.

        More steps are no difference.
        """
        now = {name: value for name, value in asdict(self).items() if name not in ("steps", "warmup")}
        return [f"{name} {now[name]} (was {was})" for name, was in before.items() if now.get(name, was) != was]


class Trainer:
    """A network while it learns.

    Args:
        shape: of the network.
        recipe: how it learns.
        device: where.
    """

    def __init__(self, shape: NetworkShape, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device, self.step = recipe, device, 0
        self.network = PoseNetwork(shape).to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False).eval()
        self._optimizer = torch.optim.AdamW(_groups(self.network, recipe.decay), lr=recipe.rate, fused=True)

    def learn(self, batch: Batch) -> dict[str, float]:
        """Take one step; return the losses by head and `loss`, their sum.

        `soft` is the distillation loss; the sum is weighted.

        Raises:
            DivergedError: the loss is no number, or would lead to weights that are none; the batch and its pictures
                are named, and the weights are still those of the step before.
        """
        self.network.train()
        here = batch.to(self.device)
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate
        pixels = normalize(here.pixels).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.recipe.bfloat16):
            heads = self.network(pixels)
        parts = losses(heads, here)
        total = self._sum(parts)
        if here.soft is not None:
            parts = parts | {"soft": self._sum(soft_losses(heads, here.soft))}
            total = total + self.recipe.soft * parts["soft"]
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.max_norm)
        if not torch.isfinite(total + norm):
            raise self._diverged(parts, batch)
        self._optimizer.step()
        self.step += 1
        self._update_average()
        return {name: float(part.detach()) for name, part in parts.items()} | {"loss": float(total.detach())}

    @property
    def rate(self) -> float:
        """Learning rate of the next step: linear warm-up, then half a cosine."""
        if self.step < self.recipe.warmup:
            return self.recipe.rate * (self.step + 1) / self.recipe.warmup
        done = (self.step - self.recipe.warmup) / max(self.recipe.steps - self.recipe.warmup, 1)
        return self.recipe.rate * max(0.5 * (1 + math.cos(math.pi * min(done, 1))), 1e-3)

    def checkpoint(self) -> Checkpoint:
        """Return the state as it is now."""
        return Checkpoint(
            self.step,
            self.network.shape,
            self.network.state_dict(),
            self.average.state_dict(),
            self._optimizer.state_dict(),
            asdict(self.recipe),
        )

    def begin(self, network: nn.Module) -> None:
        """Begin with the weights of a network of the same shape."""
        self.network.load_state_dict(network.state_dict())
        self.average.load_state_dict(network.state_dict())

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            ModelError: it is of another network, or its values do not fit together.
        """
        if checkpoint.shape != self.network.shape:
            raise ModelError(
                f"the checkpoint is of another network ({checkpoint.shape}) than the requested one "
                f"({self.network.shape})"
            )
        try:
            self._restore(checkpoint)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"the checkpoint is damaged ({one_line(error)})") from error

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.network.load_state_dict(checkpoint.weights)
        self.average.load_state_dict(checkpoint.average)
        self._optimizer.load_state_dict(checkpoint.optimizer)
        self.step = checkpoint.step

    def _update_average(self) -> None:
        """Move the average a little towards the network."""
        keep = min(self.recipe.average, self.step / (self.step + 10))
        pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
        ours, theirs = zip(*[(one, other) for one, other in pairs if one.is_floating_point()], strict=True)
        with torch.no_grad():
            # One call for all of them; there is no public name for it.
            torch._foreach_lerp_(list(ours), list(theirs), 1 - keep)

    def _sum(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the losses of the heads."""
        return torch.stack([getattr(self.recipe.weights, name) * part for name, part in parts.items()]).sum()

    def _diverged(self, parts: Mapping[str, Tensor], batch: Batch) -> DivergedError:
        values = ", ".join(f"{name} {float(part.detach()):.3g}" for name, part in parts.items())
        return DivergedError(f"batch {self.step}: the loss or its gradient is no number ({values})", batch.names)


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return parameter groups: convolution weights, which decay, and the others."""
    parameters = list(network.parameters())
    return [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": decay},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]
