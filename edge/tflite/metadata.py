"""Reads one metadata entry of a TFLite file.

It follows the offsets of three tables of tensorflow/lite/schema/schema.fbs, in about a millisecond: every start of the
agent reads it.
"""

import mmap
from pathlib import Path

from edge.errors import ModelError
from edge.tflite.magic import open_tflite
from edge.tflite.tables import DAMAGE, Data, field, follow, item, read_bytes, tables, uint32

__all__ = ["read_metadata"]

MAX_ENTRIES = 1000
"""More than any file has; a damaged count must not block the start."""

# Field indices in their tables.
MODEL_BUFFERS, MODEL_METADATA = 4, 6
METADATA_NAME, METADATA_BUFFER = 0, 1
BUFFER_DATA = 0


def read_metadata(path: Path, name: str, *, max_bytes: int) -> bytes | None:
    """Return at most `max_bytes` of a metadata entry; None without it.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: the file is damaged or truncated.
    """
    try:
        with open_tflite(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _find(data, name.encode(), max_bytes)
    except DAMAGE as error:
        raise ModelError(f"{path}: the model file is damaged or truncated (its metadata points outside)") from error


def _find(data: Data, name: bytes, max_bytes: int) -> bytes | None:
    root = follow(data, 0)
    for entry in tables(data, field(data, root, MODEL_METADATA), MAX_ENTRIES):
        title, number = field(data, entry, METADATA_NAME), field(data, entry, METADATA_BUFFER)
        if title is not None and read_bytes(data, title, len(name) + 1) == name:
            return _buffer(data, root, 0 if number is None else uint32(data, number), max_bytes)
    return None


def _buffer(data: Data, root: int, number: int, max_bytes: int) -> bytes:
    buffers = field(data, root, MODEL_BUFFERS)
    if buffers is None or number >= uint32(data, follow(data, buffers)):
        raise IndexError(number)
    content = field(data, item(data, follow(data, buffers), number), BUFFER_DATA)
    return b"" if content is None else read_bytes(data, content, max_bytes)
