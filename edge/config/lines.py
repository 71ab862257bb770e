"""Lines of a TOML file: where a key stands, and what somebody meant who wrote something else than TOML."""

import re

__all__ = ["key_lines", "syntax_hint"]

TABLE = re.compile(r"\s*\[\s*([\w-]+)\s*\]")
KEY = re.compile(r"\s*([\w-]+)(?:\s*\.\s*([\w-]+))?\s*=")
ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)$")
YAML = re.compile(r"\s*([\w-]+)\s*:\s+(\S.*?)\s*(?:#.*)?$")
UNQUOTED = re.compile(r"""\s*([\w.-]+)\s*=\s*([^\s"'\[{#][^"']*?)\s*(?:#.*)?$""")
SHOWN_CHARACTERS = 60


def key_lines(text: str) -> dict[str, int]:
    """Return the lines, from 1, of the tables (`camera`) and keys (`camera.source`) of a TOML file."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := TABLE.match(line):
            table = header[1]
            found.setdefault(table, number)
        elif key := KEY.match(line):
            name = f"{key[1]}.{key[2]}" if key[2] and not table else f"{table}.{key[1]}" if table else key[1]
            found.setdefault(name, number)
    return found


def syntax_hint(text: str, error: ValueError) -> str:
    """Return `; write key = "value"` for a line that another format would have, or nothing.

    Args:
        text: of the file.
        error: of tomllib.
    """
    place = ERROR_LINE.search(str(error))
    lines = text.splitlines()
    if place is None or not 0 < int(place[1]) <= len(lines):
        return ""
    line = lines[int(place[1]) - 1]
    if len(line) > SHOWN_CHARACTERS or not line.isprintable():
        return ""
    if yaml := YAML.match(line):
        return f": this is TOML: {yaml[1]} = {_quoted(yaml[2])}"
    if bare := UNQUOTED.match(line):
        value = bare[2].lower()
        return (
            f": {bare[1]} = {value}"
            if value in {"true", "false"}
            else f": text needs quotes: {bare[1]} = {_quoted(bare[2])}"
        )
    return ""


def _quoted(value: str) -> str:
    if re.fullmatch(r"""["'].*["']|true|false|[+-]?\d+(\.\d+)?""", value):
        return value
    return f'"{value}"' if "\\" not in value and '"' not in value else f"'{value}'"
