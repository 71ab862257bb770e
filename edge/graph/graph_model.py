"""Reads TensorFlow.js graph models: a JSON file, and its weights beside it.

The format is that of tensorflow.org/js ("graph-model"): a GraphDef as JSON, and a list of the weights in the order of
their bytes.
"""

import base64
import binascii
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError, ModelError
from edge.graph.nodes import CONVOLUTIONS, Node, NodeGraph

__all__ = ["OPS", "read_graph_model"]

MAX_JSON_BYTES = 8 << 20
MAX_WEIGHTS_BYTES = 64 << 20
MAX_NODES = 5000
MAX_RANK = 8
DTYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "bool": "|b1", "uint8": "|u1"}
OPS = {
    "Const": "constant",
    "Placeholder": "input",
    "Conv2D": "conv",
    "_FusedConv2D": "conv",
    "DepthwiseConv2dNative": "depthwise",
    "FusedDepthwiseConv2dNative": "depthwise",
    "Add": "add",
    "AddV2": "add",
    "AddN": "add",
    "Sub": "sub",
    "Mul": "mul",
    "RealDiv": "div",
    "Cast": "cast",
    "ResizeBilinear": "resize",
    "MaxPool": "max_pool",
    "ArgMax": "arg_max",
    "Maximum": "maximum",
    "Relu": "relu",
    "Less": "less",
    "Greater": "greater",
    "Exp": "exp",
    **dict.fromkeys(
        (
            "ExpandDims", "GatherNd", "GatherV2", "Identity", "Pack", "Reshape", "Slice", "Split", "Squeeze",
            "StridedSlice", "Transpose", "Unpack",
        ),
        "move",
    ),
}  # fmt: skip
"""The words of `edge.graph.nodes` for TensorFlow's operations; others keep their name."""
FUSED = {(): "none", ("BiasAdd",): "none", ("BiasAdd", "Relu"): "relu", ("BiasAdd", "Relu6"): "relu6"}
DAMAGES = (LookupError, TypeError, ValueError, AttributeError, binascii.Error, RecursionError, OverflowError)


def read_graph_model(path: Path) -> NodeGraph:
    """Read a graph model by its JSON file.

    Raises:
        InputError: a file is missing, cannot be read, or is no graph model.
        ModelError: it is damaged.
    """
    try:
        tree = json.loads(_content(path, MAX_JSON_BYTES))
        nodes = tree["modelTopology"]["node"]
        groups = tree["weightsManifest"]
    except OSError:  # InputError
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: no TensorFlow.js graph model (a JSON file with its topology)") from error
    try:
        graph = _graph(path, nodes, _weights(path, groups))
    except (ModelError, InputError):
        raise
    except DAMAGES as error:
        raise ModelError(f"{path}: the graph model is damaged (its tables do not fit together)") from error
    return NodeGraph(graph, str(path))


def _graph(path: Path, nodes: Any, weights: dict[str, NDArray[Any]]) -> dict[str, Node]:
    if len(nodes) > MAX_NODES:
        raise ModelError(f"{path}: {len(nodes)} operations, more than any MoveNet has")
    graph = {str(node["name"]): _node(path, node, weights) for node in nodes}
    filters = {node.inputs[1] for node in graph.values() if node.op in CONVOLUTIONS}
    graph = {name: _turned(node) if name in filters else node for name, node in graph.items()}
    for name in dict.fromkeys(each for node in graph.values() for each in node.inputs):
        operation, _, place = name.rpartition(":")
        if name not in graph and operation in graph and place.isdecimal():  # one of several outputs
            graph[name] = replace(graph[operation], place=int(place))
    for name, node in graph.items():
        if missing := set(node.inputs) - graph.keys():
            raise ModelError(f"{path}: damaged: '{name}' reads '{missing.pop()}', which is not there")
    return graph


