"""MoveNet MultiPose as it was published, cut at its heads."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.graph.network import Floats, Kind, Layer, Network
from edge.graph.nodes import CONVOLUTIONS, SINGLE_HEADS, Node, NodeGraph, find_heads, image_of
from edge.poses.head_maps import DecodeConstants

__all__ = ["STRIDE_PX", "Cut", "Published", "cut_network", "cut_published"]

STRIDE_PX = 32
"""Sides of the input are multiples of this: the deepest map has one cell for it."""
MAX_SIDE_PX = 2048
Reals = NDArray[np.float64]
EMPTY: Floats = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class Published:
    """MoveNet MultiPose for one input size, without its decode.

    Attributes:
        network: float; its input is `scale * pixel + shift`.
        scale: per colour channel (R, G, B), by which pixels 0..255 are multiplied.
        shift: per colour channel, what is added then.
        constants: of the graph's decode.
        digest: `sha256:…` of all weights, the same for each size and file format.
    """

    network: Network
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    constants: DecodeConstants
    digest: str


@dataclass(frozen=True, slots=True)
class Cut:
    """What a graph computes above its heads; see `Published`."""

    network: Network
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    digest: str


def cut_published(graph: NodeGraph, size: tuple[int, int]) -> Published:
    """Cut a whole graph at its heads, for an input of `size` (width, height).

    Raises:
        ModelError: the graph is not MoveNet MultiPose, or `size` does not suit it.
    """
    heads = find_heads(graph)
    if len(heads) == len(SINGLE_HEADS):
        raise ModelError(f"{graph.origin}: not MoveNet MultiPose but SinglePose, which has no boxes")
    cut = cut_network(graph, heads, size)
    return Published(cut.network, cut.scale, cut.shift, _constants(graph), cut.digest)


def cut_network(graph: NodeGraph, heads: Mapping[str, str], size: tuple[int, int]) -> Cut:
    """Return the network above the nodes `heads`; see `cut_published`."""
    if any(side % STRIDE_PX or not 0 < side <= MAX_SIDE_PX for side in size):
        raise ModelError(
            f"{size[1]}x{size[0]} (HxW) is no size for MoveNet: sides are multiples of {STRIDE_PX}, up to {MAX_SIDE_PX}"
        )
    image = image_of(graph)
    scale, shift = _normalization(graph, image)
    network = _Layers(graph, image, size).network(heads)
    return Cut(network, scale, shift, _digest(network, scale, shift))


class _Layers:
    """Turns the nodes above the heads into layers, each after what it reads."""

    def __init__(self, graph: NodeGraph, image: str, size: tuple[int, int]) -> None:
        self._graph = graph
        self._tensors = {image: 0}
        self._shapes: dict[int, tuple[int, ...]] = {0: (1, size[1], size[0], 3)}
        self._layers: list[Layer] = []

    def network(self, heads: Mapping[str, str]) -> Network:
        for last in heads.values():
            for name in self._graph.in_order(last, self._sources, self._tensors):
                self._tensors[name] = self._layer(name, self._graph.nodes[name])
        tensors = {head: self._tensors[node] for head, node in heads.items()}
        places = {self._shapes[tensor][1:3] for tensor in tensors.values()}
        if len(places) != 1:
            raise ModelError(f"{self._graph.origin}: not MoveNet: its heads have maps of different sizes")
        return Network(tuple(self._layers), self._shapes, 0, tensors)

    def _sources(self, name: str) -> tuple[str, ...]:
        node = self._graph.nodes[name]
        if node.op in CONVOLUTIONS or node.op == "resize":
            return node.inputs[:1]
        if node.op == "add" and len(node.inputs) == 2:
            return node.inputs
        raise ModelError(f"{self._graph.origin}: not MoveNet: operation '{node.op}' ('{name}') above a head")

    def _layer(self, name: str, node: Node) -> int:
        inputs = tuple(self._tensors[each] for each in self._sources(name))
        tensor = len(self._shapes)
        _, height, width, channels = self._shapes[inputs[0]]
        if node.op in CONVOLUTIONS:
            layer, shape = self._convolution(name, node, inputs, tensor)
        elif node.op == "resize":
            factor = self._factor(name, node, (height, width))
            layer = Layer(
                "resize", inputs, tensor, "none", EMPTY, EMPTY,
                align_corners=node.align_corners, half_pixel_centers=node.half_pixel_centers,
            )  # fmt: skip
            shape = (1, height * factor, width * factor, channels)
        else:
            layer, shape = Layer("add", inputs, tensor, node.activation, EMPTY, EMPTY), self._shapes[inputs[0]]
            if self._shapes[inputs[1]] != shape:
                raise ModelError(f"{self._graph.origin}: damaged: '{name}' adds maps of different sizes")
        self._layers.append(layer)
        self._shapes[tensor] = shape
        return tensor

    def _convolution(
        self, name: str, node: Node, inputs: tuple[int, ...], tensor: int
    ) -> tuple[Layer, tuple[int, ...]]:
        _, height, width, channels = self._shapes[inputs[0]]
        weights = self._floats(name, node.inputs[1], 4)
        made = weights.shape[0 if node.op == "conv" else 3]
        bias = self._floats(name, node.inputs[2], 1) if len(node.inputs) > 2 else np.zeros(made, np.float32)
        if weights.shape[3] != channels or bias.shape != (made,) or (node.op == "depthwise" and len(weights) != 1):
            raise ModelError(
                f"{self._graph.origin}: damaged: '{name}' has weights {list(weights.shape)} and bias "
                f"{list(bias.shape)} for {channels} channels"
            )
        (down, right), (tall, wide) = node.stride, weights.shape[1:3]
        if not (0 < down <= STRIDE_PX and 0 < right <= STRIDE_PX):
            raise ModelError(f"{self._graph.origin}: damaged: '{name}' has strides of {down} and {right}")
        if node.padding == "VALID":
            height, width = height - tall + 1, width - wide + 1
        shape = (1, -(-height // down), -(-width // right), made)
        if min(shape) < 1:
            raise ModelError(f"{self._graph.origin}: damaged: nothing is left of the map of '{name}'")
        kind: Kind = "conv" if node.op == "conv" else "depthwise"
        return Layer(kind, inputs, tensor, node.activation, weights, bias, node.stride, node.padding), shape

    def _floats(self, name: str, source: str, sides: int) -> Floats:
        value = self._graph.constant(source)
        if value is None or value.dtype.kind != "f" or value.ndim != sides or value.size == 0:
            raise ModelError(f"{self._graph.origin}: damaged: '{name}' has no float weights")
        if not np.isfinite(value).all():
            raise ModelError(f"{self._graph.origin}: damaged: weights of '{name}' are no finite numbers")
        return np.ascontiguousarray(value, np.float32)

    def _factor(self, name: str, node: Node, sides: tuple[int, int]) -> int:
        """Return by how much a resize enlarges a map of `sides`: to those times a constant, or to a constant size."""
        size = self._graph.nodes[node.inputs[1]]
        if size.value is not None:
            found = [[made / side for made, side in zip(size.value.ravel().tolist(), sides, strict=True)]]
        else:
            factors = [self._graph.constant(each) for each in size.inputs] if size.op == "mul" else []
            found = [each.ravel().tolist() for each in factors if each is not None]
        if len(found) != 1 or len(found[0]) != 2 or found[0][0] != found[0][1] or found[0][0] not in (1, 2, 4):
            raise ModelError(f"{self._graph.origin}: not MoveNet: '{name}' does not double a map")
        return int(found[0][0])


def _normalization(graph: NodeGraph, image: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return what the graph does to pixels: (scale, shift), each per colour channel.

    Raises:
        ModelError: it does something else than scale and shift them.
    """
    steps, passed = [], 0
    while (node := graph.nodes[image]).op != "input":
        operands = [graph.constant(each) for each in node.inputs]
        passed += 1
        if passed > len(graph.nodes):
            raise ModelError(f"{graph.origin}: damaged: '{image}' depends on itself")
        if _keeps_pixels(node, operands[1:]):
            image = node.inputs[0]
            continue
        if operands[0] is not None or node.op not in ("cast", "add", "sub", "mul", "div"):
            raise ModelError(f"{graph.origin}: not MoveNet: pixels pass through '{node.op}' ('{image}')")
        if node.op != "cast":
            steps.append((node.op, _colours(graph, operands[1])))
        image = node.inputs[0]
    scale, shift = np.ones(3), np.zeros(3)
    for op, value in reversed(steps):
        if op in ("mul", "div"):
            factor = value if op == "mul" else 1 / value
            scale, shift = scale * factor, shift * factor
        else:
            shift = shift + value if op == "add" else shift - value
    if not (np.isfinite(scale).all() and np.isfinite(shift).all() and (scale > 0).all()):
        raise ModelError(f"{graph.origin}: damaged: pixels are scaled by {scale.tolist()}")
    return tuple(scale.tolist()), tuple(shift.tolist())


