"""Finds the heads of MoveNet MultiPose in a graph, by structure.

A head ends in a convolution below which there is no other one. It is identified by its channels and by what
the decode does with it:

* center, 1 channel, feeds a max pooling (the search for peaks);
* heatmap, 17 channels, one per keypoint;
* regression, 34 channels, takes part in what ArgMax looks at (it seeds the search for keypoints);
* offset, 34 channels, does not: it is read at the cells that ArgMax found;
* box scale, 2 channels, is kept from being negative before anything is added to it;
* box offset, 2 channels, is added to a cell.
"""

from edge.errors import ModelError
from edge.graph.nodes import CONVOLUTIONS, NodeGraph
from edge.poses.head_maps import HEAD_CHANNELS, HEADS

__all__ = ["find_heads", "image_of"]

SUMS = {"add", "sub"}
FLOORS = {"maximum", "relu"}


def find_heads(graph: NodeGraph) -> dict[str, str]:
    """Return the convolution of every head, in the order of `HEADS`.

    Raises:
        ModelError: the graph has other heads; the message names what was found.
    """
    lasts = [name for name in _convolutions(graph) if not _has_convolution(graph, graph.below(name))]
    channels = {name: _channels(graph, name) for name in lasts}
    if sorted(channels.values()) != sorted(HEAD_CHANNELS):
        found = ", ".join(map(str, sorted(channels.values()))) or "none"
        raise ModelError(
            f"{graph.origin}: not MoveNet MultiPose: its last convolutions have {found} channels; needed are "
            f"{', '.join(map(str, sorted(HEAD_CHANNELS)))}"
        )
    heads = {_classify(graph, name, count): name for name, count in channels.items()}
    if set(heads) != set(HEADS):
        raise ModelError(f"{graph.origin}: not MoveNet MultiPose: its heads are used in another way")
    return {head: heads[head] for head in HEADS}


def image_of(graph: NodeGraph) -> str:
    """Return the node that the first convolution reads.

    Raises:
        ModelError: there is more than one, or none.
    """
    images = {
        graph.nodes[name].inputs[0] for name in _convolutions(graph) if not _has_convolution(graph, graph.above(name))
    }
    if len(images) != 1:
        raise ModelError(f"{graph.origin}: not MoveNet: {len(images)} images are looked at")
    return images.pop()


def _convolutions(graph: NodeGraph) -> list[str]:
    return [name for name, node in graph.nodes.items() if node.op in CONVOLUTIONS]


def _has_convolution(graph: NodeGraph, names: set[str]) -> bool:
    return any(graph.nodes[name].op in CONVOLUTIONS for name in names)


def _channels(graph: NodeGraph, name: str) -> int:
    """Return the number of output channels; 0 if the weights are not constant."""
    node = graph.nodes[name]
    weights = graph.constant(node.inputs[1])
    if weights is None or weights.ndim != 4:
        return 0
    return int(weights.shape[0 if node.op == "conv" else 3])


def _classify(graph: NodeGraph, name: str, channels: int) -> str:
    """Return the head that a convolution must be, "" if ambiguous."""
    below = {graph.nodes[each].op for each in graph.below(name)}
    match channels:
        case 1:
            return "center" if "max_pool" in below else ""
        case 17:
            return "heatmap"
        case 34:
            return "regression" if "arg_max" in below else "offset"
    first = _first_uses(graph, name)
    if first & FLOORS and first & SUMS:
        return ""
    return "box_scale" if first & FLOORS else "box_offset" if first & SUMS else ""


def _first_uses(graph: NodeGraph, name: str) -> set[str]:
    """Return the first operations that compute with a node's values."""
    uses: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        for consumer in set(graph.consumers(waiting.pop())) - seen:
            seen.add(consumer)
            if graph.nodes[consumer].op == "move":
                waiting.append(consumer)
            else:
                uses.add(graph.nodes[consumer].op)
    return uses
