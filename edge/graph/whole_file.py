"""Reads whole MoveNet graphs from TFLite files, as Google publishes them in fp16."""

from pathlib import Path
from typing import Any

from edge.errors import ModelError
from edge.graph.network import ACTIVATIONS, PADDINGS
from edge.graph.nodes import CONVOLUTIONS, Node, NodeGraph
from edge.tflite.file import TfliteModel, load

__all__ = ["read_whole_file"]

OPS = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "ADD_N": "add",
    "MAX_POOL_2D": "max_pool",
    "RESIZE_BILINEAR": "resize",
    **dict.fromkeys(
        (
            "EXPAND_DIMS", "GATHER", "GATHER_ND", "PACK", "RESHAPE", "SLICE", "SPLIT", "SQUEEZE", "STRIDED_SLICE",
            "TRANSPOSE", "UNPACK",
        ),
        "move",
    ),
}  # fmt: skip
"""The words of `edge.graph.nodes`; other operators keep their name, in lower case."""
DAMAGES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OverflowError)


def read_whole_file(path: Path) -> NodeGraph:
    """Read the graph of a TFLite file.

    Raises:
        InputError: no such file, it cannot be read, or is not a TFLite file.
        ModelError: it is damaged.
    """
    model = load(path)
    try:
        return NodeGraph(dict(_nodes(model)), str(path))
    except ModelError:
        raise
    except DAMAGES as error:
        raise ModelError(f"{path}: the model file is damaged (its tables do not fit together)") from error


def _nodes(model: TfliteModel) -> Any:
    made = {int(tensor) for op in model.graph.operators for tensor in op.outputs}
    for tensor in range(len(model.graph.tensors)):
        if tensor not in made:
            value = model.constant(tensor)
            yield _name(tensor), Node("input") if value is None else Node("constant", value=value)
    for op in model.graph.operators:
        node = _node(model, op)
        for tensor in op.outputs:
            yield _name(int(tensor)), node


def _node(model: TfliteModel, op: Any) -> Node:
    name, inputs = model.op_name(op), [int(tensor) for tensor in op.inputs if tensor >= 0]
    kind, options = OPS.get(name, name.lower()), op.builtinOptions
    if name == "DEQUANTIZE" and model.dtype(inputs[0]) == "float16":
        return Node("constant", value=model.constant(inputs[0]))
    names = tuple(map(_name, inputs))
    if kind == "resize":
        return Node(
            kind, names, align_corners=bool(options.alignCorners), half_pixel_centers=bool(options.halfPixelCenters)
        )
    if kind not in CONVOLUTIONS and name != "ADD":
        return Node(kind, names)
    activation = ACTIVATIONS.get(options.fusedActivationFunction)
    dilated = kind in CONVOLUTIONS and (options.dilationHFactor, options.dilationWFactor) != (1, 1)
    if activation is None or dilated:
        raise ModelError(f"{model.origin}: '{model.name(int(op.outputs[0]))}' is of a kind that is not known here")
    if kind == "add":
        return Node(kind, names, activation=activation)
    stride = int(options.strideH), int(options.strideW)
    return Node(kind, names, activation=activation, stride=stride, padding=PADDINGS[options.padding])


def _name(tensor: int) -> str:
    return f"tensor {tensor}"
