"""Frozen graphs, and questions about a GraphDef."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edge.graph.network import INPUT

__all__ = ["INPUT", "FrozenGraph", "FrozenHeads", "Links", "Quantization", "node_of"]

Quantization = Literal["none", "fp16", "dynamic", "int8"]


@dataclass(frozen=True, slots=True)
class FrozenGraph:
    """A whole model without variables.

    Attributes:
        graph: GraphDef; its only placeholder is `input`, int32 [1, H, W, 3] with H and W open.
        output: name of the tensor float32 [1, P, 56].
        name: how messages name the model.
    """

    graph: Any
    output: str
    name: str


@dataclass(frozen=True, slots=True)
class FrozenHeads:
    """The network from normalized input to raw maps, without the decode.

    Attributes:
        graph: GraphDef. Its only placeholder is `input`: float32 [1, H, W, 3], real = scale * pixel + shift. Each head
            is an Identity node named like the head: center and heatmap as logits, all in cells, float32 [1, h, w, C].
        heads: names of the heads in their canonical order.
        size: (width, height) of the input in pixels; None: both sides are open.
        scale: per colour channel (R, G, B), by which pixels 0..255 are multiplied.
        shift: per colour channel, what is added then.
        decode: GraphDef of what lies below the heads: placeholders named like the heads, and the whole graph's output
            as an Identity node named `poses`.
    """

    graph: Any
    heads: tuple[str, ...]
    size: tuple[int, int] | None
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    decode: Any


class Links:
    """Producers and consumers of a GraphDef's nodes, without control edges.

    Args:
        graph: GraphDef.
    """

    def __init__(self, graph: Any) -> None:
        self.nodes: Mapping[str, Any] = {node.name: node for node in graph.node}
        self._consumers: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in graph.node:
            for name in self.inputs(node.name):
                self._consumers[name].append(node.name)

    def inputs(self, name: str) -> list[str]:
        """Return the nodes whose values a node reads, in order."""
        return [node_of(entry) for entry in self.nodes[name].input if not entry.startswith("^")]

    def consumers(self, name: str) -> list[str]:
        """Return the nodes that take a node's values."""
        return self._consumers[name]


def node_of(entry: str) -> str:
    """Return the node name of a `NodeDef.input` entry: `name`, `name:1`, `^name`."""
    return entry.removeprefix("^").split(":")[0]
