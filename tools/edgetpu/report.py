"""A plan as JSON, and as text for people."""

import textwrap
from collections import Counter
from typing import Any

from tools.edgetpu.graph import EDGETPU_OP, Graph, Op
from tools.edgetpu.partition import AFTER, BEFORE, STOP, TPU, Plan
from tools.edgetpu.rules import FIX_SIZE, doubt

__all__ = ["CACHE_BYTES", "summary", "text"]

CACHE_BYTES = 8_000_000
"""About the SRAM that keeps weights on the chip (coral.ai/docs/edgetpu/compiler, "Parameter data caching")."""
SURELY_CACHED_BYTES = 6_000_000
"""The program takes its part: compiler logs show 6.4 to 8.0 MB (6.1 to 7.6 MiB) that were left for weights."""

COLUMNS = 80
LEFT_BY_COMPILER = "left on the CPU by the compiler"
PLACES = (BEFORE, TPU, STOP, AFTER)
SUPPORTED = "supported, but the only partition has ended before"


def summary(plan: Plan) -> dict[str, Any]:
    """Return a plan's figures as JSON values.

    `blockers` are the operators that cannot run on the Edge TPU.
    """
    graph, ops = plan.graph, plan.graph.ops
    on_tpu = [op for op, place in zip(ops, plan.places, strict=True) if place == TPU]
    return {
        "ops": len(ops),
        "tpu_ops": plan.tpu_ops,
        "cpu_ops": len(ops) - plan.tpu_ops,
        "partitions": plan.partitions,
        "possible_partitions": plan.possible_partitions,
        "compiled": plan.is_compiled,
        "weights_bytes": _weights_bytes(graph, ops),
        "tpu_weights_bytes": _weights_bytes(graph, on_tpu),
        "cache_bytes": CACHE_BYTES,
        "blockers": [
            {
                "op": op.kind,
                "name": graph.name(op),
                "index": at,
                "where": plan.places[at],
                "why": _why(plan, at),
                "do": blocker.advice if blocker else "",
            }
            for at, (op, blocker) in enumerate(zip(ops, plan.blockers, strict=True))
            if blocker or (plan.is_compiled and plan.places[at] != TPU)
        ],
        "doubts": [
            {"op": op.kind, "name": graph.name(op), "why": why}
            for op in on_tpu
            if (why := doubt(op, graph)) is not None
        ],
    }


def text(name: str, plan: Plan) -> str:
    """Return the plan as text: headline, strip, table, weights, advice."""
    parts = [_headline(name, plan), _strip(plan), _table(plan), _weights(plan), *_doubts(plan), *_advice(plan)]
    return "\n".join(parts)


def _headline(name: str, plan: Plan) -> str:
    total = len(plan.places)
    if plan.is_compiled:
        return f"{name}: compiled: {_count(plan.partitions, EDGETPU_OP)} and {total - plan.tpu_ops} CPU ops"
    return (
        f"{name}: {plan.tpu_ops} of {total} ops on the Edge TPU, in {_count(plan.partitions, 'partition')}; "
        f"{total - plan.tpu_ops} on the CPU"
    )


def _strip(plan: Plan) -> str:
    letters = [
        "T" if place == TPU else "s" if blocker is None and not plan.is_compiled else "c"
        for place, blocker in zip(plan.places, plan.blockers, strict=True)
    ]
    rows = textwrap.wrap("".join(letters), COLUMNS - 7)
    lines = [f"{row * (COLUMNS - 7):5}  {letters}" for row, letters in enumerate(rows)]
    return "\n".join(["", *lines, "       T Edge TPU   c CPU   s CPU, though supported", ""])


def _table(plan: Plan) -> str:
    groups = Counter(
        (PLACES.index(place), op.kind, "" if place == TPU else _why(plan, at))
        for at, (op, place) in enumerate(zip(plan.graph.ops, plan.places, strict=True))
    )
    rows = [(PLACES[place], kind, str(count), why) for (place, kind, why), count in sorted(groups.items())]
    width = max(len(kind) for _, kind, _, _ in rows)
    head = f"{'where':12} {'op':{width}} {'count':>5}  why"
    return "\n".join(
        [head, *(f"{place:12} {kind:{width}} {count:>5}  {why}".rstrip() for place, kind, count, why in rows)]
    )


def _why(plan: Plan, at: int) -> str:
    blocker = plan.blockers[at]
    if blocker is not None:
        return blocker.why
    return LEFT_BY_COMPILER if plan.is_compiled else SUPPORTED


def _weights(plan: Plan) -> str:
    figures = summary(plan)
    size = figures["tpu_weights_bytes"]
    if not plan.tpu_ops:
        return f"\nweights: {figures['weights_bytes'] / 1e6:.2f} MB, none of them on the Edge TPU"
    if size <= SURELY_CACHED_BYTES:
        fits = "they fit"
    else:
        fits = "they may not fit whole" if size <= CACHE_BYTES else "the rest is sent over the bus with every frame"
    what = "weights and program" if plan.is_compiled else "weights"
    return f"\n{what} on the Edge TPU: {size / 1e6:.2f} MB of about {CACHE_BYTES / 1e6:.0f} MB of cache: {fits}"


def _doubts(plan: Plan) -> list[str]:
    return [f"in doubt: {each['op']} {each['name']}: {each['why']}" for each in summary(plan)["doubts"]]


def _advice(plan: Plan) -> list[str]:
    """Return advice for the operators that block others or stand before them."""
    if plan.is_compiled:
        return []
    first: dict[str, str] = {}
    for op, place, blocker in zip(plan.graph.ops, plan.places, plan.blockers, strict=True):
        if blocker is not None and place in {BEFORE, STOP}:
            first.setdefault(blocker.advice, op.kind)
    if any(-1 in tensor.shape for tensor in plan.graph.tensors):
        first[FIX_SIZE] = "sizes that are not fixed"
    return [f"to do about {kind}: {advice}" for advice, kind in first.items()]


def _weights_bytes(graph: Graph, ops: list[Op] | tuple[Op, ...]) -> int:
    used = {index for op in ops for index in op.inputs if index >= 0}
    return sum(graph.tensors[index].size_bytes for index in used) + sum(op.custom_bytes for op in ops)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
