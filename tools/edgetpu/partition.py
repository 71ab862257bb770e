"""Partitions a graph as the Edge TPU compiler does: once, from the start.

By its documentation (coral.ai/docs/edgetpu/models-intro, "Compiling") it divides a graph once only: an operator that
is not supported and all that come after it run on the CPU. "After" is meant by dependency and not by position: in
Google's compiled MoveNet Lightning the heads that stand after the first ARG_MAX in the file, without using it, are on
the Edge TPU. And what runs before the first operator that is supported stays outside: there, the CAST and QUANTIZE of
the input.

So an operator gets a stage, which only grows from its inputs to its outputs: 0 while nothing was supported yet, 1 in
the first partition, 2 when the CPU took over, 3 where a second partition would begin, and so on. Stage 1 is the Edge
TPU's. This rule gives the 98 operators inside and the 59 outside of that compiled file.
"""

from dataclasses import dataclass

import numpy as np

from tools.edgetpu.graph import EDGETPU_OP, Graph
from tools.edgetpu.rules import Blocker, refused_version, why_not

__all__ = ["AFTER", "BEFORE", "STOP", "TPU", "Plan", "plan"]

TPU, BEFORE, STOP, AFTER = "Edge TPU", "CPU, before", "CPU, stops", "CPU, after"
"""Where an operator runs; STOP is one that takes what the Edge TPU made and cannot run there itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Places of a graph's operators, forecast or compiled.

    Attributes:
        graph: the graph.
        places: where each operator runs, one of TPU, BEFORE, STOP, AFTER.
        blockers: per operator why it cannot run on the Edge TPU; None for one that could, wherever it runs.
        possible_partitions: how many partitions the compiler could make with its option for several (`-a`).
        is_compiled: the file comes from the compiler.
    """

    graph: Graph
    places: tuple[str, ...]
    blockers: tuple[Blocker | None, ...]
    possible_partitions: int
    is_compiled: bool = False

    @property
    def tpu_ops(self) -> int:
        """Number of operators on the Edge TPU; a compiled partition counts once."""
        return self.places.count(TPU)

    @property
    def partitions(self) -> int:
        """Number of partitions that run on the Edge TPU."""
        return self.tpu_ops if self.is_compiled else min(self.tpu_ops, 1)


def plan(graph: Graph) -> Plan:
    """Return where each operator of a graph runs."""
    if any(op.kind == EDGETPU_OP for op in graph.ops):
        return _compiled(graph)
    refused = tuple(refused_version(op) for op in graph.ops)
    if any(refused):
        return Plan(graph, (BEFORE,) * len(graph.ops), refused, 0)
    blockers = tuple(why_not(op, graph) for op in graph.ops)
    supported = [blocker is None for blocker in blockers]
    stages = _stages(graph, supported)
    return Plan(graph, _places(graph, stages, supported), blockers, len({stage for stage in stages if stage % 2}))


def _compiled(graph: Graph) -> Plan:
    is_partition = [op.kind == EDGETPU_OP for op in graph.ops]
    places = list(_places(graph, _stages(graph, is_partition), is_partition))
    for at in np.flatnonzero(is_partition):
        places[at] = TPU  # also those that were compiled as further partitions
    blockers = tuple(None if op.kind == EDGETPU_OP else why_not(op, graph) for op in graph.ops)
    return Plan(graph, tuple(places), blockers, sum(is_partition), is_compiled=True)


def _stages(graph: Graph, supported: list[bool]) -> list[int]:
    """Return the stage of each operator; odd ones are partitions."""
    made_at: dict[int, int] = {}  # stage of the operator that makes a tensor
    stages = []
    for op, is_supported in zip(graph.ops, supported, strict=True):
        # A stage never goes back: what depends on the CPU stays there, or in a later partition.
        latest = max((made_at.get(index, 0) for index in op.inputs), default=0)
        stage = latest if (latest % 2 == 1) == is_supported else latest + 1
        stages.append(stage)
        made_at.update(dict.fromkeys(op.outputs, stage))
    return stages


def _places(graph: Graph, stages: list[int], supported: list[bool]) -> tuple[str, ...]:
    made_on_tpu = {index for op, stage in zip(graph.ops, stages, strict=True) if stage == 1 for index in op.outputs}
    stops = [
        not is_supported and not made_on_tpu.isdisjoint(op.inputs)
        for op, is_supported in zip(graph.ops, supported, strict=True)
    ]
    return tuple(_place(stage, is_stop) for stage, is_stop in zip(stages, stops, strict=True))


def _place(stage: int, is_stop: bool) -> str:
    if stage < 2:
        return TPU if stage else BEFORE
    return STOP if is_stop else AFTER
