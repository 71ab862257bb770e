"""Makes a frozen TensorFlow graph of a TensorFlow.js graph model: its weights put in, what was fused taken apart."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError, one_line
from edge.graph.nodes import CONVOLUTIONS, NodeGraph
from tools.convert.graph.axes import spell_out_new_axes
from tools.convert.graph.frozen import FrozenGraph
from tools.convert.workstation import load_tensorflow

__all__ = ["unfuse"]

KEPT = ("T", "strides", "padding", "dilations", "data_format")
"""Attributes of a convolution."""


def unfuse(model: NodeGraph, name: str) -> FrozenGraph:
    """Return the frozen graph of a graph model of MoveNet MultiPose.

    Args:
        model: as `edge.graph` has read and checked it.
        name: how messages name the model.

    Raises:
        UnavailableError: no TensorFlow.
        ModelError: TensorFlow does not know the graph.
    """
    tf = load_tensorflow()
    json_format = importlib.import_module("google.protobuf.json_format")  # comes with TensorFlow
    filters = {node.inputs[1] for node in model.nodes.values() if node.op in CONVOLUTIONS}
    try:
        tree = json.loads(Path(model.origin).read_bytes())["modelTopology"]
        published = json_format.ParseDict({"node": tree["node"]}, tf.compat.v1.GraphDef())
        graph = tf.compat.v1.GraphDef()
        for node in published.node:
            if node.op == "Const":
                value = _value(model, node.name, is_filter=node.name in filters)
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
            graph.node.extend(_parts(tf, node) if "Fused" in node.op else [node])
        (output,) = (node for node in graph.node if node.op == "Identity" and not model.consumers(node.name))
        spell_out_new_axes(graph)
        with tf.Graph().as_default():
            tf.graph_util.import_graph_def(graph, name="")
    except Exception as error:  # TensorFlow raises whatever its parsers raise
        raise ModelError(f"{name}: TensorFlow cannot read the graph model: {one_line(error)}") from error
    return FrozenGraph(graph, f"{output.name}:0", name)


def _value(model: NodeGraph, name: str, *, is_filter: bool) -> NDArray[Any]:
    """Return a constant as TensorFlow has it: float32, filters (h, w, I, O)."""
    value = model.nodes[name].value
    assert value is not None
    if value.dtype.kind == "f":
        value = value.astype(np.float32)
    return value.transpose(1, 2, 3, 0) if is_filter and value.ndim == 4 else value


def _parts(tf: Any, fused: Any) -> list[Any]:
    """Return convolution, bias and activation of a fused convolution; the last has its name."""
    image, kernel, bias = fused.input
    depthwise = fused.op.startswith("FusedDepthwise")
    node_def, kept = tf.compat.v1.NodeDef, {key: fused.attr[key] for key in KEPT}
    op = "DepthwiseConv2dNative" if depthwise else "Conv2D"
    steps = [node_def(name=f"{fused.name}/sum", op=op, input=[image, kernel], attr=kept)]
    for each in (name.decode() for name in fused.attr["fused_ops"].list.s):
        inputs = [steps[-1].name, bias] if each == "BiasAdd" else [steps[-1].name]
        steps.append(node_def(name=f"{fused.name}/{each}", op=each, input=inputs, attr={"T": fused.attr["T"]}))
    steps[-1].name = fused.name
    return steps
