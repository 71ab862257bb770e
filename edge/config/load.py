"""Loads the config of a run: TOML file, then flags, then `--set`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from edge.config.broker_address import parse_broker
from edge.config.check import check_table, is_flag, is_text, parse_toml, printable, read_toml_text, shown, suggestion
from edge.config.lines import key_lines
from edge.config.schema import Config
from edge.errors import ConfigError
from edge.masking import mask_url

__all__ = ["FLAGS", "full_name", "load"]

FLAGS = {
    "camera.source": "--camera",
    "device.name": "--device",
    "model.file": "--model",
    "model.name": "--model",
    "model.offline": "--offline",
    "mqtt.base_topic": "--base-topic",
    "mqtt.url": "--mqtt",
    "output.display": "--display",
    "output.jsonl": "--jsonl",
    "output.private": "--private",
    "output.record": "--record",
}
"""The flag that sets a key, for error messages."""

NOT_KEYS = {
    "mqtt.host": 'host and port go into url = "mqtt://localhost:1883"',
    "mqtt.broker": 'host and port go into url = "mqtt://localhost:1883"',
    "mqtt.port": 'host and port go into url = "mqtt://localhost:1883"',
    "mqtt.password": "a password does not go into the config: put it into a file, and the path of that into "
    "password_file",
    "mqtt.tls": "write mqtts:// in url",
    "mqtt.ssl": "write mqtts:// in url",
    "mqtt.topic": "base_topic is what topics start with",
    "mqtt.client_cert": "the file goes into cert_file",
    "camera.url": "the URL goes into source",
    "camera.device": "the path goes into source",
    "camera.resolution": "give width and height",
    "camera.size": "give width and height",
    "camera.flip": "give hflip, vflip or rotate",
    "model.path": "the path goes into file",
    "model.input": "give size",
}
"""What to do for keys that other programs have."""
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
"""Of `--set`."""

PATHS = {
    "model": ("file",),
    "mqtt": ("password_file", "ca_file", "cert_file", "key_file"),
    "output": ("jsonl", "record"),
}
"""Keys that hold a path, which may begin with `~`."""

Tables = Mapping[str, Any]
Problem = tuple[str, str]  # (full name of the key, what is wrong with it)


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None, sets: Sequence[str] = ()) -> Config:
    """Read, merge and check everything that configures a run.

    Args:
        path: the TOML file; None for the defaults.
        overrides: values of flags by full key (`camera.source`); None for a flag that was not given.
        sets: `table.key=value` each, a TOML value; the quotes around text may be left out.

    Raises:
        InputError: the file is missing or cannot be read.
        ConfigError: one line per mistake.
    """
    set_layers, problems = _parse_sets(sets)
    in_file, text = read_toml_text(path, "config file") if path else ({}, "")
    lines = key_lines(text)
    layers: list[tuple[str, Tables]] = [("", in_file)] if path else []
    layers += [_flag_layer(key, value) for key, value in (overrides or {}).items() if value is not None]
    layers += [(" (--set)", tables) for tables in set_layers]
    bad: set[str] = set()
    merged: dict[str, dict[str, Any]] = {}
    for origin, tables in layers:
        good, found = _check(tables)
        where = {} if origin or path is None else lines
        problems += [f"{_place(path, where, key)}{key}{origin}: {text}" for key, text in found]
        bad.update(key for key, _ in found)
        _lay_over(merged, good)
    problems += _expand_homes(merged, bad)
    config = msgspec.convert(merged, Config)
    problems += [f"{key}: {text}" for key, needs, text in _conflicts(config) if not bad & {key, *needs}]
    if problems:
        raise ConfigError(*problems)
    return config


def full_name(key: str) -> str:
    """Return `table.key` for a key that only one table has, or for `table_key`; empty if there is none."""
    names = {
        name.replace(".", "_"): name
        for name in (f"{t}.{k}" for t, kind in _table_types().items() for k in kind.__struct_encode_fields__)
    }
    return _homes().get(key) or names.get(key.replace(".", "_"), "")


def _place(path: Path | None, lines: Mapping[str, int], key: str) -> str:
    """Return `FILE:LINE: ` of a key, or nothing where the line is not known."""
    name = key.strip("[]")
    line = lines.get(name) or lines.get(name.partition(".")[0])
    return f"{path}:{line}: " if line else ""


def _flag_layer(dotted: str, value: object) -> tuple[str, Tables]:
    table, _, key = dotted.partition(".")
    return f" ({FLAGS.get(dotted, 'flag')})", {table: {key: value}}


def _table_types() -> dict[str, type[Struct]]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(Config)}


def _homes() -> dict[str, str]:
    """Return the full name of each key that only one table has."""
    names = [(f.encode_name, t) for t, kind in _table_types().items() for f in msgspec.structs.fields(kind)]
    keys = [key for key, _ in names]
    return {key: f"{table}.{key}" for key, table in names if keys.count(key) == 1}


def _parse_sets(sets: Sequence[str]) -> tuple[list[Tables], list[str]]:
    tables: list[Tables] = []
    problems: list[str] = []
    for item in sets:
        dotted, equals, text = item.partition("=")
        table, dot, key = (part.strip() for part in dotted.partition("."))
        if equals and dot and table and key:
            kind = _table_types().get(table)
            tables.append({table: {key: _value_of(kind, key, text)}})
        else:
            hint = suggestion(_homes().get(table, ""), _homes().values())
            problems.append(f"--set {printable(mask_url(dotted))}: expected table.key=value{hint}")
    return tables, problems


def _value_of(kind: type[Struct] | None, key: str, text: str) -> object:
    if kind and is_text(kind, key):
        return _as_text(text)
    if kind and is_flag(kind, key) and text.strip().lower() in BOOLEANS:
        return BOOLEANS[text.strip().lower()]
    return _as_value(text)


def _as_value(text: str) -> object:
    try:
        tables = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return tables["value"] if len(tables) == 1 else text


def _as_text(text: str) -> str:
    """Return the text as it is, without TOML quotes if it has them."""
    value = _as_value(text)
    return value if isinstance(value, str) else text


def _check(tables: Tables) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Check one layer; return its good values and its problems."""
    kinds, homes = _table_types(), _homes()
    good: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for name, table in tables.items():
        if name not in kinds:
            problems.append(_unknown_table(name, table, homes))
        elif not isinstance(table, dict):
            problems.append((name, f"expected a table ([{name}]), got {shown(table)}"))
        else:
            good[name], found = check_table(kinds[name], table, homes)
            unknown = {key for key in found if key not in kinds[name].__struct_encode_fields__}
            problems += [
                (f"{name}.{key}", NOT_KEYS.get(f"{name}.{key}", text) if key in unknown else text)
                for key, text in found.items()
            ]
    return good, problems


