"""Loads the config of a run: TOML file, then flags, then `--set`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from edge.config.broker_address import parse_broker
from edge.config.check import check_table, is_text, parse_toml, printable, read_toml, shown, suggestion
from edge.config.schema import Config
from edge.errors import ConfigError
from edge.masking import mask

__all__ = ["load"]

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
    layers: list[tuple[str, Tables]] = [("", read_toml(path, "config file"))] if path else []
    layers += [_flag_layer(key, value) for key, value in (overrides or {}).items() if value is not None]
    layers += [(" (--set)", tables) for tables in set_layers]
    bad: set[str] = set()
    merged: dict[str, dict[str, Any]] = {}
    for origin, tables in layers:
        good, found = _check(tables)
        problems += [f"{key}{origin}: {text}" for key, text in found]
        bad.update(key for key, _ in found)
        _lay_over(merged, good)
    config = msgspec.convert(merged, Config)
    problems += [f"{key}: {text}" for key, needs, text in _conflicts(config) if not bad & {key, *needs}]
    if problems:
        raise ConfigError(*problems)
    return config


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
            tables.append({table: {key: _as_text(text) if kind and is_text(kind, key) else _as_value(text)}})
        else:
            hint = suggestion(_homes().get(table, ""), _homes().values())
            problems.append(f"--set {printable(mask(dotted))}: expected table.key=value{hint}")
    return tables, problems


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
            problems += [(f"{name}.{key}", text) for key, text in found.items()]
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
