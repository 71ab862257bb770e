"""Checks a TOML file against msgspec Structs and reports every mistake.

`msgspec.convert` stops at the first mistake; on a headless machine a user needs all of them at once.
"""

import difflib
import json
import math
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec.inspect as mi
from msgspec import Struct

from edge.config.lines import syntax_hint
from edge.errors import ConfigError, InputError
from edge.host.files import read_small
from edge.masking import mask_url

__all__ = [
    "check_table",
    "is_flag",
    "is_text",
    "nearest",
    "parse_toml",
    "printable",
    "read_toml",
    "read_toml_text",
    "shown",
    "suggestion",
]

SHOWN_CHARACTERS = 60
MAX_DOTS = 200
"""In one line: tomllib takes quadratic time for keys of many parts."""
MAX_BAD_ELEMENTS = 3
"""Of one list; the others are counted."""


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file; see `read_toml_text`."""
    return read_toml_text(path, what)[0]


def read_toml_text(path: Path, what: str) -> tuple[dict[str, Any], str]:
    """Read a TOML file; return its tables and its text.

    Raises:
        InputError: it is missing or cannot be read; `what` names it ("config file").
        ConfigError: it is not UTF-8, or not TOML.
    """
    try:
        data = read_small(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the {what}: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")  # Windows editors begin with a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: not UTF-8 text (at line {line})") from None
    try:
        return parse_toml(text), text
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}{syntax_hint(text, error)}") from None


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > MAX_DOTS and not line.lstrip().startswith("#"):
            raise ValueError(f"more than {MAX_DOTS} dots (at line {number})")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def check_table(
    kind: type[Struct], table: Mapping[str, Any], elsewhere: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Check one TOML table against a Struct.

    A field may have its own check: `Meta(extra={"check": function})` is called with a value of the right
    type and raises ValueError. So may the elements of a list.

    Args:
        kind: the Struct whose fields are the keys.
        table: keys and values as `tomllib` gives them.
        elsewhere: full names of the keys of other tables, for the suggestion.

    Returns:
        The good values by key, and what is wrong with each other key.
    """
    fields = {field.encode_name: field for field in _struct(kind).fields}
    good: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for key, value in table.items():
        if key not in fields:
            hint = suggestion(key, fields) or _quoted((elsewhere or {}).get(key, ""))
            problems[printable(key)] = f"unknown key{hint}"
        elif complaint := _complaint(fields[key].type, value):
            problems[key] = complaint
        else:
            good[key] = value
    missing = [key for key, field in fields.items() if field.required and key not in table]
    return good, problems | dict.fromkeys(missing, "missing")


def is_text(kind: type[Struct], key: str) -> bool:
    """Return whether a key takes strings; False for an unknown key."""
    for field in _struct(kind).fields:
        if field.encode_name == key:
            info, _ = _unwrap(field.type)
            values = info.values if isinstance(info, mi.LiteralType) else ()
            return isinstance(info, mi.StrType) or any(isinstance(value, str) for value in values)
    return False