def _content(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: a graph model is a .json file with its .bin beside it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise InputError(f"{path}: longer than {most >> 20} MB, no MoveNet")
    return content


def _weights(path: Path, groups: Any) -> dict[str, NDArray[Any]]:
    values: dict[str, NDArray[Any]] = {}
    for group in groups:
        names = [str(name) for name in group["paths"]]
        if any(Path(name).name != name for name in names):
            raise ModelError(f"{path}: damaged: its weights lie in another folder")
        content = b"".join(_content(path.with_name(name), MAX_WEIGHTS_BYTES) for name in names)
        offset = 0
        for entry in group["weights"]:
            value = _weight(path, entry, content, offset)
            values[str(entry["name"])] = value
            offset += value.nbytes
        if offset != len(content):
            raise ModelError(f"{path}: damaged: its weights have {len(content)} bytes; {offset} are described")
    return values


def _weight(path: Path, entry: Any, content: bytes, offset: int) -> NDArray[Any]:
    stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
    shape = [int(side) for side in entry["shape"]]
    if stored not in DTYPES or len(shape) > MAX_RANK or min(shape, default=0) < 0:
        raise ModelError(f"{path}: weights '{entry['name']}' are {stored} {shape}, which is not known here")
    dtype, count = np.dtype(DTYPES[stored]), math.prod(shape)
    if offset + count * dtype.itemsize > len(content):
        raise ModelError(f"{path}: damaged or truncated: its weights end before '{entry['name']}'")
    return np.frombuffer(content, dtype, count, offset).reshape(shape)


def _node(path: Path, node: Any, weights: dict[str, NDArray[Any]]) -> Node:
    name, op = str(node["name"]), str(node["op"])
    kind, attr = OPS.get(op, op), node.get("attr", {})
    inputs = tuple(str(each).removesuffix(":0") for each in node.get("input", ()) if not str(each).startswith("^"))
    if kind == "constant":
        if name not in weights:
            raise ModelError(f"{path}: damaged: the weights of '{name}' are missing")
        return Node(kind, value=weights[name])
    if kind == "resize":
        return Node(
            kind, inputs, align_corners=_flag(attr, "align_corners"),
            half_pixel_centers=_flag(attr, "half_pixel_centers"),
        )  # fmt: skip
    if kind not in CONVOLUTIONS:
        dims = attr["shape"]["shape"]["dim"] if kind == "input" and "shape" in attr else ()
        return Node(
            kind, inputs, original=op, axis=_axis(attr), dtype=str(attr.get("DstT", {}).get("type", "")),
            shape=tuple(int(each["size"]) for each in dims),
        )  # fmt: skip
    fused = tuple(_text(each) for each in attr.get("fused_ops", {}).get("list", {}).get("s", ()))
    padding, dilations = _text(attr["padding"]["s"]), _numbers(attr, "dilations")
    if fused not in FUSED or padding not in ("SAME", "VALID") or set(dilations) - {1}:
        raise ModelError(f"{path}: convolution '{name}' is of a kind that is not known here")
    _, down, right, _ = _numbers(attr, "strides")
    return Node(kind, inputs, activation=FUSED[fused], stride=(down, right), padding=padding)


def _turned(node: Node) -> Node:
    """Return filters (h, w, I, O) and (h, w, C, 1) as TFLite has them."""
    return node if node.value is None or node.value.ndim != 4 else replace(node, value=node.value.transpose(3, 0, 1, 2))


def _axis(attr: Any) -> int:
    squeezed = attr.get("squeeze_dims", {}).get("list", {}).get("i", (0,))
    return int(attr.get("axis", {}).get("i", squeezed[0]))


def _flag(attr: Any, key: str) -> bool:
    return bool(attr.get(key, {}).get("b", False))


def _text(value: str) -> str:
    """Decode a string attribute, which is bytes in base64."""
    return base64.b64decode(value, validate=True).decode("ascii")


def _numbers(attr: Any, key: str) -> list[int]:
    return [int(each) for each in attr.get(key, {}).get("list", {}).get("i", (1, 1, 1, 1))]
