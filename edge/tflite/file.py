"""Editable TFLite files: cut, rename, annotate and save, without TensorFlow.

The tables and their names are those of tensorflow/lite/schema/schema.fbs (T at the end: `OperatorT`).
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.host.atomic_write import write_whole
from edge.tflite.magic import open_tflite
from edge.tflite.notes import METADATA_NAME, Notes, encode_notes
from edge.tflite.packing import encode
from edge.tflite.prune import operands, prune_unused
from edge.tflite.schema import schema

__all__ = ["TfliteModel", "load", "parse"]

SIGNATURE = "serving_default"
DTYPES: Mapping[int, str] = {
    getattr(schema.TensorType, name.upper()): name
    for name in ("float32", "float16", "int32", "uint8", "int64", "int16", "int8", "float64", "uint32", "bool")
}
OPERATORS: Mapping[int, str] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
OPERATOR_CODES: Mapping[str, int] = {name: code for code, name in OPERATORS.items()}
OLD_CODES_END = 127
"""Higher operator codes are only in the newer field; the older one then holds this number."""


class TfliteModel:
    """A TFLite file with one graph.

    Tensors are addressed by index; `cut` changes the indices.

    Attributes:
        origin: how messages name the file.
        tree: the whole file (`ModelT`).
        graph: its subgraph (`SubGraphT`): tensors, operators, inputs, outputs.
    """

    def __init__(self, tree: Any, origin: str) -> None:
        self.origin = origin
        self.tree = tree
        if len(tree.subgraphs or ()) != 1:
            raise ModelError(f"{origin}: has {len(tree.subgraphs or ())} graphs; a model of one graph is needed")
        self.graph = tree.subgraphs[0]

    def op_name(self, op: Any) -> str:
        """Return an operator's name, such as `CONV_2D`, or its custom name."""
        entry = self.tree.operatorCodes[op.opcodeIndex]
        if entry.customCode:
            return str(entry.customCode.decode("utf-8", "replace"))
        return OPERATORS[max(entry.builtinCode, entry.deprecatedBuiltinCode)]

    def op_names(self) -> list[str]:
        """Return the names of all operators in execution order."""
        return [self.op_name(op) for op in self.graph.operators]

    def operator_code(self, name: str, version: int = 1) -> int:
        """Return an operator code's index, adding it if missing."""
        code = OPERATOR_CODES[name]
        for place, entry in enumerate(self.tree.operatorCodes):
            if max(entry.builtinCode, entry.deprecatedBuiltinCode) == code and entry.version == version:
                return place
        old = min(code, OLD_CODES_END)
        self.tree.operatorCodes.append(schema.OperatorCodeT(old, None, version, code))
        return len(self.tree.operatorCodes) - 1

    def name(self, tensor: int) -> str:
        """Return the name of a tensor."""
        return str((self.graph.tensors[tensor].name or b"").decode("utf-8", "replace"))

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor.

        A dynamic side is 1 here, and -1 in the tensor's shape signature.
        """
        shape = self.graph.tensors[tensor].shape
        return () if shape is None else tuple(int(side) for side in shape)

    def dtype(self, tensor: int) -> str:
        """Return a tensor's NumPy dtype, empty if NumPy has none."""
        return DTYPES.get(self.graph.tensors[tensor].type, "")

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return a constant tensor's value; None if it is computed."""
        data = None if tensor < 0 else self.tree.buffers[self.graph.tensors[tensor].buffer].data
        if data is None or len(data) == 0:
            return None
        return np.frombuffer(data.tobytes(), self.dtype(tensor)).reshape(self.shape(tensor))

    def set_constant(self, tensor: int, value: NDArray[Any]) -> None:
        """Set a tensor's value in a buffer of its own.

        Other tensors that shared its old buffer keep their value.
        """
        wanted = self.graph.tensors[tensor]
        wanted.shape = np.array(value.shape, np.int32)
        wanted.buffer = self._add_buffer(value.astype(self.dtype(tensor)).tobytes())

    def producer(self, tensor: int) -> Any | None:
        """Return the operator that computes a tensor, or None."""
        return next((op for op in self.graph.operators if tensor in op.outputs), None)

    def consumers(self, tensor: int) -> list[Any]:
        """Return the operators that read a tensor, in execution order."""
        return [op for op in self.graph.operators if tensor in op.inputs]

    def rename(self, tensor: int, name: str) -> None:
        """Rename a tensor."""
        self.graph.tensors[tensor].name = name.encode()

    def cut(self, *, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Keep only what computes the outputs from the inputs.

        All other operators, tensors and buffers are removed.

        Args:
            inputs: tensor by its name in the signature.
            outputs: tensor by its name in the signature, in the order of the new graph's outputs; the tensors
                are renamed to these.

        Raises:
            ModelError: an output depends on more than the inputs.
        """
        graph = self.graph
        graph.operators = self._needed(inputs.values(), outputs.values())
        graph.inputs = np.array(list(inputs.values()), np.int32)
        graph.outputs = np.array(list(outputs.values()), np.int32)
        for name, tensor in outputs.items():
            self.rename(tensor, name)
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
        signature.inputs = [schema.TensorMapT(name.encode(), tensor) for name, tensor in inputs.items()]
        signature.outputs = [schema.TensorMapT(name.encode(), tensor) for name, tensor in outputs.items()]
        self.tree.signatureDefs = [signature]
        prune_unused(self.tree)

    def set_notes(self, notes: Notes) -> None:
        """Write notes into the file's metadata, replacing older ones."""
        kept = [entry for entry in self.tree.metadata or () if entry.name != METADATA_NAME.encode()]
        entry = schema.MetadataT(METADATA_NAME.encode(), self._add_buffer(encode_notes(notes)))
        self.tree.metadata = [*kept, entry]
        prune_unused(self.tree)

    def encode(self) -> bytes:
        """Return the file's bytes; the same model gives the same bytes."""
        return encode(self.tree)

    def save(self, path: Path) -> None:
        """Save the file atomically. Raises UnavailableError (see `write_whole`)."""
        write_whole(path, self.encode())

    def _add_buffer(self, content: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.tree.buffers.append(buffer)
        return len(self.tree.buffers) - 1

    def _needed(self, inputs: Iterable[int], outputs: Iterable[int]) -> list[Any]:
        known, wanted, kept = set(inputs), set(outputs), []
        for op in reversed(self.graph.operators):
            if wanted & set(op.outputs) - known:
                kept.append(op)
                wanted |= set(op.inputs) - {-1}
        made = {int(tensor) for op in kept for tensor in op.outputs}
        for tensor in sorted(wanted - made - known):
            if self.constant(tensor) is None:
                raise ModelError(f"{self.origin}: cannot be cut: its outputs depend on '{self.name(tensor)}' too")
        return kept[::-1]


def load(path: Path) -> TfliteModel:
    """Read a TFLite file.

    Raises:
        InputError: no such file, it cannot be read, or is not a TFLite file.
        ModelError: it is damaged or truncated, has several graphs, or keeps weights outside of its tables.
    """
    with open_tflite(path) as file:
        content = file.read()
    return parse(content, str(path))


def parse(content: bytes, origin: str) -> TfliteModel:
    """Read a TFLite file's content; `origin` names it. Raises ModelError, see `load`."""
    try:
        model = TfliteModel(schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)), origin)
        _check_references(model)
    except (struct.error, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError) as error:
        raise _damaged(origin) from error
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise _damaged(origin) from error
    return model


def _check_references(model: TfliteModel) -> None:
    """Check every index in the tables, so that a damaged file fails here and not later.

    Raises:
        IndexError: an index points outside.
        ModelError: weights are kept outside of the tables.
    """
    tree, graph = model.tree, model.graph
    if any(buffer.offset > 1 for buffer in tree.buffers) or getattr(tree, "externalBuffers", None):
        raise ModelError(f"{model.origin}: keeps its weights outside of the model's tables, which is not supported")
    model.op_names()
    for tensor in [*graph.inputs, *graph.outputs, *operands(graph.operators)]:
        _at(graph.tensors, tensor, low=-1)
    for holder in [*graph.tensors, *(tree.metadata or ())]:
        _at(tree.buffers, holder.buffer)
    for number in range(len(graph.tensors)):
        if model.dtype(number):
            model.constant(number)


def _at(items: Sequence[Any], number: int, low: int = 0) -> None:
    if not low <= number < len(items):
        raise IndexError(number)


def _damaged(origin: str) -> ModelError:
    return ModelError(f"{origin}: the model file is damaged or truncated (its tables do not fit together)")
