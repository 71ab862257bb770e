"""Drops from the tables of a TFLite file what its operators no longer use."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["operands", "sweep"]


def operands(operators: Iterable[Any]) -> list[int]:
    """Return every tensor that operators read or write, with repeats; -1 where an optional one is left out."""
    used: list[int] = []
    for op in operators:
        used += [*op.inputs, *op.outputs, *(() if op.intermediates is None else op.intermediates)]
    return used


def sweep(tree: Any) -> None:
    """Drop tensors, buffers and operator codes that nothing uses from a file (`ModelT`) of one graph."""
    graph = tree.subgraphs[0]
    tensors = _Renumbering([*graph.inputs, *graph.outputs, *operands(graph.operators)])
    graph.tensors = tensors.keep(graph.tensors)
    graph.inputs, graph.outputs = tensors.apply(graph.inputs), tensors.apply(graph.outputs)
    for op in graph.operators:
        op.inputs, op.outputs = tensors.apply(op.inputs), tensors.apply(op.outputs)
        op.intermediates = None if op.intermediates is None else tensors.apply(op.intermediates)
    for signature in tree.signatureDefs or ():
        for place in [*signature.inputs, *signature.outputs]:
            place.tensorIndex = tensors[place.tensorIndex]
    _sweep_codes(tree)
    _sweep_buffers(tree)


def _sweep_codes(tree: Any) -> None:
    operators = tree.subgraphs[0].operators
    codes = _Renumbering(op.opcodeIndex for op in operators)
    tree.operatorCodes = codes.keep(tree.operatorCodes)
    for op in operators:
        op.opcodeIndex = codes[op.opcodeIndex]


def _sweep_buffers(tree: Any) -> None:
    holders = [*tree.subgraphs[0].tensors, *(tree.metadata or ())]
    buffers = _Renumbering([0, *(holder.buffer for holder in holders)])  # buffer 0 is the empty one by convention
    tree.buffers = buffers.keep(tree.buffers)
    for holder in holders:
        holder.buffer = buffers[holder.buffer]


class _Renumbering:
    """New numbers, without gaps, for those of a list's items that are kept, in their old order."""

    def __init__(self, kept: Iterable[int]) -> None:
        self._old = sorted({int(number) for number in kept} - {-1})
        self._new = {old: new for new, old in enumerate(self._old)} | {-1: -1}

    def __getitem__(self, old: int) -> int:
        return self._new[int(old)]

    def keep(self, items: list[Any]) -> list[Any]:
        return [items[number] for number in self._old]

    def apply(self, numbers: Iterable[int]) -> NDArray[np.int32]:
        return np.array([self[number] for number in numbers], np.int32)
