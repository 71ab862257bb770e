"""The manifest: which models can be asked for by name, and what their files must hold."""

import hashlib
import importlib.resources
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from edge.config_check import check_table, parse_toml, printable, read_toml, shown, suggestion
from edge.config_schema import parse_size
from edge.errors import ConfigError, UnavailableError

__all__ = ["MANIFEST_NAME", "SOURCE_KIND", "Manifest", "ModelEntry", "check_url", "lay_over", "load_manifest"]

MANIFEST_NAME = "models.toml"
SOURCE_KIND = "savedmodel"
"""Not a model to run but what one is converted from."""


def _check_file(name: str) -> None:
    # Only a plain name can be joined to the mirror or the cache and stay inside it.
    if not re.fullmatch(r"[\w][\w.+-]*", name, re.ASCII):
        raise ValueError(f"must be a plain file name without a folder, got {shown(name)}")


def check_url(url: str) -> None:
    """Accept an http or https address that can be shown to anyone.

    Raises:
        ValueError: another scheme, no host, credentials, or what has to be written as %20 and so on; the text
            does not repeat the address.
    """
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError for one that is no number
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address that begins with https:// or http://")
    if parts.username is not None:
        raise ValueError("must not hold a user name or password: others could read them")
    if not url.isascii() or any(character.isspace() for character in url):
        raise ValueError("must be ASCII without spaces")


def _check_member(name: str) -> None:
    if name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
        raise ValueError(f"must be the path of a file inside the archive, got {shown(name)}")


def _check_sha256(digest: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{64}", digest):
        raise ValueError("must be 64 hexadecimal digits")


def _check_git_blob(digest: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{40}", digest):
        raise ValueError("must be 40 hexadecimal digits")


def _check_derived_size(size: str) -> None:
    if parse_size(size) is None:
        raise ValueError("must be HxW, height first")


class EntryTable(Struct, frozen=True, kw_only=True):
    """The keys of one model's table in the manifest."""

    file: Annotated[str, Meta(extra={"check": _check_file})]
    kind: Literal["multipose", "singlepose", "heads", "savedmodel"]
    licence: str
    url: Annotated[str, Meta(extra={"check": check_url})] = ""
    member: Annotated[str, Meta(extra={"check": _check_member})] = ""
    sha256: Annotated[str, Meta(extra={"check": _check_sha256})] = ""
    git_blob: Annotated[str, Meta(extra={"check": _check_git_blob})] = ""
    delegate: Literal["edgetpu", ""] = ""
    cpu_twin: str = ""
    derived_from: str = ""
    size: Annotated[str, Meta(extra={"check": _check_derived_size})] = ""


class ModelEntry(EntryTable, frozen=True, kw_only=True):
    """One model of the manifest.

    Attributes:
        name: what `--model` takes.
        file: its file's name in a mirror and in the cache.
        kind: `multipose` ([1, 6, 56]), `singlepose` ([1, 1, 17, 3]) or `heads` (the raw maps); `savedmodel` is
            what models are converted from, and is not run.
        licence: of the weights.
        url: where it is published; empty if nowhere.
        member: name inside the archive behind `url`; empty when `url` is the file itself.
        sha256: digest of the file, or empty.
        git_blob: the id that git gives the content, or empty: SHA-1 over "blob <size in bytes>", a zero byte
            and the content. One of the two digests is always there, but for a `savedmodel`.
        delegate: the accelerator it was compiled for; empty: none.
        cpu_twin: name of the same model for the processor; empty: none.
        derived_from: name of the singlepose model that it is made of on this machine; empty: it is published.
        size: `HxW` of a derived model's input.
        source: the entry that `derived_from` names.
    """

    name: str
    source: "ModelEntry | None" = None

    @property
    def digest(self) -> str:
        """What the file must hold, as `sha256:…` or `git_blob:…`, lower case; empty where nobody has told."""
        if self.git_blob:
            return f"git_blob:{self.git_blob}".lower()
        return f"sha256:{self.sha256}".lower() if self.sha256 else ""

    def digest_of(self, path: Path) -> str:
        """Compute the digest of a file in the form of `digest`, sha256 where that is empty. Raises OSError."""
        with path.open("rb") as file:
            if not self.git_blob:
                return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            head = b"blob %d\0" % os.fstat(file.fileno()).st_size
            content = hashlib.file_digest(file, lambda: hashlib.sha1(head, usedforsecurity=False))
            return f"git_blob:{content.hexdigest()}"


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
    manifest = lay_over(Manifest("", {}), text, MANIFEST_NAME)
    if mirror is None:
        return manifest
    path = mirror / MANIFEST_NAME
    try:
        if not path.exists():
            return manifest
        tables = read_toml(path, "model manifest")
    except OSError as error:  # InputError is one too
        raise UnavailableError(str(error)) from None
    return _lay_over(manifest, tables, str(path))


def lay_over(under: Manifest, text: str, origin: str) -> Manifest:
    """Lay the text of one manifest over another; see `load_manifest`.

    Args:
        under: what stays where the text says nothing.
        text: TOML.
        origin: the text's file or URL, which begins every complaint.

    Raises:
        ConfigError: one line for every mistake.
    """
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise ConfigError(f"{origin}: not valid TOML: {error}") from None
    return _lay_over(under, tables, origin)


def _lay_over(under: Manifest, tables: Mapping[str, Any], origin: str) -> Manifest:
    """Check the tables of one file and lay them over a manifest; `origin` begins every complaint."""
    problems: list[str] = []
    entries = dict(under.entries)
    default = tables.get("default", under.default)
    for name, table in tables.items():
        if name == "default":
            continue
        entry, complaints = _entry(name, table)
        problems += [f"{printable(name)}{text}" for text in complaints]
        if entry:
            entries[name] = entry
    problems = problems or list(_dangling(default, entries))  # a bad entry would look like a missing one
    if problems:
        raise ConfigError(*(f"{origin}: {problem}" for problem in problems))
    linked = {name: replace(entry, source=entries.get(entry.derived_from)) for name, entry in entries.items()}
    return Manifest(default, linked)


def _entry(name: str, table: object) -> tuple[ModelEntry | None, list[str]]:
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
