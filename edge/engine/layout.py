"""Identifies the heads among a model's outputs.

The file's notes or the tensors' names decide, never shapes alone: two heads have the same shape.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import asdict

from edge.errors import ModelError
from edge.poses.head_maps import HEAD_CHANNELS, HEADS, PUBLISHED_CONSTANTS, DecodeConstants, HeadsSpec, MapSpec
from edge.tflite.notes import SCALED, Notes

__all__ = ["Details", "HeadsLayout", "describe", "find_heads", "shape_of"]

MAX_REAL = 1e6
"""Of a map's values, in cells: far more than any map has, and far from where float32 overflows."""
MAP_DTYPES = ("float32", "int8", "uint8")
WITHOUT_BOXES = 4

SIGMOID = re.compile("sigmoid|logistic", re.IGNORECASE)

# Our own names, and those of the published graph's layers (center_0, kpt_regress_0/conv2d_6/BiasAdd).
NAMES = {
    "center": re.compile(r"(?:^|/)center(?:_0)?(?:$|[/:])"),
    "heatmap": re.compile(r"(?:^|/)(?:kpt_)?heatmap(?:_0)?(?:$|[/:])"),
    "regression": re.compile(r"(?:^|/)(?:kpt_)?regress(?:ion)?(?:_0)?(?:$|[/:])"),
    "offset": re.compile(r"(?:^|/)(?:kpt_)?offset(?:_0)?(?:$|[/:])"),
    "box_scale": re.compile(r"(?:^|/)box_scale(?:_0)?(?:$|[/:])"),
    "box_offset": re.compile(r"(?:^|/)box_offset(?:_0)?(?:$|[/:])"),
}

Details = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HeadsLayout:
    """The outputs of a heads model.

    Attributes:
        indices: the interpreter's index of each map's tensor, in the order of `edge.poses.head_maps.HEADS`.
        maps: their quantization, in the same order.
        logits: True if center and heatmap are given before the sigmoid.
        constants: of the decode.
    """

    indices: tuple[int, ...]
    maps: tuple[MapSpec, ...]
    logits: bool
    constants: DecodeConstants = PUBLISHED_CONSTANTS

    def spec(self, size: tuple[int, int]) -> HeadsSpec:
        """Return the spec for maps of `size` (width, height) in cells."""
        return HeadsSpec(size, self.maps, self.logits, self.constants)


def find_heads(path: str, outputs: Sequence[Details], notes: Notes | None) -> HeadsLayout | None:
    """Identify the heads of a model; None if the outputs are no heads.

    Raises:
        ModelError: they look like heads, but cannot be identified or used; the message says why.
    """
    if not _look_like_heads(outputs):
        if notes is not None and notes.kind == "heads":
            raise ModelError(f"{path}: its notes promise heads, its outputs are {describe(outputs)}")
        return None
    by_name = _by_notes(outputs, notes) if notes is not None and notes.kind == "heads" else _by_name(path, outputs)
    names = HEADS[: len(outputs)]
    for name, channels in zip(names, HEAD_CHANNELS, strict=False):
        if name not in by_name or shape_of(by_name[name])[3] != channels:
            raise ModelError(
                f"{path}: outputs are {describe(outputs)}; needed is '{name}' with {channels} channels "
                f"(heads: {', '.join(names)})"
            )
    return HeadsLayout(
        indices=tuple(int(by_name[name]["index"]) for name in names),
        maps=tuple(_map_spec(path, name, by_name[name], notes) for name in names),
        logits=_are_logits(by_name, notes),
        constants=DecodeConstants(**asdict(notes.decode)) if notes and notes.decode else PUBLISHED_CONSTANTS,
    )


def shape_of(tensor: Details) -> tuple[int, ...]:
    """Return a tensor's shape, -1 for dynamic sides."""
    # The signature keeps -1; `shape` has a placeholder 1 there.
    signature = tensor.get("shape_signature")
    shape = tensor["shape"] if signature is None or len(signature) == 0 else signature
    return tuple(int(side) for side in shape)


def describe(tensors: Sequence[Details]) -> str:
    """Return dtypes and shapes of tensors for a message."""
    return ", ".join(f"{np.dtype(tensor['dtype']).name} {list(shape_of(tensor))}" for tensor in tensors) or "none"


def _look_like_heads(outputs: Sequence[Details]) -> bool:
    shapes = [shape_of(output) for output in outputs]
    if any(len(shape) != 4 for shape in shapes):
        return False
    channels = sorted(shape[3] for shape in shapes)
    return channels in (sorted(HEAD_CHANNELS), sorted(HEAD_CHANNELS[:WITHOUT_BOXES]))


def _by_notes(outputs: Sequence[Details], notes: Notes) -> dict[str, Details]:
    # Names come before the order: a compiler may reorder the outputs.
    named = {str(output["name"]).removesuffix(SCALED): output for output in outputs}
    if len(named) == len(outputs) and set(named) == set(notes.heads):
        return named
    return dict(zip(notes.heads, outputs, strict=False)) if len(notes.heads) == len(outputs) else {}


def _are_logits(by_name: Mapping[str, Details], notes: Notes | None) -> bool:
    """Return whether center and heatmap are given before the sigmoid; without notes by their names."""
    if notes is not None and notes.kind == "heads":
        return notes.activation == "logits"
    return not all(SIGMOID.search(str(by_name[name]["name"])) for name in ("center", "heatmap"))


def _by_name(path: str, outputs: Sequence[Details]) -> dict[str, Details]:
    found: dict[str, Details] = {}
    for output in outputs:
        tensor_name = str(output["name"])
        if tensor_name.endswith(SCALED):
            raise ModelError(
                f"{path}: the notes of this model are lost, and its heads are rescaled: put its notes beside it "
                f"({path}.json), or convert it again"
            )
        # The converter joins the names of what it fused with semicolons.
        names = {name for name, pattern in NAMES.items() for part in tensor_name.split(";") if pattern.search(part)}
        if len(names) != 1:
            raise ModelError(
                f"{path}: which head is '{tensor_name}'? Heads are identified by their names ({', '.join(HEADS)}): "
                "convert the model with tools/convert.py"
            )
        found[names.pop()] = output
    return found


def _map_spec(path: str, name: str, output: Details, notes: Notes | None) -> MapSpec:
    """Merge a map's quantization with the rescaling of its channels: scale and shift per channel."""
    dtype = np.dtype(output["dtype"]).name
    channels = shape_of(output)[3]
    scale, zero_point = (float(value) for value in output["quantization"])
    if dtype not in MAP_DTYPES or (dtype == "float32") != (scale == 0):
        raise ModelError(f"{path}: {name} is {dtype} with a scale of {scale:g}; needed is float32, or quantized int8")
    if dtype == "float32":
        scale, zero_point = 1.0, 0.0
    gain, shift = np.ones(channels), np.zeros(channels)
    affine = notes.affine.get(name) if notes is not None else None
    if affine is not None:
        if len(affine.gain) != channels:
            raise ModelError(f"{path}: its notes rescale {len(affine.gain)} channels of {name}, which has {channels}")
        gain, shift = np.array(affine.gain), np.array(affine.shift)
    scales = gain * scale
    shifts = shift - scales * zero_point
    if not (np.abs(np.concatenate([scales, shifts])) <= MAX_REAL).all():  # false for NaN too
        raise ModelError(f"{path}: the values of {name} are scaled or shifted beyond {MAX_REAL:g}: its file is damaged")
    return MapSpec(dtype, scales.astype(np.float32), shifts.astype(np.float32))
