"""Serializes the tables of a TFLite file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.tflite.magic import MAGIC
from edge.tflite.schema import flatbuffers, schema

__all__ = ["encode"]

ALIGNMENT_BYTES = 16
"""Of constants in the file (`force_align` in the schema): kernels may read them in place."""
TABLES_BYTES = 1 << 20


def encode(tree: Any) -> bytes:
    """Serialize a file (`ModelT`); the same tables give the same bytes."""
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
    """Cache of table layouts that never hits, so that every table gets a layout of its own.

    Versions of flatbuffers differ in which layouts they share, and the bytes would differ with them. Files are 1 %
    larger but the same everywhere, so their digests can be published in advance.
    """

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ARG002 - dict's signature
        return default


class _AlignedBuffer:
    """Replaces a `BufferT` while packing: the generated code does not align the content."""

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
