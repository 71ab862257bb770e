"""The int8 form of a published network, as data: applied with NumPy alone.

A recipe is what a calibration found, relative to the published weights. A weight's code is

    rint(weight * gain[output] * reach[input]) + correction

where gain and reach hold the channel's scale and all factors that went from one layer to another; corrections are small
whole numbers, mostly 0. Biases, scales and zero points are stored as they are. Only element-wise operations of float64
are used, so that the result is the same to the bit on every machine.

The file is `lzma` of: length of the header (4 bytes, little-endian), header (JSON), arrays in the order of the layers.
"""

import hashlib
import lzma
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from edge.errors import InputError, ModelError, one_line
from edge.graph.network import Layer, Network
from edge.graph.rounded import Codes, Rounded
from edge.poses.head_maps import HEADS
from edge.tflite.notes import Affine

__all__ = [
    "LayerArrays",
    "LayerRecipe",
    "OtherWeightsError",
    "Recipe",
    "RecipeHeader",
    "apply",
    "code_digest",
    "encode_recipe",
    "expanded",
    "predicted",
    "read_recipe",
]

FORMAT = 1
MAX_FILE_BYTES = 4 << 20
MAX_BYTES = 32 << 20
"""Of an unpacked recipe."""
FIELDS = (("gain", "<f4"), ("reach", "<f4"), ("scales", "<f4"), ("bias", "<i4"), ("corrections", "|i1"))
"""Of `LayerArrays`, as they lie in the file."""
DAMAGES = (LookupError, TypeError, ValueError, ArithmeticError, StopIteration, struct.error)
EMPTY = np.empty(0, np.float32)

Small = Annotated[int, Meta(ge=0, le=100_000)]


