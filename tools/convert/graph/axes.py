"""Rewrites slices that add axes (`x[:, None]`).

TFLite has no operator for them when sizes are open.
"""

from collections.abc import Iterator
from typing import Any

from tools.convert.graph.frozen import Links
from tools.convert.workstation import load_tensorflow

__all__ = ["spell_out_new_axes"]


def spell_out_new_axes(graph: Any) -> None:
    """Replace StridedSlices that only add axes by ExpandDims, in place.

    See tensorflow.org/api_docs/python/tf/strided_slice for the masks. The last node keeps the slice's name.
    """
    links = Links(graph)
    for node in [node for node in graph.node if node.op == "StridedSlice" and node.attr["new_axis_mask"].i]:
        axes = _new_axes(node, _length(links, node))
        if axes is not None:
            _expand(graph, node, axes)


def _length(links: Links, node: Any) -> int:
    """Return the number of entries of a slice, 0 if not constant.

    Of `x[a, b, c]`: 3.
    """
    begin = links.nodes[links.inputs(node.name)[1]]
    sides = begin.attr["value"].tensor.tensor_shape.dim
    return int(sides[0].size) if begin.op == "Const" and sides else 0


def _new_axes(node: Any, length: int) -> list[int] | None:
    """Return the axes to add in order, None if the slice also cuts."""
    new, whole, dots = [], [], []
    for bit in (1 << entry for entry in range(length)):
        is_new, is_dots = (bool(node.attr[mask].i & bit) for mask in ("new_axis_mask", "ellipsis_mask"))
        new.append(is_new)
        dots.append(is_dots)
        whole.append(is_new or is_dots or bool(node.attr["begin_mask"].i & node.attr["end_mask"].i & bit))
    if not all(whole) or not length:
        return None
    middle = dots.index(True) if True in dots else length
    before = [entry for entry in range(middle) if new[entry]]
    # Behind `...` only the distance to the end is known; the last axis goes in first.
    behind = [entry - length for entry in reversed(range(middle + 1, length)) if new[entry]]
    return before + behind


def _expand(graph: Any, node: Any, axes: list[int]) -> None:
    tf = load_tensorflow()
    kind = tf.as_dtype(node.attr["T"].type)
    made = list(_expansions(node.name, node.input[0], axes))
    node.Clear()
    for place, (name, given, axis) in enumerate(made, 1):
        added = node if place == len(made) else graph.node.add()
        added.name, added.op = name, "ExpandDims"
        added.input[:] = [given, _constant(graph, f"{name}/dim", axis)]
        added.attr["T"].type = kind.as_datatype_enum
        added.attr["Tdim"].type = tf.int32.as_datatype_enum


def _expansions(name: str, value: str, axes: list[int]) -> Iterator[tuple[str, str, int]]:
    """Yield (name, input, axis) per expansion; the last keeps the slice's name."""
    for count, axis in enumerate(axes, 1):
        step = name if count == len(axes) else f"{name}/axis{count}"
        yield step, value, axis
        value = step


def _constant(graph: Any, name: str, value: int) -> str:
    """Add a constant and return its name."""
    tf = load_tensorflow()
    node = graph.node.add()
    node.name, node.op = name, "Const"
    node.attr["dtype"].type = tf.int32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.int32))
    return name
