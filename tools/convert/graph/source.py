"""Finds the SavedModel or graph model: a folder, a file, or a manifest name."""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.download.archive import is_gzip
from edge.download.progress import ConsoleProgress
from edge.errors import InputError, ModelError
from edge.models.fetch import Fetcher
from edge.models.files import find, is_path
from edge.models.mirror import known_models
from edge.models.places import places
from edge.tflite.magic import is_tflite
from edge.tflite.notes import Source, read_notes
from tools.convert.graph.unpack import unpack_saved_model

__all__ = ["SavedModel", "graph_model_of", "open_source"]

MODEL_FILE = "saved_model.pb"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A SavedModel on disk.

    Attributes:
        folder: where `saved_model.pb` lies.
        path: the folder or archive that it is read from.
        name: a plain name, for messages and for the names of files made from it.
        origin: for the notes.
    """

    folder: Path
    path: Path
    name: str
    origin: Source


def graph_model_of(source: str) -> Path | None:
    """Return the file or folder of a TensorFlow.js graph model; None if `source` is something else.

    Args:
        source: a .json file, a folder with one, or the name of a model in the manifest, which is fetched if need be.

    Raises:
        InputError: the folder cannot be read.
        UnavailableError: the model by name is unknown, or cannot be had.
    """
    path = Path(source)
    if path.suffix == ".json":
        return path
    if _is_there(path) or is_path(source):
        is_model = path.is_dir() and not (path / MODEL_FILE).exists() and any(path.glob("*.json"))
        return path if is_model else None
    where = places(os.environ)
    entry = known_models(where).entry(source)
    if entry.kind != "graph_model":
        return None
    return find(entry, where) or Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch(entry)


@contextlib.contextmanager
def open_source(source: str) -> Iterator[SavedModel]:
    """Provide the SavedModel behind `source`; unpacked files are deleted at the end.

    Args:
        source: a folder, a .tar.gz archive, or the name of a model in the manifest, which is fetched if need be.

    Raises:
        InputError: nothing of the kind is there, or it cannot be read.
        ModelError: it is there and no SavedModel; an archive that is truncated or damaged.
        UnavailableError: the model by name cannot be had.
    """
    path = Path(source)
    if not _is_there(path) and not is_path(source):
        path = _by_name(source)
    if path.is_dir():
        name = path.resolve().name
        yield SavedModel(_model_folder(path), path, name, Source(name, _digest_of_folder(path)))
        return
    _check_file(path)
    with tempfile.TemporaryDirectory(prefix="edge-pose-") as folder:
        unpack_saved_model(path, Path(folder))
        yield SavedModel(Path(folder), path, _stem(path), Source(path.name, _digest(path)))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read: {error.strerror}")


def _by_name(name: str) -> Path:
    where = places(os.environ)
    entry = known_models(where).entry(name)
    if entry.kind != "savedmodel":
        raise ModelError(
            f"model '{name}' is not a SavedModel but a {entry.kind} file: convert starts from a SavedModel; "
            "`edge-pose models derive` makes heads of the int8 Lightning"
        )
    return find(entry, where) or Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch(entry)


def _model_folder(folder: Path) -> Path:
    graph = folder / MODEL_FILE
    if not _is_there(graph) or not graph.is_file():
        raise InputError(f"{folder}: no SavedModel: there is no {MODEL_FILE} in it")
    return folder


def _check_file(path: Path) -> None:
    """Refuse a file that is no archive, naming what it is.

    Raises InputError or ModelError.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such SavedModel folder, archive or model name")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise _unreadable(path, error) from error
    if is_tflite(head):
        raise ModelError(f"{path}: {_tflite_problem(path)}")
    if not is_gzip(head):
        raise InputError(f"{path}: neither a SavedModel folder nor a .tar.gz archive")


def _tflite_problem(path: Path) -> str:
    notes = read_notes(path)
    if notes and notes.kind == "heads":
        return f"already cut at its heads ({notes.tool}): run it as it is"
    return "a TFLite file, not a SavedModel; `edge-pose models derive` makes heads of the int8 Lightning"


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".tgz").removesuffix(".tar")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _digest_of_folder(folder: Path) -> str:
    """Return one digest of a folder: sha256 over its `sha256sum` lines.

    The lines are sorted by file name.
    """
    lines = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            digest = _digest(path).removeprefix("sha256:")
        except OSError as error:
            raise _unreadable(path, error) from error
        lines.update(f"{digest}  {path.relative_to(folder).as_posix()}\n".encode())
    return f"sha256:{lines.hexdigest()}"
