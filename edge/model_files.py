"""Where a model's file lies on this machine: in the mirror, in the cache, or at a path; never unverified."""

import logging
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import InputError, UnavailableError
from edge.manifest import Manifest, ModelEntry

__all__ = [
    "ModelRow",
    "Places",
    "ResolvedModel",
    "is_path",
    "model_row",
    "model_rows",
    "places",
    "resolve",
    "resolve_file",
]

MIRROR_VARIABLE = "EDGE_POSE_MODEL_MIRROR"
DigestState = Literal["ok", "missing", "unreadable", "wrong digest"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """The folders that model files by name come from; the mirror first."""

    mirror: Path | None
    cache: Path


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model file that may be loaded.

    Attributes:
        name: name in the manifest, or the file's stem.
        path: the file.
        source: where it came from.
        entry: its manifest entry, whose digest the file has; None for a file given by path.
    """

    name: str
    path: Path
    source: Literal["mirror", "cache", "path"]
    entry: ModelEntry | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What `edge-pose models` tells about one model.

    Attributes:
        entry: name, file, kind, licence and so on.
        is_default: True for the model that is taken when none is asked for.
        state: `ok` when the file is there and has its digest.
        source: where the file was found, or None.
        path: the file, or None.
        size_bytes: its size, or None.
    """

    entry: ModelEntry
    is_default: bool
    state: DigestState
    source: Literal["mirror", "cache"] | None = None
    path: Path | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    source: Literal["mirror", "cache"]
    path: Path
    state: DigestState


def is_path(model: str) -> bool:
    """Tell a model file (`./own`, `own.tflite`) from the name of a model in the manifest."""
    return "/" in model or model.endswith(".tflite")


def places(environ: Mapping[str, str]) -> Places:
    """Return the folders that the environment names.

    The mirror is `EDGE_POSE_MODEL_MIRROR`. The cache is the first of `EDGE_POSE_CACHE`, systemd's
    `CACHE_DIRECTORY`, and `edge-pose` in the user's cache folder (XDG Base Directory Specification).

    Raises:
        UnavailableError: the mirror is not a folder.
    """
    mirror = environ.get(MIRROR_VARIABLE, "")
    if "://" in mirror:
        raise UnavailableError(f"{MIRROR_VARIABLE}: only a folder can be the mirror yet, not a URL")
    if mirror and not _is_folder(Path(mirror)):
        raise UnavailableError(
            f"{MIRROR_VARIABLE}: {mirror} is not a folder that can be read: mount it, or unset the variable"
        )
    return Places(mirror=Path(mirror) if mirror else None, cache=_cache(environ))


def resolve(name: str | None, manifest: Manifest, where: Places) -> ResolvedModel:
    """Find the file of a model in the mirror, then in the cache, and verify its digest.

    A file in the cache with a wrong digest is renamed to `….bad`; one in the mirror is left alone.

    Args:
        name: name in the manifest; None or "" is the default.
        manifest: the models known by name.
        where: the folders to look in.

    Raises:
        UnavailableError: the name is unknown, or no place has the file with the right digest.
    """
    entry = manifest.entry(name)
    found: list[_Finding] = []
    for finding in _look(entry, where):
        if finding.state == "ok":
            return ResolvedModel(entry.name, finding.path, finding.source, entry)
        found.append(finding)
        _report(finding, entry)
    looked = ", ".join(f"{finding.source} {finding.path.parent}: {finding.state}" for finding in found)
    raise UnavailableError(
        f"model '{entry.name}' is not on this machine ({looked}): put {entry.file} into one of these "
        f"folders, name a folder that has it in {MIRROR_VARIABLE}, or give a file: --model FILE.tflite"
    )


def resolve_file(path: Path) -> ResolvedModel:
    """Accept a model file by its path; what it holds is the engine's business.

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
    """Return every model of the manifest with what is known about its file; changes nothing."""
    return [model_row(name, manifest, where) for name in manifest.entries]


def model_row(name: str | None, manifest: Manifest, where: Places) -> ModelRow:
    """Return one model with the first good file, else with the first file there is.

    Raises:
        UnavailableError: the name is unknown.
    """
    entry = manifest.entry(name)
    is_default = entry.name == manifest.default
    findings = [finding for finding in _look(entry, where) if finding.state != "missing"]
    if not findings:
        return ModelRow(entry, is_default, "missing")
    best = next((finding for finding in findings if finding.state == "ok"), findings[0])
    size_bytes = None if best.state == "unreadable" else best.path.stat().st_size
    return ModelRow(entry, is_default, best.state, best.source, best.path, size_bytes)


def _cache(environ: Mapping[str, str]) -> Path:
    systemd = environ.get("CACHE_DIRECTORY", "").split(":")[0]  # systemd joins several by colons
    if own := environ.get("EDGE_POSE_CACHE") or systemd:
        return Path(own)
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the specification wants a relative one ignored
        base = Path(environ.get("HOME") or "/var") / (".cache" if environ.get("HOME") else "cache")
    return base / "edge-pose"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no permission to look
        return False


def _look(entry: ModelEntry, where: Places) -> Iterator[_Finding]:
    if where.mirror:
        path = where.mirror / entry.file
        yield _Finding("mirror", path, _state(entry, path))
    path = where.cache / entry.file
    yield _Finding("cache", path, _state(entry, path))


def _state(entry: ModelEntry, path: Path) -> DigestState:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "unreadable"  # opening a pipe would wait for ever
        return "ok" if entry.digest_of(path) == entry.digest else "wrong digest"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"


def _report(finding: _Finding, entry: ModelEntry) -> None:
    if finding.state == "missing":
        return
    if finding.state == "unreadable":
        log.warning("%s: cannot be read as a file: not used", finding.path)
    elif finding.source == "mirror":
        log.warning("%s: is not the file of model '%s' (wrong digest): not used", finding.path, entry.name)
    else:
        log.warning("%s: is not the file of model '%s' (wrong digest): set aside", finding.path, entry.name)
        _set_aside(finding.path)


def _set_aside(path: Path) -> None:
    try:
        path.replace(path.with_name(f"{path.name}.bad"))
    except OSError as error:
        log.warning("%s: cannot be renamed: %s", path, error.strerror)
