"""The manifest: the models known by name, with their digests."""

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from edge.config.check import check_table, parse_toml, printable, read_toml, shown, suggestion
from edge.errors import ConfigError, UnavailableError
from edge.models.entry import GRAPH_FOLDER, SOURCE_KINDS, EntryTable, ModelEntry

__all__ = ["MANIFEST_NAME", "Manifest", "load_manifest", "merge"]

MANIFEST_NAME = "models.toml"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All models by name, and the name of the default."""

    default: str
    entries: Mapping[str, ModelEntry]

    def entry(self, name: str | None = None) -> ModelEntry:
        """Return a model by name, "" being the default. Raises UnavailableError if unknown."""
        name = name or self.default
        if name not in self.entries:
            if Path(name).exists():
                raise UnavailableError(
                    f"{printable(name)}: is no .tflite file, and no model's name: edge-pose models list"
                )
            near = [known for known in (self.default, *self.entries) if name and known.startswith(name)]
            hint = suggestion(near[0] if near else name, self.entries) or f"; known: {', '.join(self.entries)}"
            raise UnavailableError(
                f"model {shown(name)} is not in the manifest{hint}; `edge-pose models list` has all, a model file of "
                "your own is given by its path"
            )
        return self.entries[name]


def load_manifest(mirror: Path | None = None) -> Manifest:
    """Read the package's manifest, and merge that of a mirror folder.

    An entry of the mirror replaces the package's entry of the same name as a whole.

    Raises:
        ConfigError: one line for every mistake, such as an entry without a digest.
        UnavailableError: the mirror's manifest exists but cannot be read.
    """
    text = (importlib.resources.files("edge") / MANIFEST_NAME).read_text(encoding="utf-8")
    manifest = merge(Manifest("", {}), parse_toml(text), MANIFEST_NAME, is_own=True)
    if mirror is None:
        return manifest
    path = mirror / MANIFEST_NAME
    try:
        if not path.exists():
            return manifest
        tables = read_toml(path, "model manifest")
    except OSError as error:  # InputError is one too
        raise UnavailableError(str(error)) from None
    return merge(manifest, tables, str(path))


def merge(base: Manifest, tables: Mapping[str, Any], origin: str, *, is_own: bool = False) -> Manifest:
    """Check a manifest and merge it into another; see `load_manifest`.

    Args:
        base: what is kept where the tables have no entry.
        tables: parsed from TOML.
        origin: their file or URL, for messages.
        is_own: whether they are the package's.

    Raises:
        ConfigError: one line for every mistake.
    """
    problems: list[str] = []
    entries = dict(base.entries)
    default = tables.get("default", base.default)
    for name, table in tables.items():
        if name == "default" or (not is_own and _is_bundled_copy(table, base.entries.get(name))):
            continue
        entry, complaints = _entry(name, table, is_own=is_own)
        problems += [f"{printable(name)}{text}" for text in complaints]
        if entry:
            entries[name] = entry
    problems = problems or list(_broken_references(default, entries))  # a bad entry would look like a missing one
    if problems:
        raise ConfigError(*(f"{origin}: {problem}" for problem in problems))
    linked = {
        name: replace(
            entry,
            source=entries.get(entry.derived_from),
            sources=tuple(entries[each] for each in entry.built_from),
        )
        for name, entry in entries.items()
    }
    return Manifest(default, linked)


def _is_bundled_copy(table: object, entry: ModelEntry | None) -> bool:
    """Return whether a mirror's table is a copy of that of a bundled model, to be ignored."""
    return isinstance(table, dict) and bool(table.get("bundled")) and entry is not None and entry.bundled


def _entry(name: str, table: object, *, is_own: bool) -> tuple[ModelEntry | None, list[str]]:
    """Check one model's table; return the model, or complaints that follow its name."""
    if not isinstance(table, dict):
        return None, [": unknown key" + suggestion(name, ["default"])]
    good, found = check_table(EntryTable, table)
    complaints = [f".{key}: {text}" for key, text in found.items()]
    if not re.fullmatch(r"\w[\w.+-]*", name, re.ASCII) or name.endswith(".tflite"):
        complaints.append(": a model's name has letters, digits and - _ . + only, and does not end in .tflite")
    if not {"sha256", "git_blob"} & table.keys() and table.get("kind") not in SOURCE_KINDS:
        complaints.append(": no sha256 or git_blob: a file without a known digest is never loaded by name")
    if {"sha256", "git_blob"} <= table.keys():
        complaints.append(": give sha256 or git_blob, not both")
    if table.get("derived_from") and not (table.get("size") and table.get("sha256") and table.get("kind") == "heads"):
        complaints.append('.derived_from: needs size, sha256 and kind = "heads"')
    made = bool(table.get("derived_from") or table.get("built_from"))
    if made != bool(table.get("size")) or (made and "url" in table):
        complaints.append(".size: goes with derived_from or built_from, and these not with url")
    complaints += _graph_complaints(table)
    if table.get("bundled") and not is_own:
        complaints.append(".bundled: only for files in the package: put this one into the mirror or the cache")
    if complaints:
        return None, complaints
    entry = ModelEntry(name=name, **asdict(EntryTable(**good)))
    return (replace(entry, file=f"{GRAPH_FOLDER}/{entry.file}") if entry.members else entry), []


def _graph_complaints(table: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the keys of graph models, and of models built from them."""
    is_graph = table.get("kind") == "graph_model"
    if is_graph != bool(table.get("members")) or (is_graph and {"sha256", "git_blob", "url"} & table.keys()):
        yield '.members: go with kind = "graph_model", and not with url, sha256 or git_blob'
    elif is_graph and table.get("file") not in [str(name).rpartition("/")[2] for name in table["members"]]:
        yield ".file: must be the .json file of the members"
    if len({"package", "version"} & table.keys()) == 1 or ("package" in table and not is_graph):
        yield '.package: goes with version, and with kind = "graph_model"'
    if bool(table.get("built_from")) != bool(table.get("recipe")) or (
        table.get("built_from") and not (table.get("sha256") and table.get("kind") == "heads")
    ):
        yield '.built_from: needs recipe, size, sha256 and kind = "heads"'


def _broken_references(default: object, entries: Mapping[str, ModelEntry]) -> Iterator[str]:
    if not isinstance(default, str) or default not in entries:
        hint = suggestion(default, entries) if isinstance(default, str) else ""
        yield f"default: {shown(default)} is not one of the models{hint}"
    elif entries[default].kind in SOURCE_KINDS:
        yield f"default: {shown(default)} is not a model that can be run"
    for entry in entries.values():
        if entry.cpu_twin and (entry.cpu_twin not in entries or not _for_cpu(entries[entry.cpu_twin])):
            yield f"{entry.name}.cpu_twin: {shown(entry.cpu_twin)} is not a model for the processor"
        for name in entry.built_from:
            if name not in entries or not (entries[name].members or entries[name].kind == "multipose"):
                yield f"{entry.name}.built_from: {shown(name)} is neither a graph model nor a multipose model"
        if entry.derived_from and not _derivable(entries.get(entry.derived_from)):
            yield f"{entry.name}.derived_from: {shown(entry.derived_from)} is not a singlepose model for the processor"


def _for_cpu(entry: ModelEntry) -> bool:
    return not entry.delegate and entry.kind not in SOURCE_KINDS


def _derivable(entry: ModelEntry | None) -> bool:
    return entry is not None and entry.kind == "singlepose" and not entry.delegate
