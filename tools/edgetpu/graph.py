"""A TFLite file as plain tensors, and operators in execution order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.tflite.file import TfliteModel, load
from edge.tflite.schema import schema

__all__ = ["EDGETPU_OP", "Graph", "Op", "Tensor", "read_graph"]

EDGETPU_OP = "edgetpu-custom-op"
"""The custom operator into which the compiler packs what runs on the Edge TPU."""

DTYPES: Mapping[int, str] = {
    number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)
}
"""The schema's names, some of which NumPy does not have."""
DAMAGE = (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
"""Errors that inconsistent tables lead to."""


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
        """Return an int32 constant as a flat array, empty for other tensors.

        Such as axes, paddings and sizes.
        """
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
        """Return the tensors at these indices, without omitted ones."""
        return [self.tensors[index] for index in indices if index >= 0]

    def name(self, op: Op) -> str:
        """Return an operator's name: that of its first output."""
        return self.tensors[op.outputs[0]].name if op.outputs else ""


def read_graph(path: Path) -> Graph:
    """Read a TFLite file.

    Raises:
        InputError: it cannot be read, or is no TFLite file.
        ModelError: it is damaged, truncated, empty, or has several graphs.
    """
    model = load(path)
    try:
        tensors = tuple(_tensor(tensor, model.tree.buffers) for tensor in model.graph.tensors)
        ops = tuple(_op(op, model) for op in model.graph.operators)
    except DAMAGE as error:
        raise ModelError(f"{path}: the model file is damaged or truncated") from error
    if not ops or any(-1 in op.outputs for op in ops):
        raise ModelError(f"{path}: the model file is damaged or truncated")
    return Graph(tensors, ops)


def _tensor(tensor: Any, buffers: Any) -> Tensor:
    shape = tensor.shapeSignature if _given(tensor.shapeSignature) else tensor.shape
    data = buffers[tensor.buffer].data
    coding = tensor.quantization
    return Tensor(
        name=(tensor.name or b"").decode(errors="replace"),
        shape=tuple(int(side) for side in shape) if _given(shape) else (),
        dtype=DTYPES[tensor.type],
        is_quantized=coding is not None and _given(coding.scale),
        zero_point=int(coding.zeroPoint[0]) if coding is not None and _given(coding.zeroPoint) else 0,
        data=np.asarray(data, np.uint8).tobytes() if _given(data) else None,
    )


def _op(op: Any, model: TfliteModel) -> Op:
    return Op(
        kind=model.op_name(op),
        version=int(model.tree.operatorCodes[op.opcodeIndex].version),
        inputs=tuple(int(index) for index in op.inputs) if _given(op.inputs) else (),
        outputs=tuple(int(index) for index in op.outputs) if _given(op.outputs) else (),
        options=op.builtinOptions,
        custom_bytes=len(op.customOptions) if _given(op.customOptions) else 0,
    )


def _given(vector: Any) -> bool:
    return vector is not None and len(vector) > 0
