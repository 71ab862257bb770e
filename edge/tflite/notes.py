"""Notes of our models: JSON in the file's metadata or beside it."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge.errors import ModelError, one_line
from edge.host.files import read_small
from edge.tflite.metadata import read_metadata

__all__ = ["METADATA_NAME", "SCALED", "Affine", "Decode", "Notes", "Source", "encode_notes", "notes_path", "read_notes"]

METADATA_NAME = "edge-pose"
"""Name of the metadata entry that holds the notes."""
SCALED = ":scaled"
"""Suffix of a head whose channels were rescaled; its values need the factors in the notes."""
FORMAT = 1
MAX_NOTES_BYTES = 1 << 20


class Affine(Struct, frozen=True):
    """Rescaling of a head's channels: real[c] = gain[c] * dequantized[c] + shift[c].

    Attributes:
        gain: (C,) factors, none of them 0.
        shift: (C,) in the unit of the head.
    """

    gain: tuple[float, ...]
    shift: tuple[float, ...]


class Source(Struct, frozen=True):
    """The file or folder that a model was made from.

    Attributes:
        name: of the file or folder, without its path.
        digest: `sha256:…` of its content.
    """

    name: str
    digest: Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]


class Decode(Struct, frozen=True, kw_only=True):
    """Constants of the decode of heads, see `edge.poses.head_maps.DecodeConstants`."""

    peak_tolerance: Annotated[float, Meta(gt=0, lt=1)]
    min_keypoint_score: Annotated[float, Meta(gt=0, lt=1)]
    gaussian: Annotated[float, Meta(gt=0, lt=1)]


class Notes(Struct, frozen=True, kw_only=True):
    """Properties of a model made by our tools.

    Attributes:
        format: version of this record.
        kind: of the outputs, see `ModelSpec.kind`.
        heads: names of the outputs in the graph's order; only for the kind `heads`.
        activation: whether `center` and `heatmap` are logits, or probabilities (after the sigmoid).
        affine: the heads that were rescaled, by name.
        quantization: of weights and activations.
        source: of the model.
        tool: that made it, with its version.
        decode: constants of the decode, as the source has them; unset: those of the published graph.
    """

    format: int = FORMAT
    kind: Literal["multipose", "singlepose", "heads"]
    heads: tuple[str, ...] = ()
    activation: Literal["logits", "probabilities"] = "logits"
    affine: dict[str, Affine] = {}
    quantization: Literal["none", "fp16", "dynamic", "int8"]
    source: Source
    tool: str
    decode: Decode | msgspec.UnsetType = msgspec.UNSET


class _Format(Struct):
    format: int


def encode_notes(notes: Notes) -> bytes:
    """Encode notes as JSON; the same notes give the same bytes."""
    return msgspec.json.encode(notes, order="deterministic")


def notes_path(path: Path) -> Path:
    """Return the path of the notes beside a model file.

    For files that lost their own: Google's Edge TPU compiler drops metadata.
    """
    return path.with_name(f"{path.name}.json")


def read_notes(path: Path) -> Notes | None:
    """Read the notes in a TFLite file, else beside it, else None.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: the file is damaged, or its notes are invalid or of an unknown format.
    """
    content = read_metadata(path, METADATA_NAME, max_bytes=MAX_NOTES_BYTES + 1)
    if content is not None:
        return _decode(content, str(path))
    beside = notes_path(path)
    try:
        content = read_small(beside, MAX_NOTES_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"{beside}: the notes of a model cannot be read: {error.strerror}") from error
    return _decode(content, str(beside), hint=f" (if they do not belong to {path.name}, move them away)")


def _decode(content: bytes, origin: str, *, hint: str = "") -> Notes:
    try:
        problem = _unknown_format(content)
        notes = None if problem else msgspec.json.decode(content, type=Notes)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        notes, problem = None, one_line(error)
    if notes is not None:
        problem = "; ".join(_contradictions(notes))
    if notes is None or problem:
        raise ModelError(f"{origin}: the notes of a model ('{METADATA_NAME}') cannot be used: {problem}{hint}")
    return notes


def _unknown_format(content: bytes) -> str:
    if len(content) > MAX_NOTES_BYTES:
        return f"longer than {MAX_NOTES_BYTES} bytes"
    number = msgspec.json.decode(content, type=_Format).format
    return "" if number == FORMAT else f"format {number}, and {FORMAT} is the only one known here: update edge-pose"


def _contradictions(notes: Notes) -> Iterator[str]:
    if (notes.kind == "heads") != bool(notes.heads):
        yield f"kind '{notes.kind}' with {len(notes.heads)} heads"
    if len(set(notes.heads)) != len(notes.heads):
        yield "one name for two heads"
    for name, affine in notes.affine.items():
        if name not in notes.heads:
            yield f"affine for '{name}', which is none of its heads"
        if len(affine.gain) != len(affine.shift):
            yield f"affine of '{name}' has {len(affine.gain)} gains and {len(affine.shift)} shifts"
        if 0 in affine.gain or not all(map(math.isfinite, affine.gain + affine.shift)):
            yield f"affine of '{name}' has a gain of 0, or a number that is not finite"
