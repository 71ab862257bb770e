"""A TFLite file as a plain graph: tensors, and the operators in the order in which they run."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.tflite.magic import open_tflite
from edge.tflite.schema import schema

__all__ = ["EDGETPU_OP", "Graph", "Op", "Tensor", "read_graph"]

EDGETPU_OP = "edgetpu-custom-op"
"""The custom operator into which the compiler packs what runs on the Edge TPU."""

DAMAGE = (struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What the generated reader raises when an offset points out of the file, or to something else."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor.

    Attributes:
        name: as in the file.
        shape: its sides, -1 where one is dynamic.
        dtype: of the schema, in small letters: `int8`, `float32`, …
        is_quantized: codes with a scale, so that int8 means numbers.
        zero_point: the code of 0.
        data: the bytes of a constant; None for what is computed.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_quantized: bool = False
    zero_point: int = 0
    data: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of a constant, 0 of anything else."""
        return len(self.data or b"")

    def values(self) -> NDArray[np.int32]:
        """Return an int32 constant (axes, paddings, sizes) as a flat array; empty for anything else."""
        known = self.data is not None and self.dtype == "int32"
        return np.frombuffer(self.data if known and self.data else b"", np.int32)


@dataclass(frozen=True, slots=True)
class Op:
    """One operator.

    Attributes:
        kind: name in the schema (`CONV_2D`), or the name of a custom operator.
        version: of the operator in the file.
        inputs: indices of tensors; -1 for one that is left out.
        outputs: likewise.
        options: the schema's table of options, None where it has none.
        custom_bytes: size of the data that a custom operator brings along.
    """

    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any = None
    custom_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Graph:
    """The first subgraph of a file."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]

    def tensors_of(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the tensors at these indices, without those that are left out."""
        return [self.tensors[index] for index in indices if index >= 0]

    def name(self, op: Op) -> str:
        """Return the name by which people find an operator: that of its first output."""
        return self.tensors[op.outputs[0]].name if op.outputs else ""


def read_graph(path: Path) -> Graph:
    """Read a TFLite file.

    Raises:
        InputError: it cannot be read, or is no TFLite file.
        ModelError: it is damaged or truncated.
    """
    with open_tflite(path) as file:
        content = file.read()
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        return _graph(model)
    except DAMAGE as error:
        raise ModelError(f"{path}: the model file is damaged or truncated") from error


def _graph(model: Any) -> Graph:
    subgraph = model.subgraphs[0]
    tensors = tuple(_tensor(tensor, model.buffers) for tensor in subgraph.tensors)
    graph = Graph(tensors, tuple(_op(op, model.operatorCodes) for op in subgraph.operators))
    if not graph.ops:
        raise ValueError
    # An index out of range is damage too.
    used = {index for op in graph.ops for index in op.inputs} | {index for op in graph.ops for index in op.outputs}
    if min(used) < -1 or max(used) >= len(tensors) or any(-1 in op.outputs for op in graph.ops):
        raise IndexError
    return graph


def _tensor(tensor: Any, buffers: Any) -> Tensor:
    shape = tensor.shapeSignature if _given(tensor.shapeSignature) else tensor.shape
    data = buffers[tensor.buffer].data
    coding = tensor.quantization
    return Tensor(
        name=(tensor.name or b"").decode(errors="replace"),
        shape=tuple(int(side) for side in shape) if _given(shape) else (),
        dtype=_names(schema.TensorType)[tensor.type].lower(),
        is_quantized=coding is not None and _given(coding.scale),
        zero_point=int(coding.zeroPoint[0]) if coding is not None and _given(coding.zeroPoint) else 0,
        data=np.asarray(data, np.uint8).tobytes() if _given(data) else None,
    )


def _op(op: Any, codes: Any) -> Op:
    code = codes[op.opcodeIndex]
    # Old files have the operator in the deprecated field of one byte only, new ones in both.
    kind = _names(schema.BuiltinOperator)[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return Op(
        kind=code.customCode.decode(errors="replace") if kind == "CUSTOM" else kind,
        version=int(code.version),
        inputs=tuple(int(index) for index in op.inputs) if _given(op.inputs) else (),
        outputs=tuple(int(index) for index in op.outputs) if _given(op.outputs) else (),
        options=op.builtinOptions,
        custom_bytes=len(op.customOptions) if _given(op.customOptions) else 0,
    )


def _given(vector: Any) -> bool:
    return vector is not None and len(vector) > 0


@cache
def _names(enum: type) -> dict[int, str]:
    return {number: name for name, number in vars(enum).items() if isinstance(number, int)}