def _unknown_table(name: str, value: object, homes: Mapping[str, str]) -> Problem:
    if not isinstance(value, dict) and name in homes:
        return name, f"must be inside a table (did you mean '{homes[name]}'?)"
    return f"[{printable(name)}]", f"unknown table{suggestion(name, _table_types())}"


def _lay_over(merged: dict[str, dict[str, Any]], layer: dict[str, dict[str, Any]]) -> None:
    for name, table in layer.items():
        under = merged.setdefault(name, {})
        # A model by name and one by file exclude each other; the later layer's choice wins.
        if name == "model" and (table.get("name") or table.get("file")):
            under.pop("name", None)
            under.pop("file", None)
        under.update(table)


def _expand_homes(tables: dict[str, dict[str, Any]], bad: set[str]) -> list[str]:
    """Expand `~` and `~user` in the paths; return one complaint for each that names nobody's home."""
    problems: list[str] = []
    for name, keys in PATHS.items():
        for key in keys:
            text = tables.get(name, {}).get(key, "")
            if not text.startswith("~"):
                continue
            try:
                tables[name][key] = str(Path(text).expanduser())
            except RuntimeError:
                problems.append(f"{name}.{key}: {shown(text)}: no such home folder: give the whole path")
                bad.add(f"{name}.{key}")
    return problems


def _conflicts(config: Config) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield (key, the other keys it depends on, what is wrong) for conflicting keys."""
    camera, model, mqtt = config.camera, config.model, config.mqtt
    if (camera.width is None) != (camera.height is None):
        yield "camera.width", ("camera.height",), "needs camera.height, and the other way round"
    if model.name and model.file:
        yield "model.file", ("model.name",), f"'{model.file}' and model.name '{model.name}': give one of them"
    if mqtt.key_file and not mqtt.cert_file:
        yield "mqtt.key_file", ("mqtt.cert_file",), "needs mqtt.cert_file"
    broker = parse_broker(mqtt.url) if mqtt.url else None
    if broker and broker.username and mqtt.username not in {"", broker.username}:
        text = f"'{mqtt.username}', but mqtt.url names '{broker.username}'"
        yield "mqtt.username", ("mqtt.url",), text
    if mqtt.password_file and not mqtt.username and not (broker and broker.username):
        yield "mqtt.password_file", ("mqtt.username", "mqtt.url"), "needs mqtt.username"
    if broker and not broker.tls:
        for key in ("ca_file", "cert_file"):
            if getattr(mqtt, key):
                yield f"mqtt.{key}", ("mqtt.url",), "is for TLS only: write mqtts:// in mqtt.url"
