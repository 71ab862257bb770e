"""Packs the tables of a TFLite file into its bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.tflite.magic import MAGIC
from edge.tflite.schema import flatbuffers, schema

__all__ = ["encode"]

ALIGNMENT_BYTES = 16
"""Of constants in the file (`force_align` in the schema), which kernels may read as they lie."""
TABLES_BYTES = 1 << 20


def encode(tree: Any) -> bytes:
    """Return the bytes of a file (`ModelT`); the same tables give the same bytes."""
    content_bytes = sum(len(buffer.data) for buffer in tree.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(content_bytes + TABLES_BYTES)
    builder.vtables = _Unshared()
    plain = tree.buffers
    tree.buffers = [_AlignedBuffer(buffer.data) for buffer in plain]
    try:
        builder.Finish(tree.Pack(builder), MAGIC)
    finally:
        tree.buffers = plain
    return bytes(builder.Output())


class _Unshared(dict[Any, Any]):
    """Never finds an earlier table of the same layout to share its field offsets.

    When layouts count as the same differs between versions of flatbuffers, and so would the bytes: 1 % larger files
    that are the same everywhere are worth more, because a digest can be told in advance.
    """

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ARG002 - dict's own form
        return default


class _AlignedBuffer:
    """Takes a buffer's place while packing: the generated code would let its content begin anywhere."""

    def __init__(self, data: NDArray[np.uint8] | None) -> None:
        self._data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the name that the generated code calls
        data = None if self._data is None else _aligned_vector(builder, self._data.tobytes())
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


def _aligned_vector(builder: Any, content: bytes) -> int:
    builder.StartVector(1, len(content), ALIGNMENT_BYTES)
    builder.head -= len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
    return int(builder.EndVector())
