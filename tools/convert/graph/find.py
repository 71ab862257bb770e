"""Finds the six heads of a frozen MoveNet MultiPose by graph structure.

Names are only a cross-check.

A head ends in a convolution below which there is no other one. It is identified by its channels and by what
the decode does with it:

* center, 1 channel, feeds a max pooling (the search for peaks);
* heatmap, 17 channels, one per keypoint;
* regression, 34 channels, takes part in what ArgMax looks at (it seeds the search for keypoints);
* offset, 34 channels, does not: it is read at the cells that ArgMax found;
* box scale, 2 channels, is kept from being negative (Maximum) before anything is added to it;
* box offset, 2 channels, is added to a cell.
"""

from collections.abc import Iterator
from typing import Any

from edge.errors import ModelError
from edge.poses.head_maps import HEAD_CHANNELS, HEADS
from tools.convert.graph.frozen import FrozenGraph, Links

__all__ = ["find_heads", "first_convolutions"]

CONVOLUTIONS = {"Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"}
BIASES = {"BiasAdd", "Add", "AddV2"}
SUMS = {"Add", "AddV2", "AddN", "Sub"}
FLOORS = {"Maximum", "Relu"}
MOVES = {
    "ExpandDims", "Gather", "GatherNd", "GatherV2", "Identity", "Pack", "Reshape", "Slice", "Split", "SplitV",
    "Squeeze", "StridedSlice", "Transpose", "Unpack",
}  # fmt: skip
"""Operations that move values without computing."""
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
    ends = {name: _channels(links, name) for name in _last_convolutions(links)}
    if sorted(ends.values()) != sorted(HEAD_CHANNELS):
        found = ", ".join(map(str, sorted(ends.values()))) or "none"
        raise ModelError(
            f"{frozen.name}: not MoveNet MultiPose: its last convolutions have {found} channels; needed are "
            f"{', '.join(map(str, sorted(HEAD_CHANNELS)))}"
        )
    found_heads = [(_classify(links, name, channels), name) for name, channels in ends.items()]
    heads = dict(found_heads)
    if set(heads) != set(HEADS):
        found = ", ".join(f"{name} as {head}" for head, name in found_heads)
        raise ModelError(f"{frozen.name}: its heads cannot be identified by what the graph does with them: {found}")
    _check_names(frozen.name, heads)
    return {head: _with_bias(links, heads[head]) for head in HEADS}


def first_convolutions(links: Links) -> list[str]:
    """Return the convolutions without one above them."""
    return [name for name in _convolutions(links) if not _has_convolution(links, links.above(name))]


def _convolutions(links: Links) -> Iterator[str]:
    return (name for name, node in links.nodes.items() if node.op in CONVOLUTIONS)


def _last_convolutions(links: Links) -> list[str]:
    return sorted(name for name in _convolutions(links) if not _has_convolution(links, links.below(name)))


def _has_convolution(links: Links, names: set[str]) -> bool:
    return any(links.nodes[name].op in CONVOLUTIONS for name in names)


def _channels(links: Links, name: str) -> int:
    """Return a convolution's number of output channels, 0 if not constant.

    It is the last side of the filter.
    """
    weights: Any = links.nodes[links.inputs(name)[1]]
    while weights.op == "Identity":
        weights = links.nodes[links.inputs(weights.name)[0]]
    sides = weights.attr["value"].tensor.tensor_shape.dim
    return int(sides[-1].size) if weights.op == "Const" and sides else 0


def _classify(links: Links, name: str, channels: int) -> str:
    """Return the head that a convolution must be, "" if ambiguous."""
    below = {links.nodes[each].op for each in links.below(name)}
    match channels:
        case 1:
            return "center" if "MaxPool" in below else ""
        case 17:
            return "heatmap"
        case 34:
            return "regression" if "ArgMax" in below else "offset"
    first = _first_uses(links, _with_bias(links, name))
    if first & FLOORS and first & SUMS:
        return ""
    return "box_scale" if first & FLOORS else "box_offset" if first & SUMS else ""


def _first_uses(links: Links, name: str) -> set[str]:
    """Return the first operations that compute with a node's values.

    Operations that only move values (MOVES) are passed through.
    """
    uses: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        for consumer in set(links.consumers(waiting.pop())) - seen:
            seen.add(consumer)
            if links.nodes[consumer].op in MOVES:
                waiting.append(consumer)
            else:
                uses.add(links.nodes[consumer].op)
    return uses


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
