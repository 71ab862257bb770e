"""Rebuilds the published MoveNet MultiPose graph, with seeded weights, from its weightless topology.

The topology is TensorFlow.js' GraphDef JSON: every node of the published graph with its name, attributes and inputs,
and every constant with its shape and type, but without a value. Three things differ from the published SavedModel:
an operation that TensorFlow.js fused is written as its parts again, where the last keeps the name; batch normalization,
which TensorFlow.js folded into the weights, stays folded unless it is asked for; and the weights come from a seed,
scaled so that activations stay sane and that the maps look as if there were people. The decode below the heads is the
published one, node by node.
"""

import importlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from workstation.published_constants import constant

__all__ = ["HEADS", "build", "parameters"]

AttrValue, GraphDef, NodeDef = tf.compat.v1.AttrValue, tf.compat.v1.GraphDef, tf.compat.v1.NodeDef
FLOAT = AttrValue(type=tf.float32.as_datatype_enum)
json_format = importlib.import_module("google.protobuf.json_format")  # comes with TensorFlow, without types

# Node of each head, mean and spread of its map here, in logits or cells. A few cells of `center` are sure; boxes are
# about 20 cells; the mean regression puts the keypoints on a spiral around the center.
SPIRAL = [(r * math.sin(r), r * math.cos(r)) for r in np.linspace(1, 7, 17)]
HEADS: dict[str, tuple[str, Any, float]] = {
    "center": ("center_0/conv2d_4/BiasAdd", -4, 1.5),
    "heatmap": ("kpt_heatmap_0/conv2d_7/BiasAdd", -1, 1.5),
    "regression": ("kpt_regress_0/conv2d_8/BiasAdd", np.ravel(SPIRAL), 0.7),
    "offset": ("kpt_offset_0/conv2d_9/BiasAdd", 0.5, 0.2),
    "box_scale": ("box_scale_0/conv2d_5/BiasAdd", 20, 3),
    "box_offset": ("box_offset_0/conv2d_6/BiasAdd", 0, 0.5),
}

SCOPE = "StatefulPartitionedCall/"  # every load of a SavedModel puts this before the names again
DEPTHWISE = {"FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"}
FOLDED = "_bn_offset"  # ends the name of a bias that a batch normalization became
CONVOLUTIONS = DEPTHWISE | {"_FusedConv2D"}
Variables = Mapping[str, Any]  # by the name of the node that reads it


def build(topology: Path, folder: Path, seed: int = 0, *, batch_norm: bool = False) -> None:
    """Write the SavedModel: `input` int32 (1, H, W, 3), H and W open, to `output_0` float32 (1, 6, 56).

    Args:
        topology: the TensorFlow.js model JSON.
        folder: where the SavedModel goes.
        seed: of the weights; the same seed gives the same weights.
        batch_norm: normalize where the published SavedModel does, instead of a bias there.
    """
    published = _read(topology)
    graph = _expanded(published, batch_norm=batch_norm)
    model = tf.Module()
    model.weights = _weights(published, np.random.default_rng(seed), batch_norm=batch_norm)
    _settle(published, model.weights, _heads(graph, model.weights)(_picture(seed)))
    model.serve = _function(lambda image: {"output_0": _rows(graph, model.weights, image)})
    tf.saved_model.save(model, str(folder), signatures=model.serve)


def parameters(topology: Path) -> int:
    """Return how many numbers the weights and biases of the topology are."""
    graph = _read(topology)
    names = _weight_names(graph)
    return sum(math.prod(_shape(node)) for node in graph.node if node.name in names)


def _read(topology: Path) -> Any:
    graph = json_format.ParseDict(json.loads(topology.read_text())["modelTopology"], GraphDef())
    for node in graph.node:
        node.name = node.name.replace(SCOPE, "")
        node.input[:] = [name.replace(SCOPE, "") for name in node.input]
    return graph


def _weight_names(graph: Any) -> set[str]:
    return {name for node in graph.node if node.op in CONVOLUTIONS for name in node.input[1:]}


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(dim.size for dim in node.attr["value"].tensor.tensor_shape.dim)


def _weights(graph: Any, random: np.random.Generator, *, batch_norm: bool) -> Variables:
    """Draw weights that keep the variance of activations (He et al. 2015, eq. 10), and small biases."""
    shapes = {node.name: _shape(node) for node in graph.node if node.op == "Const"}
    weights = {}
    for node in (node for node in graph.node if node.op in CONVOLUTIONS):
        kernel, *biases = node.input[1:]
        gain = 2 if any("Relu" in op for op in _fused(node)) else 1  # a ReLU loses half of what it gets
        fan_in = math.prod(shapes[kernel][: 2 if node.op in DEPTHWISE else 3])
        weights[kernel] = random.normal(0, math.sqrt(gain / fan_in), shapes[kernel])
        for bias in biases:
            weights[bias] = random.normal(0, 0.1, shapes[bias])
            if batch_norm and bias.endswith(FOLDED):
                weights |= _moments(bias, random, shapes[bias])
    return {name: tf.Variable(value, dtype=tf.float32, name=name) for name, value in weights.items()}