def is_flag(kind: type[Struct], key: str) -> bool:
    """Return whether a key takes true or false; False for an unknown key."""
    return any(
        field.encode_name == key and isinstance(_unwrap(field.type)[0], mi.BoolType) for field in _struct(kind).fields
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean '…'?)` for the nearest known word, or nothing."""
    return _quoted(nearest(word, known))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most similar to this one; empty if none is close."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")


def printable(key: str) -> str:
    """Return a key as one printable line.

    TOML allows line ends in quoted keys.
    """
    return key if key.isprintable() and key else ascii(key)


def shown(value: object) -> str:
    """Format a value for an error message: as TOML, short, credentials masked."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a huge number"  # Python refuses to print integers of thousands of digits
    text = json.dumps(mask_url(value), ensure_ascii=False) if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _quoted(word: str) -> str:
    return f" (did you mean '{word}'?)" if word else ""


def _struct(kind: type[Struct]) -> mi.StructType:
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return info


def _unwrap(info: mi.Type) -> tuple[mi.Type, Callable[[Any], None] | None]:
    """Return the type without `| None` (TOML has no null) and metadata, and the field's check."""
    if isinstance(info, mi.UnionType):
        return _unwrap(next(arm for arm in info.types if not isinstance(arm, mi.NoneType)))
    if isinstance(info, mi.Metadata):
        return _unwrap(info.type)[0], (info.extra or {}).get("check")
    return info, None


def _complaint(info: mi.Type, value: object) -> str | None:
    """Return what is wrong with a value, or None."""
    info, check = _unwrap(info)
    if not _fits(info, value):
        return f"expected {_expected(info)}, got {shown(value)}"
    if isinstance(info, mi.ListType) and isinstance(value, list) and (text := _list_complaint(info, value)):
        return text
    if isinstance(value, str) and not _is_clean(value):
        return "holds control characters, or bytes that are not UTF-8"
    try:
        if check is not None:
            check(value)
    except ValueError as error:
        return str(error)
    return None


def _list_complaint(info: mi.ListType, elements: list[object]) -> str:
    """Return what is wrong with a list, its elements counted from 1; empty if nothing is."""
    low, high = info.min_length or 0, info.max_length
    if len(elements) < low or (high is not None and len(elements) > high):
        count = f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}"
        return f"expected {count} elements, got {len(elements)}"
    complaints = [(place, _complaint(info.item_type, element)) for place, element in enumerate(elements, 1)]
    bad = [f"element {place}: {text}" for place, text in complaints if text]
    more = [f"{len(bad) - MAX_BAD_ELEMENTS} more"] if len(bad) > MAX_BAD_ELEMENTS else []
    return "; ".join(bad[:MAX_BAD_ELEMENTS] + more)


def _fits(info: mi.Type, value: object) -> bool:
    """Return whether a value has the type and range; list elements are checked elsewhere."""
    match info:
        case mi.BoolType():
            return isinstance(value, bool)
        case mi.IntType():
            return isinstance(value, int) and not isinstance(value, bool) and _in_range(info, value)
        case mi.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool) and _in_range(info, value)
        case mi.StrType():
            return isinstance(value, str)
        case mi.LiteralType():
            return any(type(value) is type(known) and value == known for known in info.values)
        case mi.ListType():
            return isinstance(value, list)
        case mi.DictType():
            return isinstance(value, dict) and all(map(_is_plain, value.values()))
    raise TypeError(f"no check for keys of type {info}")


def _is_plain(value: object) -> bool:
    """True for the values of a table of free keys: numbers, texts, booleans, lists of numbers."""
    if isinstance(value, list):
        return all(_is_plain(item) and not isinstance(item, list | str | bool) for item in value)
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _in_range(info: mi.IntType | mi.FloatType, value: float) -> bool:
    """False for NaN and infinity too, and for integers that no float can hold."""
    low = -sys.float_info.max if info.ge is None else info.ge
    high = sys.float_info.max if info.le is None else info.le
    return low <= value <= high


def _expected(info: mi.Type) -> str:
    match info:
        case mi.BoolType():
            return "true or false"
        case mi.IntType():
            return f"a whole number{_range(info)}"
        case mi.FloatType():
            return f"a number{_range(info)}"
        case mi.LiteralType():
            *others, last = map(shown, info.values)
            return f"{', '.join(others)} or {last}" if others else last
        case mi.ListType():
            return f"a list, each element {_expected(_unwrap(info.item_type)[0])}"
        case mi.DictType():
            return "a table of numbers, texts, true or false, and lists of numbers"
    return "text in quotes"


def _range(info: mi.IntType | mi.FloatType) -> str:
    spec = "g" if isinstance(info, mi.FloatType) else ""
    low = "" if info.ge is None else f" from {info.ge:{spec}}"
    high = "" if info.le is None else f" to {info.le:{spec}}"
    return low + high


def _is_clean(text: str) -> bool:
    # Python represents a non-UTF-8 byte of the command line as a lone surrogate.
    return not any(ord(c) < 0x20 or c == "\x7f" or 0xD800 <= ord(c) <= 0xDFFF for c in text)
