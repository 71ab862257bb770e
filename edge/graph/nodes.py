"""A computation graph of any format, as plain values, and the heads of MoveNet in it, found by structure.

A head ends in a convolution below which there is no other one. It is identified by its channels and by what
the decode does with it:

* center, 1 channel, feeds a max pooling (MultiPose: the search for peaks) or ArgMax (SinglePose: for the one person);
* heatmap, 17 channels, one per keypoint;
* regression, 34 channels, takes part in what ArgMax looks at (it seeds the search for keypoints);
* offset, 34 channels, does not: it is read at the cells that ArgMax found;
* box scale, 2 channels, is kept from being negative before anything is added to it;
* box offset, 2 channels, is added to a cell.

SinglePose has no boxes.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from edge.errors import ModelError
from edge.poses.head_maps import HEAD_CHANNELS, HEADS

__all__ = ["CONVOLUTIONS", "SINGLE_HEADS", "Node", "NodeGraph", "find_heads", "image_of"]

CONVOLUTIONS = frozenset({"conv", "depthwise"})
SINGLE_HEADS = HEADS[:4]
"""Of MoveNet SinglePose."""
SINGLE_CHANNELS = HEAD_CHANNELS[: len(SINGLE_HEADS)]
SUMS = {"add", "sub"}
FLOORS = {"maximum", "relu"}


@dataclass(frozen=True, slots=True)
class Node:
    """One operation, in the words of TFLite in lower case.

    Attributes:
        op: `conv`, `depthwise`, `add`, `resize`, `constant`, `input` …; `move` for what only moves values.
        inputs: names of the nodes that it reads.
        value: of a constant.
        activation: fused into it: `none`, `relu` or `relu6`.
        stride: (vertical, horizontal) of a convolution.
        padding: `SAME` or `VALID`.
        align_corners: of a resize.
        half_pixel_centers: of a resize.
        original: what a graph model calls the operation; empty: read from another format.
        axis: along which it packs, unpacks or squeezes.
        dtype: that a cast makes, as a graph model calls it.
        shape: of an input, -1 for open sides; empty: unknown.
        place: of this output among those of the operation.
    """

    op: str
    inputs: tuple[str, ...] = ()
    value: NDArray[Any] | None = None
    activation: str = "none"
    stride: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    align_corners: bool = False
    half_pixel_centers: bool = False
    original: str = ""
    axis: int = 0
    dtype: str = ""
    shape: tuple[int, ...] = ()
    place: int = 0


@dataclass(frozen=True, slots=True)
class NodeGraph:
    """Nodes by name, and who reads whom.

    Weights are those of TFLite: (O, h, w, I) of a convolution, (1, h, w, C) of a depthwise one.

    Attributes:
        nodes: every one, in the order of the file.
        origin: how messages name the file.
    """

    nodes: Mapping[str, Node]
    origin: str
    _consumers: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, node in self.nodes.items():
            for source in dict.fromkeys(node.inputs):
                self._consumers.setdefault(source, []).append(name)

    def consumers(self, name: str) -> list[str]:
        """Return the nodes that read a node's values."""
        return self._consumers.get(name, [])

    def above(self, name: str) -> set[str]:
        """Return every node that a node's value depends on."""
        return _reach([name], lambda each: self.nodes[each].inputs)

    def below(self, name: str) -> set[str]:
        """Return every node whose value depends on a node."""
        return _reach([name], self.consumers)

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return the value of a constant; None for what is computed."""
        return self.nodes[name].value

    def in_order(self, last: str, sources: Callable[[str], Iterable[str]], done: Container[str]) -> Iterator[str]:
        """Yield what has to be computed for the node `last`, each after what it reads.

        Args:
            last: the node.
            sources: what a node reads.
            done: what is computed already; each yielded node must be in it afterwards.

        Raises:
            ModelError: a node depends on itself.
        """
        # Depth first, without recursion, which a damaged file could make too deep.
        waiting = [last]
        while waiting:
            name = waiting[-1]
            needed = [] if name in done else [each for each in sources(name) if each not in done]
            if len(waiting) > len(self.nodes):
                raise ModelError(f"{self.origin}: damaged: '{name}' depends on itself")
            if needed:
                waiting.append(needed[0])
                continue
            waiting.pop()
            if name not in done:
                yield name


def _reach(start: Iterable[str], step: Callable[[str], Iterable[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        for name in step(waiting.pop()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen


def find_heads(graph: NodeGraph) -> dict[str, str]:
    """Return the convolution of every head, in the order of `HEADS`: six, or the four of SinglePose.

    Raises:
        ModelError: the graph has other heads; the message names what was found.
    """
    lasts = [name for name in _convolutions(graph) if not _has_convolution(graph, graph.below(name))]
    channels = {name: _channels(graph, name) for name in lasts}
    is_single = sorted(channels.values()) == sorted(SINGLE_CHANNELS)
    if not is_single and sorted(channels.values()) != sorted(HEAD_CHANNELS):
        found = ", ".join(map(str, sorted(channels.values()))) or "none"
        raise ModelError(
            f"{graph.origin}: not MoveNet MultiPose: its last convolutions have {found} channels; needed are "
            f"{', '.join(map(str, sorted(HEAD_CHANNELS)))}"
        )
    heads = {_classify(graph, name, count, is_single=is_single): name for name, count in channels.items()}
    names = SINGLE_HEADS if is_single else HEADS
    if set(heads) != set(names):
        raise ModelError(
            f"{graph.origin}: not MoveNet: its heads cannot be identified by what the graph does with them"
        )
    return {head: heads[head] for head in names}


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


def _classify(graph: NodeGraph, name: str, channels: int, *, is_single: bool) -> str:
    """Return the head that a convolution must be, "" if ambiguous."""
    below = {graph.nodes[each].op for each in graph.below(name)}
    match channels:
        case 1:
            return "center" if ("arg_max" if is_single else "max_pool") in below else ""
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
