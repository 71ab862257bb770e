"""Finds model files by name or path.

By name a file comes from the package, the mirror, the wheel with models or the cache, and only with the right digest.
"""

import logging
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import InputError, ModelError, UnavailableError
from edge.models.entry import SOURCE_KINDS, ModelEntry
from edge.models.manifest import Manifest
from edge.models.places import MIRROR_VARIABLE, Places

__all__ = [
    "ModelRow",
    "ResolvedModel",
    "accept_digest",
    "expected_digest",
    "find",
    "is_path",
    "model_row",
    "model_rows",
    "resolve",
    "resolve_bundled",
    "resolve_file",
]

DigestState = Literal["ok", "missing", "unreadable", "wrong digest", "no digest"]
Location = Literal["package", "mirror", "wheel", "cache"]
"""Where files by name come from."""

KIND_NAMES = {"savedmodel": "SavedModel", "graph_model": "TensorFlow.js graph model"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model file that may be loaded.

    Attributes:
        name: name in the manifest, or the file's stem.
        path: the file.
        source: where the file was found.
        entry: its manifest entry, whose digest the file has; None for a file given by path.
    """

    name: str
    path: Path
    source: Location | Literal["path"]
    entry: ModelEntry | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model as `edge-pose models` lists it.

    Attributes:
        entry: name, file, kind, licence and so on.
        is_default: True for the model that is used when none is named.
        digest: of the manifest, or accepted on this machine; empty: unknown.
        state: `ok` if the file has its digest; `no digest` if there is a file and no digest is known.
        source: where the file was found, or None.
        path: the file, or None.
        size_bytes: its size, or None.
    """

    entry: ModelEntry
    is_default: bool
    digest: str
    state: DigestState
    source: Location | None = None
    path: Path | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    source: Location
    path: Path
    state: DigestState


def is_path(model: str) -> bool:
    """Return whether text is a path (`./own`, `own.tflite`), not a name in the manifest."""
    return "/" in model or model.endswith(".tflite")


def resolve(
    name: str | None, manifest: Manifest, where: Places, *, fetch: Callable[[ModelEntry], Path] | None = None
) -> ResolvedModel:
    """Find the verified file of a model in mirror or cache; else fetch it.

    The file of a bundled model is only in the package.

    Args:
        name: name in the manifest; None or "" is the default.
        manifest: the models known by name.
        where: the folders to look in.
        fetch: fetches the file of a model into the cache and returns it, verified (`edge.models.fetch.Fetcher.fetch`);
            None: nothing is fetched.

    Raises:
        UnavailableError: the name is unknown, or no place has the file with the right digest.
        ModelError: the model cannot be run.
    """
    entry = manifest.entry(name)
    if entry.kind in SOURCE_KINDS:
        raise ModelError(
            f"model '{entry.name}' is a {KIND_NAMES[entry.kind]}, from which models are made: it cannot be run; "
            "see `edge-pose models list` for those that can"
        )
    if entry.bundled:
        return ResolvedModel(entry.name, resolve_bundled(entry, where), "package", entry)
    found: list[_Finding] = []
    for finding in _findings(entry, where, expected_digest(entry, where)):
        if finding.state == "ok":
            return ResolvedModel(entry.name, finding.path, finding.source, entry)
        found.append(finding)
        _warn(finding, entry)
    if fetch is not None and (entry.can_be_fetched or where.mirror_url):
        return ResolvedModel(entry.name, fetch(entry), "cache", entry)
    looked = ", ".join(f"{finding.source} {finding.path.parent}: {finding.state}" for finding in found)
    raise UnavailableError(
        f"model '{entry.name}' is not on this machine ({looked}): put {entry.file} into one of these "
        f"folders, name a folder that has it in {MIRROR_VARIABLE}, or give a file: --model FILE.tflite"
    )


def resolve_bundled(entry: ModelEntry, where: Places) -> Path:
    """Return the verified file of a bundled model.

    Raises:
        UnavailableError: it is missing or has another digest.
    """
    path = where.package / entry.file
    if (state := _state(entry, entry.digest, path)) != "ok":
        raise UnavailableError(f"bundled model '{entry.name}' is damaged ({path}: {state}): reinstall edge-pose")
    return path


def resolve_file(path: Path) -> ResolvedModel:
    """Accept a model file by its path; the engine checks its content.

    Raises:
        InputError: it is missing, not a file, or cannot be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except FileNotFoundError:
        raise InputError(f"{path}: no such model file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the model file: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: a {'folder' if stat.S_ISDIR(mode) else 'device'}, not a model file")
    return ResolvedModel(path.stem, path, "path")


def model_rows(manifest: Manifest, where: Places) -> list[ModelRow]:
    """Return all models of the manifest, with the state of their files; read-only."""
    return [model_row(name, manifest, where) for name in manifest.entries]


def model_row(name: str | None, manifest: Manifest, where: Places) -> ModelRow:
    """Return one model with its first good file, else its first file.

    Raises:
        UnavailableError: the name is unknown.
    """
    entry = manifest.entry(name)
    is_default, digest = entry.name == manifest.default, expected_digest(entry, where)
    findings = [finding for finding in _findings(entry, where, digest) if finding.state != "missing"]
    if not findings:
        return ModelRow(entry, is_default, digest, "missing")
    best = next((finding for finding in findings if finding.state == "ok"), findings[0])
    size_bytes = None if best.state == "unreadable" else best.path.stat().st_size
    return ModelRow(entry, is_default, digest, best.state, best.source, best.path, size_bytes)


def find(entry: ModelEntry, where: Places, digest: str = "") -> Path | None:
    """Return the first file of a model with the right digest; read-only, no log.

    Args:
        entry: the model.
        where: the folders to look in.
        digest: the right one; empty: `expected_digest`.
    """
    findings = _findings(entry, where, digest or expected_digest(entry, where))
    return next((finding.path for finding in findings if finding.state == "ok"), None)


def expected_digest(entry: ModelEntry, where: Places) -> str:
    """Return the digest of the manifest, else the one accepted on this machine, else "".

    A model built here of weights that its recipe is not for has the digest that was noted when it was built.
    """
    if entry.digest and not entry.built_from:
        return entry.digest
    try:
        words = _accepted_file(entry, where).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return entry.digest
    return f"sha256:{words[0]}" if words and re.fullmatch("[0-9a-f]{64}", words[0]) else entry.digest


def accept_digest(entry: ModelEntry, where: Places, digest: str) -> None:
    """Store the trusted digest of a model that has none in the manifest. Raises OSError.

    Args:
        entry: the model.
        where: its cache gets `<file>.sha256`, in the format of `sha256sum`.
        digest: `sha256:…`.
    """
    _accepted_file(entry, where).write_text(f"{digest.removeprefix('sha256:')}  {entry.file}\n", encoding="utf-8")


def _accepted_file(entry: ModelEntry, where: Places) -> Path:
    # The note of a model built of other weights holds for this version of its recipe only.
    version = f".{entry.sha256[:12].lower()}" if entry.built_from else ""
    return where.cache / f"{entry.file}{version}.sha256"


def _findings(entry: ModelEntry, where: Places, digest: str) -> Iterator[_Finding]:
    if entry.bundled:
        path = where.package / entry.file
        yield _Finding("package", path, _state(entry, digest, path))
        return
    if where.mirror:
        path = where.mirror / entry.file
        yield _Finding("mirror", path, _state(entry, digest, path))
    if where.wheel and (path := where.wheel / entry.file).exists():
        yield _Finding("wheel", path, _state(entry, digest, path))
    path = where.cache / entry.file
    yield _Finding("cache", path, _state(entry, digest, path))


def _state(entry: ModelEntry, digest: str, path: Path) -> DigestState:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "unreadable"  # opening a pipe would block
        if not digest:
            return "no digest"
        return "ok" if entry.digest_of(path) == digest else "wrong digest"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"


def _warn(finding: _Finding, entry: ModelEntry) -> None:
    if finding.state == "unreadable":
        log.warning("%s: not a readable file: not used", finding.path)
    elif finding.state == "wrong digest":
        log.warning("%s: is not the file of model '%s' (wrong digest): not used", finding.path, entry.name)
