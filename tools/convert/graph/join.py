"""Appends a float decode to quantized heads, in one TFLite graph.

The whole model then has int8 convolutions.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.tflite.file import TfliteModel
from edge.tflite.notes import Affine
from edge.tflite.schema import schema

__all__ = ["join_decode"]


def join_decode(
    heads: TfliteModel, outputs: Mapping[str, int], affine: Mapping[str, Affine], decode: TfliteModel
) -> int:
    """Append the operators of `decode` to `heads`; return the poses' tensor.

    Args:
        heads: from pixels to quantized maps.
        outputs: the map's tensor in `heads` by head.
        affine: heads that were rescaled, which is taken back here.
        decode: from the maps in float, its signature's inputs named like the heads, to one output.
    """
    real = {head: _dequantize(heads, tensor, affine.get(head)) for head, tensor in outputs.items()}
    inputs = {int(place.tensorIndex): real[place.name.decode()] for place in decode.tree.signatureDefs[0].inputs}
    moved = _Moved(heads, decode, inputs)
    for op in decode.graph.operators:
        heads.graph.operators.append(moved.operator(op))
    return moved.tensor(int(decode.graph.outputs[0]))


class _Kind(NamedTuple):
    """A builtin operator, and its options' name in the schema."""

    name: str
    version: int
    options: str


_DEQUANTIZE = _Kind("DEQUANTIZE", 2, "DequantizeOptions")  # of int8 since version 2
_MUL = _Kind("MUL", 1, "MulOptions")
_ADD = _Kind("ADD", 1, "AddOptions")


class _Moved:
    """Renumbers tensors, buffers and operator codes for another file.

    They are appended to those of `target`.
    """

    def __init__(self, target: TfliteModel, source: TfliteModel, given: Mapping[int, int]) -> None:
        self._given = given
        self._first_tensor = len(target.graph.tensors)
        first_buffer = len(target.tree.buffers)
        target.tree.buffers += source.tree.buffers
        for tensor in source.graph.tensors:
            tensor.buffer += first_buffer
            target.graph.tensors.append(tensor)
        self._first_code = len(target.tree.operatorCodes)
        target.tree.operatorCodes += source.tree.operatorCodes

    def tensor(self, number: int) -> int:
        return -1 if number < 0 else self._given.get(number, number + self._first_tensor)

    def operator(self, op: Any) -> Any:
        op.opcodeIndex += self._first_code
        op.inputs = np.array([self.tensor(int(number)) for number in op.inputs], np.int32)
        op.outputs = np.array([self.tensor(int(number)) for number in op.outputs], np.int32)
        return op


def _dequantize(model: TfliteModel, tensor: int, affine: Affine | None) -> int:
    """Append the dequantization of a map, and return its float tensor."""
    result = _add_tensor(model, tensor, "real")
    _add_operator(model, _DEQUANTIZE, [tensor], result)
    if affine is not None:
        scaled = _add_tensor(model, tensor, "gain")
        gain = _add_constant(model, affine.gain)
        _add_operator(model, _MUL, [result, gain], scaled)
        result = _add_tensor(model, tensor, "shift")
        shift = _add_constant(model, affine.shift)
        _add_operator(model, _ADD, [scaled, shift], result)
    return result


def _add_operator(model: TfliteModel, kind: _Kind, inputs: list[int], output: int) -> None:
    op = schema.OperatorT()
    op.opcodeIndex = model.operator_code(kind.name, kind.version)
    op.inputs, op.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
    op.builtinOptionsType = getattr(schema.BuiltinOptions, kind.options)
    op.builtinOptions = getattr(schema, f"{kind.options}T")()
    model.graph.operators.append(op)


def _add_tensor(model: TfliteModel, like: int, suffix: str) -> int:
    """Add a float tensor of the shape of another."""
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = f"{model.name(like)}/{suffix}".encode(), schema.TensorType.FLOAT32, 0
    tensor.shape = model.graph.tensors[like].shape
    model.graph.tensors.append(tensor)
    return len(model.graph.tensors) - 1


def _add_constant(model: TfliteModel, values: tuple[float, ...]) -> int:
    array: NDArray[np.float32] = np.array(values, np.float32)
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape = b"affine", schema.TensorType.FLOAT32, np.array(array.shape, np.int32)
    model.graph.tensors.append(tensor)
    model.set_constant(len(model.graph.tensors) - 1, array)
    return len(model.graph.tensors) - 1
