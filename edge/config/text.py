"""Writes the config as TOML: values in use, or every key explained."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import msgspec.inspect as mi
from msgspec import NODEFAULT, Struct

from edge.config.schema import Config
from edge.masking import mask_url

__all__ = ["default_text", "dump"]

WIDTH_CHARACTERS = 110

HEAD = """\
# edge-pose: the config. Every key stands here with its default; remove the # before a line to change it.
# Check it with `edge-pose config check`; see all values in use with `edge-pose config show`.
"""


def dump(config: Config) -> str:
    """Return the config as TOML, credentials in URLs masked.

    A key without a value is written as a comment.
    """
    lines: list[str] = []
    for name in config.__struct_fields__:
        table = getattr(config, name)
        lines += [f"[{name}]", *(_line(key, getattr(table, key)) for key in table.__struct_fields__), ""]
    return "\n".join(lines)


def default_text(values: Mapping[str, str] | None = None) -> str:
    """Return a config file of defaults, every key explained and commented out.

    Args:
        values: by full name (`camera.source`); they stand in place of the defaults, and without the `#`.
    """
    return HEAD + "".join(
        f"\n# {field.type.__doc__}\n[{field.encode_name}]\n"
        + "".join(_explained(field.type, f"{field.encode_name}.", values or {}))
        for field in msgspec.structs.fields(Config)
    )


def _line(key: str, value: object) -> str:
    return f"# {key}: not set" if value is None else f"{key} = {_toml(value)}"


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(key)} = {_toml(inner)}" for key, inner in value.items()) + " }" if value else "{}"
        )
    # JSON's strings, numbers and booleans are TOML's, but for DEL, which TOML wants escaped.
    text = mask_url(value) if isinstance(value, str) else value
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _toml(name)


def _explained(kind: type[Struct], table: str, values: Mapping[str, str]) -> Iterator[str]:
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    for field in info.fields:
        schema = _schema(field.type)
        yield (
            textwrap.fill(schema["description"], WIDTH_CHARACTERS, initial_indent="# ", subsequent_indent="# ") + "\n"
        )
        value = values.get(f"{table}{field.encode_name}")
        if value is None:
            yield f"#{field.encode_name} = {_toml(_default(field, schema))}\n"
        else:
            yield f"{field.encode_name} = {_toml(value)}\n"


def _default(field: mi.Field, schema: dict[str, Any]) -> object:
    """Return the default, or an example where it depends on the machine or the source."""
    if field.default_factory is not NODEFAULT or field.default is None:
        return schema["examples"][0]
    return field.default


def _schema(info: mi.Type) -> dict[str, Any]:
    if isinstance(info, mi.UnionType):
        return _schema(next(arm for arm in info.types if isinstance(arm, mi.Metadata)))
    assert isinstance(info, mi.Metadata)
    return info.extra_json_schema or {}
