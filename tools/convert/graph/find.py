"""Finds the six heads of a frozen MoveNet MultiPose by graph structure.

Names are only a cross-check.
"""

from typing import Any

import numpy as np

from edge.errors import ModelError
from edge.graph import nodes
from edge.graph.graph_model import OPS
from edge.graph.nodes import CONVOLUTIONS, SINGLE_HEADS, Node, NodeGraph
from tools.convert.graph.frozen import FrozenGraph, Links

__all__ = ["find_heads", "node_graph"]

BIASES = {"BiasAdd", "Add", "AddV2"}
NAMES = {
    "center_": "center",
    "kpt_heatmap": "heatmap",
    "kpt_regress": "regression",
    "kpt_offset": "offset",
    "box_scale": "box_scale",
    "box_offset": "box_offset",
}
"""Names of heads in the published graph."""


def find_heads(frozen: FrozenGraph) -> dict[str, str]:
    """Return the node of every head, before sigmoid, in canonical order.

    Raises:
        ModelError: the graph has other heads than MoveNet MultiPose; the message names what was found.
    """
    links = Links(frozen.graph)
    heads = nodes.find_heads(node_graph(frozen))
    if len(heads) == len(SINGLE_HEADS):
        raise ModelError(f"{frozen.name}: not MoveNet MultiPose but SinglePose, which has no boxes")
    _check_names(frozen.name, heads)
    return {head: _with_bias(links, node) for head, node in heads.items()}


def node_graph(frozen: FrozenGraph) -> NodeGraph:
    """Return the graph in the words of `edge.graph.nodes`; constants have their shape only."""
    links = Links(frozen.graph)
    biases = {_with_bias(links, name) for name, node in links.nodes.items() if _is_convolution(node)}
    return NodeGraph(
        {name: _node(links, name, is_bias=name in biases) for name in links.nodes}
        | {f"{name}/filter": _filter(links, name) for name, node in links.nodes.items() if _is_convolution(node)},
        frozen.name,
    )


def _is_convolution(node: Any) -> bool:
    return OPS.get(node.op) in CONVOLUTIONS


def _node(links: Links, name: str, *, is_bias: bool) -> Node:
    node, inputs = links.nodes[name], links.inputs(name)
    kind = OPS.get(node.op, node.op)
    if kind in CONVOLUTIONS:
        return Node(kind, (inputs[0], f"{name}/filter", *inputs[2:]))
    return Node("move" if is_bias else kind, tuple(inputs))


def _filter(links: Links, name: str) -> Node:
    """Return a convolution's filter, shaped as TFLite has it, without its values."""
    weights = links.nodes[links.inputs(name)[1]]
    while weights.op == "Identity":
        weights = links.nodes[links.inputs(weights.name)[0]]
    sides = [int(side.size) for side in weights.attr["value"].tensor.tensor_shape.dim]
    if weights.op != "Const" or len(sides) != 4:
        return Node("constant")
    return Node("constant", value=np.broadcast_to(np.float32(0), sides).transpose(3, 0, 1, 2))


def _with_bias(links: Links, name: str) -> str:
    """Return a convolution's bias addition, or the convolution itself."""
    consumers = links.consumers(name)
    if len(consumers) == 1 and links.nodes[consumers[0]].op in BIASES:
        return consumers[0]
    return name


def _check_names(model: str, heads: dict[str, str]) -> None:
    for head, node in heads.items():
        named = next((meant for hint, meant in NAMES.items() if hint in node), head)
        if named != head:
            raise ModelError(
                f"{model}: {node} is used like {head} and named like {named}: not the MoveNet MultiPose that is known"
            )