class LayerRecipe(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One layer of the int8 network.

    Attributes:
        kind: see `Layer`.
        inputs: tensors that it reads.
        output: the tensor that it makes.
        activation: see `Layer`.
        stride: (vertical, horizontal).
        padding: `SAME` or `VALID`.
        align_corners: of a resize.
        half_pixel_centers: of a resize.
        factor: by which a resize enlarges.
        sources: outputs of the published layers whose weights are multiplied to its own.
        rows: how often their output channels are repeated.
        columns: how often their input channels are repeated.
    """

    kind: Literal["conv", "depthwise", "add", "resize"]
    inputs: tuple[Small, ...]
    output: Small
    activation: Annotated[str, Meta(pattern="^(none|relu|relu6)$")] = "none"
    stride: tuple[Annotated[int, Meta(ge=1, le=32)], Annotated[int, Meta(ge=1, le=32)]] = (1, 1)
    padding: Annotated[str, Meta(pattern="^(SAME|VALID)$")] = "SAME"
    align_corners: bool = False
    half_pixel_centers: bool = False
    factor: Annotated[int, Meta(ge=1, le=4)] = 1
    sources: Annotated[tuple[Small, ...], Meta(max_length=2)] = ()
    rows: Annotated[int, Meta(ge=1, le=2)] = 1
    columns: Annotated[int, Meta(ge=1, le=2)] = 1


class RecipeHeader(Struct, frozen=True, kw_only=True):
    """All of a recipe but its arrays.

    Attributes:
        format: version of the file.
        weights: digest of the published weights that it belongs to, see `Published.digest`.
        codes: digest of the int8 weights that it gives.
        tool: that made it, with its version.
        calibration: the pictures that it was made with.
        layers: in the order of execution.
        quantization: (tensor, scale, zero) of each tensor.
        heads: tensor by head.
        affine: see `edge.tflite.notes.Notes`.
    """

    format: int = FORMAT
    weights: Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
    codes: Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
    tool: str
    calibration: str
    layers: Annotated[tuple[LayerRecipe, ...], Meta(max_length=1000)]
    quantization: tuple[tuple[Small, Annotated[float, Meta(gt=0)], Annotated[int, Meta(ge=-128, le=127)]], ...]
    heads: dict[str, int]
    affine: dict[str, Affine]


class _Version(Struct, frozen=True):
    format: int


class OtherWeightsError(ModelError):
    """The recipe is for other weights."""


@dataclass(frozen=True, slots=True)
class LayerArrays:
    """What one convolution needs beside its published weights.

    Attributes:
        gain: float32 (O,) or (C,) of a depthwise layer.
        reach: float32 (I,); 1 of a depthwise layer.
        scales: float32 (O,), see `Rounded`.
        bias: int32 (O,).
        corrections: int8, shaped like the weights.
    """

    gain: NDArray[np.float32]
    reach: NDArray[np.float32]
    scales: NDArray[np.float32]
    bias: NDArray[np.int32]
    corrections: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe and the bytes of its arrays."""

    header: RecipeHeader
    content: bytes
    origin: str


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: no such file, or it cannot be read.
        ModelError: it is damaged, or of another version.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: the int8 recipe cannot be read: {error.strerror}: reinstall edge-pose") from error
    if len(packed) > MAX_FILE_BYTES:
        raise ModelError(f"{path}: no int8 recipe: longer than {MAX_FILE_BYTES} bytes")
    try:
        unpacker = lzma.LZMADecompressor(memlimit=128 << 20)
        content = unpacker.decompress(packed, MAX_BYTES)
        if not unpacker.eof:
            raise ModelError(f"{path}: the int8 recipe is truncated, or unpacks to more than {MAX_BYTES} bytes")
        (length,) = struct.unpack_from("<I", content)
        head = content[4 : 4 + length]
        version = msgspec.json.decode(head, type=_Version).format  # before the rest, which another format may lack
        if version != FORMAT:
            raise ModelError(f"{path}: the int8 recipe is of format {version}; {FORMAT} is known: update edge-pose")
        header = msgspec.json.decode(head, type=RecipeHeader)
    except (lzma.LZMAError, EOFError, struct.error, msgspec.DecodeError, UnicodeDecodeError, MemoryError) as error:
        raise ModelError(f"{path}: the int8 recipe is damaged: {one_line(error)}: reinstall edge-pose") from error
    return Recipe(header, content[4 + length :], str(path))


def apply(recipe: Recipe, published: Network, digest: str) -> tuple[Network, dict[int, Codes], dict[int, Rounded]]:
    """Return the int8 network of a published one: its layers, tensors' and convolutions' codes.

    Args:
        recipe: for these weights.
        published: the network, of the wanted size.
        digest: of its weights.

    Raises:
        OtherWeightsError: the recipe is for other weights.
        ModelError: it is damaged.
    """
    header = recipe.header
    if header.weights != digest:
        raise OtherWeightsError(
            f"{recipe.origin}: the int8 recipe is for weights {header.weights[:19]}…, these are {digest[:19]}…"
        )
    try:
        network, rounded = _applied(recipe, published)
        codes = {tensor: Codes(scale, zero) for tensor, scale, zero in header.quantization}
        missing = network.shapes.keys() - codes.keys()
    except ModelError:
        raise
    except DAMAGES as error:
        raise ModelError(f"{recipe.origin}: the int8 recipe is damaged: reinstall edge-pose") from error
    if missing or code_digest(rounded) != header.codes:
        raise ModelError(f"{recipe.origin}: the int8 recipe gives other weights than it should: reinstall edge-pose")
    return network, codes, rounded


def _applied(recipe: Recipe, published: Network) -> tuple[Network, dict[int, Rounded]]:
    header, reader = recipe.header, _Reader(recipe.content)
    sources = {layer.output: layer for layer in published.layers}
    shapes: dict[int, tuple[int, ...]] = {published.input: published.shapes[published.input]}
    layers, rounded = [], {}
    for each in header.layers:
        _, height, width, channels = shapes[each.inputs[0]]
        if each.sources:
            weights = expanded([sources[number] for number in each.sources], each)
            arrays = reader.arrays(each.kind, weights.shape)
            codes = predicted(weights, each.kind, arrays.gain, arrays.reach) + arrays.corrections
            rounded[each.output] = Rounded(codes.astype(np.int8), arrays.scales.astype(np.float64), arrays.bias)
            (down, right), channels = each.stride, len(arrays.bias)
            if each.padding == "VALID":
                height, width = height - weights.shape[1] + 1, width - weights.shape[2] + 1
            height, width = -(-height // down), -(-width // right)
        layers.append(
            Layer(
                each.kind, each.inputs, each.output, each.activation, EMPTY, EMPTY, each.stride, each.padding,
                each.align_corners, each.half_pixel_centers,
            )
        )  # fmt: skip
        shapes[each.output] = (1, height * each.factor, width * each.factor, channels)
    reader.finish()
    heads = {head: header.heads[head] for head in HEADS if head in header.heads}
    if set(heads.values()) - shapes.keys():
        raise ValueError("heads that no layer makes")
    return Network(tuple(layers), shapes, published.input, heads), rounded


def expanded(sources: list[Layer], recipe: LayerRecipe) -> NDArray[np.float64]:
    """Return the published weights in the shape of a layer of the int8 network.

    (O, h, w, I), or (1, h, w, C) of a depthwise one.
    """
    weights = sources[0].weights.astype(np.float64)
    for other in sources[1:]:
        weights = weights * other.weights.astype(np.float64)
    if recipe.kind == "depthwise":
        return np.tile(weights, (1, 1, 1, recipe.columns))
    return np.tile(weights, (recipe.rows, 1, 1, recipe.columns))


def predicted(
    weights: NDArray[np.float64], kind: str, gain: NDArray[np.float32], reach: NDArray[np.float32]
) -> NDArray[np.int16]:
    """Return the codes before corrections, shaped like the weights."""
    outputs = gain.astype(np.float64).reshape((-1, 1, 1, 1) if kind == "conv" else (1, 1, 1, -1))
    values = weights * outputs * reach.astype(np.float64)
    return np.clip(np.rint(values), -127, 127).astype(np.int16)


def code_digest(rounded: Mapping[int, Rounded]) -> str:
    """Return the digest of all int8 weights and biases."""
    content = hashlib.sha256()
    for each in rounded.values():
        content.update(each.weights.tobytes())
        content.update(each.bias.astype("<i4").tobytes())
    return f"sha256:{content.hexdigest()}"


def encode_recipe(header: RecipeHeader, arrays: list[LayerArrays]) -> bytes:
    """Return the content of a recipe's file; arrays are those of its convolutions, in order."""
    head = msgspec.json.encode(header, order="deterministic")
    parts = [struct.pack("<I", len(head)), head]
    for each in arrays:
        parts += [np.ascontiguousarray(getattr(each, name), dtype).tobytes() for name, dtype in FIELDS]
    return lzma.compress(b"".join(parts), preset=9 | lzma.PRESET_EXTREME)


class _Reader:
    """Reads the arrays of one layer after the other."""

    def __init__(self, content: bytes) -> None:
        self._content, self._offset = content, 0

    def arrays(self, kind: str, shape: tuple[int, ...]) -> LayerArrays:
        """Return the arrays of a layer with weights of `shape`."""
        outputs, inputs = (shape[0], shape[3]) if kind == "conv" else (shape[3], 1)
        shapes = ((outputs,), (inputs,), (outputs,), (outputs,), shape)
        return LayerArrays(*(self._take(dtype, each) for (_, dtype), each in zip(FIELDS, shapes, strict=True)))

    def finish(self) -> None:
        """Raise ValueError if something is left."""
        if self._offset != len(self._content):
            raise ValueError("bytes are left")

    def _take(self, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        value = np.frombuffer(self._content, dtype, math.prod(shape), self._offset).reshape(shape)
        self._offset += value.nbytes
        return value
