"""The manifest: which models can be asked for by name, and what their files must hold."""

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from edge.config.check import check_table, parse_toml, printable, read_toml, shown, suggestion
from edge.errors import ConfigError, UnavailableError
from edge.models.entry import SOURCE_KIND, EntryTable, ModelEntry

__all__ = ["MANIFEST_NAME", "Manifest", "lay_over", "load_manifest"]

MANIFEST_NAME = "models.toml"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All models by name, and the name that is taken when none is asked for."""

    default: str
    entries: Mapping[str, ModelEntry]

    def entry(self, name: str | None = None) -> ModelEntry:
        """Return a model by name; None or "" is the default. Raises UnavailableError for an unknown name."""
        name = name or self.default
        if name not in self.entries:
            hint = suggestion(name, self.entries)
            raise UnavailableError(
                f"model {shown(name)} is not in the manifest{hint}; known: {', '.join(self.entries)}; "
                "a model file of your own is given by its path"
            )
        return self.entries[name]


def load_manifest(mirror: Path | None = None) -> Manifest:
    """Read the product's manifest and lay a mirror folder's own over it.

    An entry of the mirror replaces the product's of the same name as a whole.

    Raises:
        ConfigError: one line for every mistake; above all, an entry without a digest.
        UnavailableError: the mirror's manifest is there but cannot be read.
    """
    text = (importlib.resources.files("edge") / MANIFEST_NAME).read_text(encoding="utf-8")
    manifest = lay_over(Manifest("", {}), parse_toml(text), MANIFEST_NAME, is_own=True)
    if mirror is None:
        return manifest
    path = mirror / MANIFEST_NAME
    try:
        if not path.exists():
            return manifest
        tables = read_toml(path, "model manifest")
    except OSError as error:  # InputError is one too
        raise UnavailableError(str(error)) from None
    return lay_over(manifest, tables, str(path))


def lay_over(under: Manifest, tables: Mapping[str, Any], origin: str, *, is_own: bool = False) -> Manifest:
    """Check one manifest and lay it over another; see `load_manifest`.

    Args:
        under: what stays where the tables say nothing.
        tables: parsed from TOML.
        origin: their file or URL, which begins every complaint.
        is_own: whether they came with the program.

    Raises:
        ConfigError: one line for every mistake.
    """
    problems: list[str] = []
    entries = dict(under.entries)
    default = tables.get("default", under.default)
    for name, table in tables.items():
        if name == "default" or (not is_own and _comes_along(table, under.entries.get(name))):
            continue
        entry, complaints = _entry(name, table, is_own=is_own)
        problems += [f"{printable(name)}{text}" for text in complaints]
        if entry:
            entries[name] = entry
    problems = problems or list(_dangling(default, entries))  # a bad entry would look like a missing one
    if problems:
        raise ConfigError(*(f"{origin}: {problem}" for problem in problems))
    linked = {name: replace(entry, source=entries.get(entry.derived_from)) for name, entry in entries.items()}
    return Manifest(default, linked)


def _comes_along(table: object, entry: ModelEntry | None) -> bool:
    """Return whether a mirror's table is a copy of one of a model that came with the program: nothing new."""
    return isinstance(table, dict) and bool(table.get("bundled")) and entry is not None and entry.bundled


def _entry(name: str, table: object, *, is_own: bool) -> tuple[ModelEntry | None, list[str]]:
    """Check one model's table; return the model, or what is wrong, each to follow its name."""
    if not isinstance(table, dict):
        return None, [": unknown key" + suggestion(name, ["default"])]
    good, found = check_table(EntryTable, table)
    complaints = [f".{key}: {text}" for key, text in found.items()]
    if not re.fullmatch(r"\w[\w.+-]*", name, re.ASCII) or name.endswith(".tflite"):
        complaints.append(": a model's name has letters, digits and - _ . + only, and does not end in .tflite")
    if not {"sha256", "git_blob"} & table.keys() and table.get("kind") != SOURCE_KIND:
        complaints.append(": no sha256 or git_blob: a file without a known digest is never loaded by name")
    if {"sha256", "git_blob"} <= table.keys():
        complaints.append(": give sha256 or git_blob, not both")
    if table.get("derived_from") and not (table.get("size") and table.get("sha256") and table.get("kind") == "heads"):
        complaints.append('.derived_from: needs size, sha256 and kind = "heads"')
    if bool(table.get("derived_from")) != bool(table.get("size")) or {"derived_from", "url"} <= table.keys():
        complaints.append(".derived_from: goes with size, and not with url")
    if table.get("bundled") and not is_own:
        complaints.append(".bundled: only what came with the program is: put the file into the mirror or the cache")
    return (None, complaints) if complaints else (ModelEntry(name=name, **asdict(EntryTable(**good))), [])


def _dangling(default: object, entries: Mapping[str, ModelEntry]) -> Iterator[str]:
    if not isinstance(default, str) or default not in entries:
        hint = suggestion(default, entries) if isinstance(default, str) else ""
        yield f"default: {shown(default)} is not one of the models{hint}"
    elif entries[default].kind == SOURCE_KIND:
        yield f"default: {shown(default)} is not a model that can be run"
    for entry in entries.values():
        if entry.cpu_twin and (entry.cpu_twin not in entries or not _for_processor(entries[entry.cpu_twin])):
            yield f"{entry.name}.cpu_twin: {shown(entry.cpu_twin)} is not a model for the processor"
        if entry.derived_from and not _derivable(entries.get(entry.derived_from)):
            yield f"{entry.name}.derived_from: {shown(entry.derived_from)} is not a singlepose model for the processor"


def _for_processor(entry: ModelEntry) -> bool:
    return not entry.delegate and entry.kind != SOURCE_KIND


def _derivable(entry: ModelEntry | None) -> bool:
    return entry is not None and entry.kind == "singlepose" and not entry.delegate
