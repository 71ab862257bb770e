"""Runs a TensorFlow.js graph model in TensorFlow, as a reference for files that are made from it.

It reads JSON and weights with code of its own. Operations that TensorFlow.js fused are their parts again.
"""

import importlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["reference"]

DTYPES = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}
json_format = importlib.import_module("google.protobuf.json_format")  # comes with TensorFlow, without types
AttrValue, NodeDef = tf.compat.v1.AttrValue, tf.compat.v1.NodeDef


def reference(path: Path, *nodes: str) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """Return a function from pixels (1, H, W, 3) to the output of a graph model, then those of some of its nodes."""
    tree = json.loads(path.read_text())
    weights = _weights(path, tree["weightsManifest"])
    published = json_format.ParseDict(tree["modelTopology"], tf.compat.v1.GraphDef())
    graph = tf.compat.v1.GraphDef(versions=published.versions)
    for node in published.node:
        if node.op == "Const":
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
        graph.node.extend(_parts(node) if "Fused" in node.op else [node])

    wanted = [f"{name}:0" for name in ("Identity", *nodes)]

    def wire(image: Any) -> Any:
        return tf.graph_util.import_graph_def(graph, {"input:0": image}, wanted, name="")

    run = tf.function(wire, input_signature=[tf.TensorSpec((1, None, None, 3), tf.int32)], autograph=False)
    return lambda pixels: [np.asarray(each, np.float32) for each in run(tf.constant(pixels.astype(np.int32)))]


def _weights(path: Path, groups: Any) -> dict[str, NDArray[Any]]:
    values: dict[str, NDArray[Any]] = {}
    for group in groups:
        content = b"".join(path.with_name(name).read_bytes() for name in group["paths"])
        for entry in group["weights"]:
            dtype = np.dtype(DTYPES[entry.get("quantization", {}).get("dtype", entry["dtype"])])
            size = math.prod(entry["shape"]) * dtype.itemsize
            value = np.frombuffer(content[:size], dtype).reshape(entry["shape"])
            values[entry["name"]], content = value.astype(entry["dtype"]), content[size:]
    return values


def _parts(fused: Any) -> list[Any]:
    image, kernel, bias = fused.input
    kept = {key: fused.attr[key] for key in ("T", "strides", "padding", "dilations", "data_format")}
    op = "DepthwiseConv2dNative" if "Depthwise" in fused.op else "Conv2D"
    steps = [NodeDef(name=f"{fused.name}/sum", op=op, input=[image, kernel], attr=kept)]
    for each in (name.decode() for name in fused.attr["fused_ops"].list.s):
        inputs = [steps[-1].name, bias] if each == "BiasAdd" else [steps[-1].name]
        attr = {"T": AttrValue(type=tf.float32.as_datatype_enum)}
        steps.append(NodeDef(name=f"{fused.name}/{each}", op=each, input=inputs, attr=attr))
    steps[-1].name = fused.name
    return steps