def _keeps_pixels(node: Node, operands: list[NDArray[Any] | None]) -> bool:
    """Return whether a node only takes the batch of one image apart, or puts it together again."""
    batch = node.axis == node.place == 0 and all(each is not None and not each.any() for each in operands)
    return batch and node.original in ("ExpandDims", "Squeeze", "Unpack")


def _colours(graph: NodeGraph, value: NDArray[Any] | None) -> Reals:
    if value is None or value.size not in (1, 3):
        raise ModelError(f"{graph.origin}: not MoveNet: pixels are not scaled by constants")
    return np.broadcast_to(value.astype(np.float64).ravel(), 3)


def _constants(graph: NodeGraph) -> DecodeConstants:
    """Read the constants of the decode; see `edge.poses.heads` for what they mean.

    Raises:
        ModelError: the graph decodes in another way.
    """
    peak = [_operand(graph, node) for node in graph.nodes.values() if node.op == "less"]
    score = [_operand(graph, node) for node in graph.nodes.values() if node.op == "greater"]
    # exp(-1 * d2 / (gaussian * shorter side))
    ratios = [graph.nodes[node.inputs[0]] for node in graph.nodes.values() if node.op == "exp"]
    parts = [tuple(_operand(graph, graph.nodes[each]) for each in node.inputs[:2]) for node in ratios]
    found = [
        [each for each in peak if each is not None],
        [each for each in score if each is not None],
        [below / -above for above, below in parts if above and below],
    ]
    if any(len(each) != 1 or not 0 < each[0] < 1 for each in found):
        raise ModelError(f"{graph.origin}: not MoveNet MultiPose: the constants of its decode are not found")
    return DecodeConstants(peak_tolerance=found[0][0], min_keypoint_score=found[1][0], gaussian=found[2][0])


def _operand(graph: NodeGraph, node: Node) -> float | None:
    """Return the one constant number that a node reads; None if there is none."""
    values = [graph.constant(each) for each in node.inputs]
    numbers = [float(each.ravel()[0]) for each in values if each is not None and each.size == 1]
    return numbers[0] if len(numbers) == 1 else None


def _digest(network: Network, scale: tuple[float, ...], shift: tuple[float, ...]) -> str:
    content = hashlib.sha256(repr((scale, shift, sorted(network.heads.items()))).encode())
    for layer in network.layers:
        facts = (layer.kind, layer.inputs, layer.output, layer.activation, layer.stride, layer.padding)
        content.update(repr((facts, layer.align_corners, layer.half_pixel_centers, layer.weights.shape)).encode())
        content.update(layer.weights.astype("<f4").tobytes())
        content.update(layer.bias.astype("<f4").tobytes())
    return f"sha256:{content.hexdigest()}"
