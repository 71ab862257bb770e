"""A computation graph of any format, as plain values."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

__all__ = ["CONVOLUTIONS", "Node", "NodeGraph"]

CONVOLUTIONS = frozenset({"conv", "depthwise"})


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
    """

    op: str
    inputs: tuple[str, ...] = ()
    value: NDArray[Any] | None = None
    activation: str = "none"
    stride: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    align_corners: bool = False
    half_pixel_centers: bool = False


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


def _reach(start: Iterable[str], step: Callable[[str], Iterable[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        for name in step(waiting.pop()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen
