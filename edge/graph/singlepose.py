"""MoveNet SinglePose as it was published: the network, and the decode of one person operation by operation."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.graph.float_file import add_network
from edge.graph.nodes import SINGLE_HEADS, Node, NodeGraph, find_heads
from edge.graph.published import Cut, cut_network
from edge.graph.tflite_file import TfliteFile
from edge.tflite.schema import schema

__all__ = ["POSES_NAME", "SinglePose", "cut_singlepose", "write_singlepose"]

POSES_NAME = "output_0"
"""Name of the published model's output."""
POSES_SHAPE = (1, 1, 17, 3)
MAX_VALUES = 1 << 22
"""Of all inputs of an operation; the maps of Thunder have 140,000."""
Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class SinglePose:
    """A published SinglePose network and its decode; its input has a size of its own.

    Attributes:
        graph: all of it.
        heads: node by head.
        cut: what is above the heads.
        output: the node of the poses, (1, 1, 17, 3).
    """

    graph: NodeGraph
    heads: Mapping[str, str]
    cut: Cut
    output: str

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the input in pixels."""
        _, height, width, _ = self.cut.network.shapes[self.cut.network.input]
        return width, height


def cut_singlepose(graph: NodeGraph) -> SinglePose:
    """Find network and decode of a SinglePose graph model.

    Raises:
        ModelError: the graph is another one.
    """
    heads = find_heads(graph)
    inputs = [node for node in graph.nodes.values() if node.op == "input"]
    if len(heads) != len(SINGLE_HEADS):
        raise ModelError(f"{graph.origin}: not MoveNet SinglePose: it has {len(heads)} heads")
    if not all(node.original for node in inputs):
        raise ModelError(
            f"{graph.origin}: a TFLite file of MoveNet SinglePose, which runs as it is (--model FILE); edge-pose "
            "models derive makes heads of the int8 one"
        )
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[::3] != (1, 3):
        raise ModelError(
            f"{graph.origin}: not MoveNet SinglePose: its input is {[list(each.shape) for each in inputs]}"
        )
    lasts = [
        name for name, node in graph.nodes.items() if node.op not in ("constant", "input") and not graph.consumers(name)
    ]
    if len(lasts) != 1:
        raise ModelError(f"{graph.origin}: not MoveNet SinglePose: it has {len(lasts)} outputs")
    _, height, width, _ = inputs[0].shape
    return SinglePose(graph, heads, cut_network(graph, heads, (width, height)), lasts[0])


def write_singlepose(single: SinglePose, *, half: bool = False) -> bytes:
    """Return a TFLite file from uint8 pixels to poses.

    Args:
        single: the network.
        half: store its weights as float16.

    Raises:
        ModelError: the decode has an operation that is not known here, or gives no poses.
    """
    file = TfliteFile()
    image, places = add_network(file, single.cut.network, single.cut.scale, single.cut.shift, half=half)
    network = single.cut.network
    maps = {
        node: (places[network.heads[head]], np.zeros(network.shapes[network.heads[head]], np.float32))
        for head, node in single.heads.items()
    }
    poses = _Decode(file, single.graph, maps).add(single.output)
    return file.content([image], {POSES_NAME: poses})


class _Decode:
    """Adds the operations below the heads to a file.

    Shapes come from computing with arrays of zeros.

    Args:
        file: to which they are added.
        graph: they are taken from.
        maps: tensor and zeros of each head, by its node.
    """

    def __init__(self, file: TfliteFile, graph: NodeGraph, maps: Mapping[str, tuple[int, Values]]) -> None:
        self._file, self._graph = file, graph
        self._tensors = {node: tensor for node, (tensor, _) in maps.items()}
        self._values = {node: values for node, (_, values) in maps.items()}

    def add(self, output: str) -> int:
        """Add what `output` needs, and return its tensor."""
        for name in self._graph.in_order(output, lambda each: self._graph.nodes[each].inputs, self._tensors):
            node = self._graph.nodes[name]
            if node.op == "constant":
                self._add_constant(name, node)
            else:
                self._add_operation(name, node)
        made = self._values[output]
        if made.shape != POSES_SHAPE or made.dtype != np.float32:
            raise ModelError(
                f"{self._graph.origin}: not MoveNet SinglePose: its output is {made.dtype} {list(made.shape)}, not "
                f"float32 {list(POSES_SHAPE)}"
            )
        return self._tensors[output]

    def _add_constant(self, name: str, node: Node) -> None:
        assert node.value is not None
        value = node.value.astype(np.float32) if node.value.dtype.kind == "f" else node.value.astype(np.int32)
        if not np.isfinite(value).all():
            raise ModelError(f"{self._graph.origin}: damaged: '{name}' has values that are no finite numbers")
        self._values[name] = value
        self._tensors[name] = self._file.constant(f"constant_{len(self._tensors)}", np.ascontiguousarray(value))

    def _add_operation(self, name: str, node: Node) -> None:
        inputs = [self._values[each] for each in node.inputs]
        tensors = [self._tensors[each] for each in node.inputs]
        if node.original == "Identity" and len(inputs) == 1:
            self._values[name], self._tensors[name] = inputs[0], tensors[0]
            return
        operation = OPERATIONS.get(node.original)
        if operation is None or (node.original == "Cast" and node.dtype != "DT_FLOAT"):
            raise ModelError(
                f"{self._graph.origin}: not MoveNet SinglePose: operation '{node.op}' ('{name}') in its decode"
            )
        _limit(sum(each.size for each in inputs))
        made, extra = operation.compute(node, inputs), []
        if node.original == "Unpack":
            extra = [self._file.constant(f"place_{len(self._tensors)}", np.array(node.place, np.int32))]
        if node.original == "ConcatV2":  # its axis is among the options
            tensors.pop()
        tensor = self._file.tensor(f"decode_{len(self._tensors)}", made.shape, made.dtype.name.upper())
        self._file.operator(operation.name, 1, [*tensors, *extra], tensor, operation.options(node, inputs))
        self._values[name], self._tensors[name] = made, tensor


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation of TensorFlow as TFLite has it.

    Attributes:
        name: in TFLite.
        compute: returns its values, of which shape and dtype matter, and those of indices.
        options: of the operator.
    """

    name: str
    compute: Callable[[Node, list[Values]], Values]
    options: Callable[[Node, list[Values]], Any] = lambda _node, _inputs: None


def _limit(count: int) -> None:
    if count > MAX_VALUES:
        raise ValueError("more values than any MoveNet has")


def _same(_: Node, inputs: list[Values]) -> Values:
    (values,) = inputs
    return values


def _joint(_: Node, inputs: list[Values]) -> Values:
    one, other = inputs
    shape = np.broadcast_shapes(one.shape, other.shape)
    _limit(math.prod(shape))
    if one.dtype != other.dtype:
        raise ValueError("operands of two dtypes")
    return np.zeros(shape, one.dtype)


def _first(_: Node, inputs: list[Values]) -> Values:
    """Compute ArgMax of zeros."""
    values, axis = inputs
    return np.asarray(np.argmax(values, int(axis)), np.int32)


def _picked(_: Node, inputs: list[Values]) -> Values:
    """Compute GatherNd."""
    values, indices = inputs
    made = values[tuple(np.moveaxis(indices, -1, 0))]
    return np.asarray(made, values.dtype)


def _options(name: str, **values: Any) -> Any:
    options = getattr(schema, f"{name}OptionsT")()
    for key, value in values.items():
        setattr(options, key, value)
    return options


def _plain(name: str, compute: Callable[[Node, list[Values]], Values], options: str = "") -> _Operation:
    return _Operation(name, compute, lambda *_: _options(options) if options else None)


FLOAT, INT = schema.TensorType.FLOAT32, schema.TensorType.INT32
OPERATIONS = {
    "Sigmoid": _plain("LOGISTIC", _same),
    "Sqrt": _plain("SQRT", _same),
    "Add": _plain("ADD", _joint, "Add"),
    "AddV2": _plain("ADD", _joint, "Add"),
    "Sub": _plain("SUB", _joint, "Sub"),
    "Mul": _plain("MUL", _joint, "Mul"),
    "RealDiv": _plain("DIV", _joint, "Div"),
    "FloorDiv": _plain("FLOOR_DIV", _joint, "FloorDiv"),
    "SquaredDifference": _plain("SQUARED_DIFFERENCE", _joint, "SquaredDifference"),
    "GatherNd": _plain("GATHER_ND", _picked, "GatherNd"),
    "Reshape": _plain("RESHAPE", lambda _, inputs: inputs[0].reshape(inputs[1].tolist()), "Reshape"),
    "ExpandDims": _plain("EXPAND_DIMS", lambda _, inputs: np.expand_dims(inputs[0], int(inputs[1])), "ExpandDims"),
    "ArgMax": _Operation("ARG_MAX", _first, lambda *_: _options("ArgMax", outputType=INT)),
    "Cast": _Operation(
        "CAST",
        lambda _, inputs: inputs[0].astype(np.float32),
        lambda _, inputs: _options("Cast", inDataType=INT if inputs[0].dtype == np.int32 else FLOAT, outDataType=FLOAT),
    ),
    "Pack": _Operation(
        "PACK",
        lambda node, inputs: np.stack(inputs, node.axis),
        lambda node, inputs: _options("Pack", valuesCount=len(inputs), axis=node.axis),
    ),
    "ConcatV2": _Operation(
        "CONCATENATION",
        lambda _, inputs: np.concatenate(inputs[:-1], int(inputs[-1])),
        lambda _, inputs: _options("Concatenation", axis=int(inputs[-1])),
    ),
    # One output of several: taken by its place.
    "Unpack": _Operation(
        "GATHER",
        lambda node, inputs: np.take(inputs[0], node.place, node.axis),
        lambda node, _: _options("Gather", axis=node.axis),
    ),
}
"""By TensorFlow's name."""
