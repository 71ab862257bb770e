"""The network: separable blocks to stride 32, a feature pyramid, four heads.

The pyramid leads back up to stride 4.

Only what an Edge TPU runs in int8 and `edge.graph.network` knows: convolutions, additions, bilinear resizes, ReLU6.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.poses.head_maps import HEAD_CHANNELS, HEADS

__all__ = ["HEAD_NAMES", "NETWORKS", "NetworkShape", "PoseNetwork", "count_macs", "normalize"]

HEAD_NAMES = HEADS[:4]
CHANNELS = dict(zip(HEADS, HEAD_CHANNELS, strict=True))
GAINS = {"regression": 8.0}
"""The regression reaches tens of cells; the weights should not have to."""
RARE_LOGIT = -4.0
"""Where center and heatmap begin: a score of 0.02, since nearly all cells are empty (Lin et al. 2017, section 3.3)."""
PIXEL_HALF = 127.5
"""Pixels 0..255 become -1..1 by (pixel - 127.5) / 127.5."""


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What a network is made of; stored in its checkpoints.

    Attributes:
        channels: of the stem (stride 2) and of the stages at strides 4, 8, 16 and 32.
        blocks: residual ones in each of the four stages, after the convolution that halves its size.
        kernels: side of the depthwise convolutions in each of the four stages.
        pyramid: channels of the feature pyramid.
        head: channels within a head.
    """

    channels: tuple[int, int, int, int, int] = (16, 32, 96, 224, 352)
    blocks: tuple[int, int, int, int] = (1, 3, 5, 3)
    kernels: tuple[int, int, int, int] = (3, 3, 5, 5)
    pyramid: int = 48
    head: int = 64

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "NetworkShape":
        """Return the shape that `to_json` gave the values of."""
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**known)

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {'-'.join(map(str, value)) if isinstance(value, tuple) else value}"
            for name, value in self.to_json().items()
        )


NETWORKS = {
    "starter": NetworkShape(),
    "tiny": NetworkShape(channels=(8, 16, 24, 32, 48), blocks=(1, 1, 1, 1), kernels=(3, 3, 3, 3), pyramid=16, head=16),
}
"""By name. The tiny one is for experiments: it learns in minutes, and not much."""


def convolution(
    inputs: int, outputs: int, *, side: int = 1, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """Return a convolution with normalization and, if `active`, ReLU6.

    Padded as TFLite's SAME.
    """
    total = max(side - stride, 0)  # for inputs whose sides are multiples of the stride
    before = total // 2
    layers: list[nn.Module] = []
    if total % 2:
        layers.append(nn.ZeroPad2d((before, total - before, before, total - before)))
        before = 0
    layers.append(nn.Conv2d(inputs, outputs, side, stride, before, groups=groups, bias=False))
    layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if active else []))


class Separable(nn.Module):
    """A residual block: depthwise and pointwise convolution."""

    def __init__(self, channels: int, *, side: int = 3) -> None:
        super().__init__()
        self.depthwise = convolution(channels, channels, side=side, groups=channels)
        self.pointwise = convolution(channels, channels, active=False)

    def forward(self, values: Tensor) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        made: Tensor = self.pointwise(self.depthwise(values))
        return made + values


class Scaled(nn.Conv2d):
    """A pointwise convolution whose outputs are multiplied by `gain`.

    Args:
        inputs: channels.
        outputs: channels.
        gain: factor; the same step of the optimizer then goes further.
        start: value of every output at the beginning.
    """

    def __init__(self, inputs: int, outputs: int, *, gain: float, start: float) -> None:
        super().__init__(inputs, outputs, 1)
        self.gain = gain
        nn.init.normal_(self.weight, std=0.01)
        assert self.bias is not None
        nn.init.constant_(self.bias, start / gain)

    def forward(self, values: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, O, h, w)."""
        assert self.bias is not None
        return functional.conv2d(values, self.weight * self.gain, self.bias * self.gain)


class PoseNetwork(nn.Module):
    """Maps normalized pixels to the maps of `poses.head_maps`.

    Center and heatmap as logits, regression and offset in cells.
    """

    def __init__(self, shape: NetworkShape | None = None) -> None:
        super().__init__()
        self.shape = shape or NetworkShape()
        stem, *stages = self.shape.channels
        self.stem = convolution(3, stem, side=3, stride=2)
        self.stages = nn.ModuleList()
        before = stem
        for outputs, blocks, side in zip(stages, self.shape.blocks, self.shape.kernels, strict=True):
            first = convolution(before, outputs, side=2, stride=2)
            rest = [Separable(outputs, side=side) for _ in range(blocks)]
            self.stages.append(nn.Sequential(first, *rest))
            before = outputs
        width = self.shape.pyramid
        self.laterals = nn.ModuleList(convolution(outputs, width, active=False) for outputs in stages)
        self.merges = nn.ModuleList(Separable(width) for _ in stages[1:])
        self.heads = nn.ModuleDict({name: _head(width, self.shape.head, name) for name in HEAD_NAMES})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return (N, C, h, w) by head for images (N, 3, H, W) in -1..1.

        Sides are multiples of 32.

        The resize is of half pixels, as TFLite's RESIZE_BILINEAR with `half_pixel_centers`.
        """
        levels, values = [], self.stem(images)
        for stage in self.stages:
            values = stage(values)
            levels.append(values)
        values = self.laterals[-1](levels[-1])
        for place in (2, 1, 0):
            values = functional.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)
            values = self.merges[place](values + self.laterals[place](levels[place]))
        return {name: head(values) for name, head in self.heads.items()}


def _head(inputs: int, width: int, name: str) -> nn.Sequential:
    start = RARE_LOGIT if name in ("center", "heatmap") else 0.0
    last = Scaled(width, CHANNELS[name], gain=GAINS.get(name, 1.0), start=start)
    depthwise = convolution(inputs, inputs, side=3, groups=inputs, active=False)
    return nn.Sequential(depthwise, convolution(inputs, width), last)


def normalize(pixels: Tensor) -> Tensor:
    """Normalize uint8 pixels (N, H, W, 3) to float32 (N, 3, H, W).

    To -1..1, channels last in memory.
    """
    return (pixels.permute(0, 3, 1, 2).float() - PIXEL_HALF) / PIXEL_HALF


def count_macs(network: nn.Module, size: tuple[int, int]) -> int:
    """Return the convolutions' multiplications for `size` (width, height)."""
    total = 0

    def count(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += output[0].numel() * module.weight[0].numel()

    hooks = [each.register_forward_hook(count) for each in network.modules() if isinstance(each, nn.Conv2d)]
    training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, size[1], size[0]))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return total
