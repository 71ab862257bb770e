"""Reads one metadata entry of a TFLite file.

It follows the offsets of three tables of tensorflow/lite/schema/schema.fbs (the format is on FlatBuffers' page
"Internals"), because every start of the agent reads them: that takes about a millisecond, where the generated classes
take 0.2 s to import, and a damaged file cannot make it allocate memory.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from edge.errors import ModelError
from edge.tflite.magic import open_tflite

__all__ = ["read_metadata"]

MAX_ENTRIES = 1000
"""More than any file has; a damaged count must not block the start."""

# Field indices in their tables.
MODEL_BUFFERS, MODEL_METADATA = 4, 6
METADATA_NAME, METADATA_BUFFER = 0, 1
BUFFER_DATA = 0

Data = mmap.mmap | bytes


def read_metadata(path: Path, name: str, *, max_bytes: int) -> bytes | None:
    """Return at most `max_bytes` of a metadata entry; None without it.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: the file is damaged or truncated.
    """
    try:
        with open_tflite(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _find(data, name.encode(), max_bytes)
    except (struct.error, IndexError) as error:
        raise ModelError(f"{path}: the model file is damaged or truncated (its metadata points outside)") from error


def _find(data: Data, name: bytes, max_bytes: int) -> bytes | None:
    root = _follow(data, 0)
    for entry in _tables(data, _field(data, root, MODEL_METADATA)):
        title, number = _field(data, entry, METADATA_NAME), _field(data, entry, METADATA_BUFFER)
        if title is not None and _bytes(data, title, len(name) + 1) == name:
            return _buffer(data, root, 0 if number is None else _uint32(data, number), max_bytes)
    return None


def _buffer(data: Data, root: int, number: int, max_bytes: int) -> bytes:
    buffers = _field(data, root, MODEL_BUFFERS)
    if buffers is None or number >= _uint32(data, _follow(data, buffers)):
        raise IndexError(number)
    content = _field(data, _item(data, _follow(data, buffers), number), BUFFER_DATA)
    return b"" if content is None else _bytes(data, content, max_bytes)


def _tables(data: Data, vector: int | None) -> Iterator[int]:
    """Yield the positions of the tables in a vector of tables."""
    if vector is None:
        return
    first = _follow(data, vector)
    for number in range(min(_uint32(data, first), MAX_ENTRIES)):
        yield _item(data, first, number)


def _item(data: Data, vector: int, number: int) -> int:
    return _follow(data, vector + 4 + 4 * number)


def _field(data: Data, table: int, number: int) -> int | None:
    """Return the position of a field's value; None if the field is absent."""
    slots = table - _number("<i", data, table)
    slot = 4 + 2 * number
    offset = _number("<H", data, slots + slot) if slot < _number("<H", data, slots) else 0
    return table + offset if offset else None


def _bytes(data: Data, place: int, max_bytes: int) -> bytes:
    """Return a string or a vector of bytes, cut off at `max_bytes`."""
    start = _follow(data, place) + 4
    count = _uint32(data, start - 4)
    if start + count > len(data):
        raise IndexError(place)
    return data[start : start + min(count, max_bytes)]


def _follow(data: Data, place: int) -> int:
    return place + _uint32(data, place)


def _uint32(data: Data, place: int) -> int:
    return _number("<I", data, place)


def _number(form: str, data: Data, place: int) -> int:
    number: int = struct.unpack_from(form, data, place)[0]
    return number
