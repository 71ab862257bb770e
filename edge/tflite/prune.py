"""Removes unused tensors, buffers and operator codes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["operands", "prune_unused"]


def operands(operators: Iterable[Any]) -> list[int]:
    """Return the indices of all tensors that operators use.

    Repeated where several operators use one; -1 stands for an optional tensor that is left out.
    """
    used: list[int] = []
    for op in operators:
        used += [*op.inputs, *op.outputs, *(() if op.intermediates is None else op.intermediates)]
    return used


def prune_unused(tree: Any) -> None:
    """Remove unused tensors, buffers and operator codes from a `ModelT`."""
    graph = tree.subgraphs[0]  # the only one: see `TfliteModel`
    tensors = _Renumbering([*graph.inputs, *graph.outputs, *operands(graph.operators)])
    graph.tensors = tensors.keep(graph.tensors)
    graph.inputs, graph.outputs = tensors.apply(graph.inputs), tensors.apply(graph.outputs)
    for op in graph.operators:
        op.inputs, op.outputs = tensors.apply(op.inputs), tensors.apply(op.outputs)
        op.intermediates = None if op.intermediates is None else tensors.apply(op.intermediates)
    for signature in tree.signatureDefs or ():
        for place in [*signature.inputs, *signature.outputs]:
            place.tensorIndex = tensors[place.tensorIndex]
    _prune_codes(tree)
    _prune_buffers(tree)


def _prune_codes(tree: Any) -> None:
    operators = tree.subgraphs[0].operators
    codes = _Renumbering(op.opcodeIndex for op in operators)
    tree.operatorCodes = codes.keep(tree.operatorCodes)
    for op in operators:
        op.opcodeIndex = codes[op.opcodeIndex]


def _prune_buffers(tree: Any) -> None:
    holders = [*tree.subgraphs[0].tensors, *(tree.metadata or ())]
    buffers = _Renumbering([0, *(holder.buffer for holder in holders)])  # buffer 0 is the empty one by convention
    tree.buffers = buffers.keep(tree.buffers)
    for holder in holders:
        holder.buffer = buffers[holder.buffer]


class _Renumbering:
    """Maps the kept items of a list to new indices without gaps, in their old order; -1 stays -1."""

    def __init__(self, kept: Iterable[int]) -> None:
        self._old = sorted({int(number) for number in kept} - {-1})
        self._new = {old: new for new, old in enumerate(self._old)} | {-1: -1}

    def __getitem__(self, old: int) -> int:
        return self._new[int(old)]

    def keep(self, items: list[Any]) -> list[Any]:
        return [items[number] for number in self._old]

    def apply(self, numbers: Iterable[int]) -> NDArray[np.int32]:
        return np.array([self[number] for number in numbers], np.int32)
