"""A lopsided network, small enough to compute at once, with every kind of layer that the int8 recipe knows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.graph.network import Floats, Kind, Layer, Network
from edge.poses.head_maps import HEAD_CHANNELS, HEADS

INPUT_SIZE = (32, 48)
"""(width, height)."""
TRUNK = 6
"""Channels of the layer that all heads begin at."""


def small_network(seed: int = 0) -> Network:
    """Return a network of seeded weights: a residual block, an upsampling addition, a trunk and the six heads."""
    return _Builder(seed).network()


def some_images(count: int = 6, seed: int = 1) -> Floats:
    """Return smooth pictures (N, H, W, 3), normalized to whole codes of 1 / 127.5."""
    rng = np.random.default_rng(seed)
    width, height = INPUT_SIZE
    coarse = rng.integers(-128, 128, (count, height // 8, width // 8, 3))
    return np.asarray(coarse.repeat(8, axis=1).repeat(8, axis=2) / 127.5, np.float32)


class _Builder:
    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._layers: list[Layer] = []
        self._shapes: dict[int, tuple[int, ...]] = {0: (1, INPUT_SIZE[1], INPUT_SIZE[0], 3)}

    def network(self) -> Network:
        stem = self.conv(0, 8, side=3, stride=2, activation="relu6")
        fine = self.conv(self.depthwise(stem, stride=2, activation="relu6"), 5)
        wide = self.depthwise(self.conv(fine, 10, activation="relu6"), activation="relu6")
        fine = self.add(fine, self.conv(wide, 5))
        coarse = self.conv(self.depthwise(fine, stride=2), TRUNK, activation="relu")
        summed = self.add(self.resize(coarse, fine), self.conv(fine, TRUNK))
        trunk = self.conv(self.depthwise(summed), TRUNK, activation="relu")
        heads = {}
        for head, channels in zip(HEADS, HEAD_CHANNELS, strict=True):
            heads[head] = self.conv(self.conv(self.depthwise(trunk), 7, activation="relu"), channels)
        return Network(tuple(self._layers), self._shapes, 0, heads)

    def conv(self, source: int, channels: int, *, side: int = 1, stride: int = 1, activation: str = "none") -> int:
        weights = self._rng.normal(size=(channels, side, side, self._shapes[source][3])) / side
        return self._convolution("conv", source, weights, stride, activation)

    def depthwise(self, source: int, *, stride: int = 1, activation: str = "none") -> int:
        weights = self._rng.normal(size=(1, 3, 3, self._shapes[source][3]))
        return self._convolution("depthwise", source, weights, stride, activation)

    def add(self, first: int, second: int) -> int:
        return self._plain("add", (first, second), self._shapes[first])

    def resize(self, source: int, like: int) -> int:
        tensor = self._plain("resize", (source,), (*self._shapes[like][:3], self._shapes[source][3]))
        self._layers[-1] = replace(self._layers[-1], half_pixel_centers=True)
        return tensor

    def _convolution(self, kind: Kind, source: int, weights: NDArray[np.float64], stride: int, activation: str) -> int:
        channels = weights.shape[0] if kind == "conv" else weights.shape[3]
        if activation != "relu6":  # channels of very different reach, as trained networks have them
            weights *= np.geomspace(0.5, 2, channels).reshape((-1, 1, 1, 1) if kind == "conv" else (1, 1, 1, -1))
        bias = self._rng.normal(size=(channels,)).astype(np.float32)
        _, height, width, _ = self._shapes[source]
        tensor = self._number((1, -(-height // stride), -(-width // stride), channels))
        strides = (stride, stride)
        self._layers.append(Layer(kind, (source,), tensor, activation, weights.astype(np.float32), bias, strides))
        return tensor

    def _plain(self, kind: Kind, sources: tuple[int, ...], shape: tuple[int, ...]) -> int:
        tensor = self._number(shape)
        empty = np.empty(0, np.float32)
        self._layers.append(Layer(kind, sources, tensor, "none", empty, empty))
        return tensor

    def _number(self, shape: tuple[int, ...]) -> int:
        tensor = len(self._shapes)
        self._shapes[tensor] = shape
        return tensor
