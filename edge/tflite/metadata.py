"""Reads one named piece of metadata out of a TFLite file, and nothing else of it.

Three tables of tensorflow/lite/schema/schema.fbs are followed by their offsets (flatbuffers' "internals" page tells
how), because the daemon does this at each start: about a millisecond, and no memory for a damaged file to ask for.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from edge.errors import ModelError
from edge.tflite.magic import open_tflite

__all__ = ["read_metadata"]

MAX_ENTRIES = 1000
"""No file has so many entries of metadata; a damaged count must not keep the daemon from starting."""

# Numbers of the fields in their tables.
MODEL_BUFFERS, MODEL_METADATA = 4, 6
METADATA_NAME, METADATA_BUFFER = 0, 1
BUFFER_DATA = 0

Data = mmap.mmap | bytes


def read_metadata(path: Path, name: str, *, max_bytes: int) -> bytes | None:
    """Return the content of the metadata of that name, cut off at `max_bytes`; None when the file has none.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: it is damaged or truncated.
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
    """Yield the places of the tables in a vector of them."""
    if vector is None:
        return
    first = _follow(data, vector)
    for number in range(min(_uint32(data, first), MAX_ENTRIES)):
        yield _item(data, first, number)


def _item(data: Data, vector: int, number: int) -> int:
    return _follow(data, vector + 4 + 4 * number)


def _field(data: Data, table: int, number: int) -> int | None:
    """Return the place of a field's value; None where the field is left out."""
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