def _moments(bias: str, random: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    """Draw the rest of a batch normalization, which changes the spread of what it gets by 10 % or so."""
    variance = random.uniform(0.5, 2, shape)
    gamma = np.sqrt(variance) * random.uniform(0.9, 1.1, shape)
    return dict(zip(_normalizers(bias), (gamma, random.normal(0, 0.1, shape), variance), strict=True))


def _normalizers(bias: str) -> list[str]:
    return [f"{bias.removesuffix(FOLDED)}_bn/{name}" for name in ("gamma", "mean", "variance")]


def _settle(graph: Any, weights: Variables, maps: Mapping[str, Any]) -> None:
    """Scale and shift the last convolution of each head so that its map has the mean and the spread of `HEADS`."""
    nodes = {node.name: node for node in graph.node}
    for head, (name, mean, spread) in HEADS.items():
        channels = maps[head].numpy().reshape(-1, maps[head].shape[-1])  # (h * w, C)
        gain = spread / channels.std(0)
        kernel, bias = (weights[name] for name in nodes[name].input[1:])
        kernel.assign(kernel * gain)
        bias.assign((bias - channels.mean(0)) * gain + mean)


def _picture(seed: int) -> Any:
    """Make int32 (1, 256, 256, 3) with blobs and edges of every size, as photographs have them."""
    random = np.random.default_rng(seed)
    noise = [random.uniform(-1, 1, (1, side, side, 3)) for side in (2, 4, 8, 16, 32, 64)]
    mixed = sum(np.asarray(tf.image.resize(layer, (256, 256), method="nearest")) for layer in noise)
    return tf.cast(tf.clip_by_value(128 + 60 * mixed, 0, 255), tf.int32)


def _function(body: Callable[[Any], Any]) -> Any:
    image = tf.TensorSpec((1, None, None, 3), tf.int32, name="input")
    return tf.function(body, input_signature=[image], autograph=False)


def _rows(graph: Any, weights: Variables, image: Any) -> Any:
    (rows,) = _wire(graph, weights, image, ["concat_1"])
    rows.set_shape((1, 6, 56))
    return rows


def _heads(graph: Any, weights: Variables) -> Any:
    names = [name for name, _, _ in HEADS.values()]
    return _function(lambda image: dict(zip(HEADS, _wire(graph, weights, image, names), strict=True)))


def _wire(graph: Any, weights: Variables, image: Any, outputs: Sequence[str]) -> list[Any]:
    """Import the graph into the function that is being traced, fed by `image` and the variables."""
    capture = tf.compat.v1.get_default_graph().capture
    given = {f"{name}/resource:0": capture(weight.handle) for name, weight in weights.items()} | {"input:0": image}
    wanted = [f"{name}:0" for name in outputs]
    return list(tf.graph_util.import_graph_def(graph, input_map=given, return_elements=wanted, name=""))


def _expanded(published: Any, *, batch_norm: bool) -> Any:
    """Return the graph in plain operations, with its small constants and with variables for its weights."""
    weights = _weight_names(published)
    graph = GraphDef()
    for node in published.node:
        if node.op == "Const":
            graph.node.append(_read_variable(node.name) if node.name in weights else _filled(node))
        elif node.name not in {"input", "Identity"}:
            graph.node.extend(_parts(node, batch_norm=batch_norm) if "Fused" in node.op else [node])
    return graph


def _read_variable(name: str) -> Any:
    return NodeDef(name=name, op="ReadVariableOp", input=[f"{name}/resource"], attr={"dtype": FLOAT})


def _filled(node: Any) -> Any:
    """Return a constant with the value that the topology leaves out."""
    dtype = tf.as_dtype(node.attr["dtype"].type).as_numpy_dtype
    value = constant(node.name.removeprefix("ConstantFolding/"), dtype, _shape(node))
    attr = {"dtype": node.attr["dtype"], "value": AttrValue(tensor=tf.make_tensor_proto(value))}
    return NodeDef(name=node.name, op="Const", attr=attr)


def _parts(fused: Any, *, batch_norm: bool) -> list[Any]:
    """Return convolution, bias and activation of a fused convolution; the last has its name."""
    image, kernel, bias = fused.input
    steps = [_convolution(fused, image, kernel)]
    for op in _fused(fused):
        if op != "BiasAdd":
            steps.append(NodeDef(op=op, input=[steps[-1].name], attr={"T": FLOAT}))
        elif batch_norm and bias.endswith(FOLDED):
            steps += _batch_norm(steps[-1].name, bias)
        else:
            steps.append(NodeDef(op=op, input=[steps[-1].name, bias], attr={"T": FLOAT}))
        steps[-1].name = f"{fused.name}/{op}"
    steps[-1].name = fused.name
    return steps


def _batch_norm(image: str, bias: str) -> list[Any]:
    """Return what reads the variables of a batch normalization, and the normalization."""
    gamma, *moments = _normalizers(bias)
    attr = {"T": FLOAT, "U": FLOAT, "epsilon": AttrValue(f=1e-3), "is_training": AttrValue(b=False)}
    reads = [_read_variable(name) for name in (gamma, *moments)]
    return [*reads, NodeDef(op="FusedBatchNormV3", input=[image, gamma, bias, *moments], attr=attr)]


def _fused(node: Any) -> list[str]:
    # Reading an attribute that is not there would add it.
    return [op.decode() for op in node.attr["fused_ops"].list.s] if "fused_ops" in node.attr else []


def _convolution(fused: Any, image: str, kernel: str) -> Any:
    op = "DepthwiseConv2dNative" if fused.op in DEPTHWISE else "Conv2D"
    name = re.sub(r"(/ReadVariableOp(_1)?|_weights)$", "", kernel)  # what read the kernel before the fusion
    name = f"{name}/{op}" if name == fused.name else name
    kept = {key: fused.attr[key] for key in ("T", "strides", "padding", "dilations", "data_format")}
    return NodeDef(name=name, op=op, input=[image, kernel], attr=kept)
