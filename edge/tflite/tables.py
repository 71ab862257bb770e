"""Follows the offsets of a FlatBuffer's tables.

The format is on FlatBuffers' page "Internals". The generated classes of the schema take 0.2 s to import, and a start of
the agent needs a few fields only. A damaged file cannot make these functions allocate memory or loop for long: they
raise `DAMAGE` instead.
"""

import mmap
import struct
from collections.abc import Iterator

__all__ = [
    "DAMAGE",
    "Data",
    "field",
    "follow",
    "int8",
    "int32",
    "int32_vector",
    "item",
    "read_bytes",
    "tables",
    "uint32",
]

Data = mmap.mmap | bytes | bytearray
DAMAGE = (struct.error, IndexError)
"""Raised for an offset that points outside."""


def tables(data: Data, vector: int | None, max_count: int) -> Iterator[int]:
    """Yield the positions of the tables in a vector of tables, at most `max_count`."""
    if vector is None:
        return
    first = follow(data, vector)
    for number in range(min(uint32(data, first), max_count)):
        yield item(data, first, number)


def item(data: Data, vector: int, number: int) -> int:
    """Return the position of a table in the vector of tables at `vector`."""
    return follow(data, vector + 4 + 4 * number)


def field(data: Data, table: int, number: int) -> int | None:
    """Return the position of a field's value; None if the field is absent."""
    slots = table - int32(data, table)
    slot = 4 + 2 * number
    offset = _number("<H", data, slots + slot) if slot < _number("<H", data, slots) else 0
    return table + offset if offset else None


def read_bytes(data: Data, place: int, max_bytes: int) -> bytes:
    """Return a string or a vector of bytes, cut off at `max_bytes`."""
    start = follow(data, place) + 4
    count = uint32(data, start - 4)
    if start + count > len(data):
        raise IndexError(place)
    return bytes(data[start : start + min(count, max_bytes)])


def int32_vector(data: Data, place: int | None, max_count: int) -> tuple[int, tuple[int, ...]]:
    """Return the position of a vector's first number, and the numbers; (0, ()) for an absent field.

    Raises:
        IndexError: it has more than `max_count`.
    """
    if place is None:
        return 0, ()
    start = follow(data, place) + 4
    count = uint32(data, start - 4)
    if count > max_count:
        raise IndexError(place)
    return start, struct.unpack_from(f"<{count}i", data, start)


def follow(data: Data, place: int) -> int:
    """Return the position that the offset at `place` points to."""
    return place + uint32(data, place)


def uint32(data: Data, place: int) -> int:
    """Return the number at `place`."""
    return _number("<I", data, place)


def int32(data: Data, place: int) -> int:
    """Return the number at `place`."""
    return _number("<i", data, place)


def int8(data: Data, place: int) -> int:
    """Return the number at `place`."""
    return _number("<b", data, place)


def _number(form: str, data: Data, place: int) -> int:
    if place < 0:
        raise IndexError(place)  # Python would count from the end
    number: int = struct.unpack_from(form, data, place)[0]
    return number
