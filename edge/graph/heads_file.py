"""Makes TFLite files of published graphs: the same bytes on every machine."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import EdgeError, InputError, ModelError, UsageError
from edge.graph.float_file import write_float
from edge.graph.graph_model import read_graph_model
from edge.graph.int8_file import write_int8
from edge.graph.network import INPUT, Network
from edge.graph.nodes import SINGLE_HEADS, NodeGraph, find_heads
from edge.graph.published import Published, cut_published
from edge.graph.recipe import Recipe, apply, read_recipe
from edge.graph.singlepose import POSES_NAME, SinglePose, cut_singlepose, write_singlepose
from edge.graph.whole_file import read_whole_file
from edge.host.atomic_write import write_whole
from edge.poses.head_maps import DecodeConstants
from edge.tflite.file import parse
from edge.tflite.magic import is_tflite
from edge.tflite.notes import SCALED, Affine, Decode, Notes, Source

__all__ = [
    "SOURCE_NAME",
    "FloatKind",
    "Quantization",
    "build_file",
    "build_int8",
    "cut",
    "decode_notes",
    "labelled",
    "read_graph",
    "read_published",
    "write_heads",
    "write_int8_heads",
]

TOOL = "edge-pose build 1"
"""Names the recipe, not the version of edge-pose: the same content must give the same file in every version."""
SOURCE_NAME = "movenet-multipose"
"""Names the weights, not their file: either format of them must give the same result."""
SINGLE_NAME = "movenet-singlepose"
DEFAULT_SIZE = (448, 256)
HEAD_BYTES = 8
DAMAGES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError)
FloatKind = Literal["none", "fp16"]
Quantization = Literal["none", "fp16", "int8"]


def read_published(path: Path, size: tuple[int, int]) -> Published:
    """Read MoveNet MultiPose as it was published, for an input of `size` (width, height).

    Args:
        path: the .json file of a TensorFlow.js graph model, the folder that has one, or a whole TFLite file.
        size: of the input in pixels, multiples of 32.

    Raises:
        InputError: nothing of the kind is there, or it cannot be read.
        ModelError: it is damaged, or not MoveNet MultiPose.
    """
    graph = read_graph(path)
    return cut(graph, size)


def cut(graph: NodeGraph, size: tuple[int, int]) -> Published:
    """Cut a graph that was read by `read_graph`; see `read_published`."""
    with _one_line(graph):
        return cut_published(graph, size)


def write_heads(published: Published, kind: FloatKind) -> bytes:
    """Return a TFLite file from pixels to the maps of the heads, with its notes.

    Pixels are uint8 [1, H, W, 3].

    Args:
        published: the network.
        kind: `none` stores weights as float32, `fp16` as float16.
    """
    content = write_float(published.network, scale=published.scale, shift=published.shift, half=kind == "fp16")
    return labelled(content, published, kind, {})


def write_int8_heads(published: Published, recipe: Recipe) -> bytes:
    """Return the int8 file of the same kind; see `write_heads`.

    Raises:
        ModelError: the recipe is for other weights, or damaged.
    """
    network, codes, rounded = apply(recipe, published.network, published.digest)
    return labelled(write_int8(network, codes, rounded), published, "int8", recipe.header.affine)


def build_int8(source: Path, size: tuple[int, int], recipe: Path) -> bytes:
    """Return the int8 heads of a published model; see `read_published` and `write_int8_heads`."""
    return write_int8_heads(read_published(source, size), read_recipe(recipe))


def labelled(content: bytes, published: Published, quantization: Quantization, affine: Mapping[str, Affine]) -> bytes:
    """Return a file of heads with its notes.

    Args:
        content: the file; its outputs have the names of their heads.
        published: what it was made of.
        quantization: of the file.
        affine: heads that were rescaled.
    """
    model = parse(content, SOURCE_NAME)
    tensors = {model.name(tensor): tensor for tensor in map(int, model.graph.outputs)}
    heads = tuple(published.network.heads)
    model.cut(
        inputs={INPUT: int(model.graph.inputs[0])},
        outputs={f"{head}{SCALED if head in affine else ''}": tensors[head] for head in heads},
    )
    for place, head in zip(model.tree.signatureDefs[0].outputs, heads, strict=True):
        place.name = head.encode()
    model.set_notes(
        Notes(
            kind="heads",
            heads=heads,
            affine=dict(affine),
            quantization=quantization,
            source=Source(SOURCE_NAME, published.digest),
            tool=TOOL,
            decode=decode_notes(published.constants),
        )
    )
    return model.encode()


def decode_notes(constants: DecodeConstants) -> Decode:
    """Return the constants of a decode as a file's notes have them."""
    return Decode(
        peak_tolerance=constants.peak_tolerance,
        min_keypoint_score=constants.min_keypoint_score,
        gaussian=constants.gaussian,
    )


def _file_of(path: Path) -> Path:
    """Return the JSON file of a folder, or the path itself. Raises InputError."""
    try:
        is_folder, exists = path.is_dir(), path.exists()
        found = sorted(path.glob("*.json")) if is_folder else []
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if not exists:
        raise InputError(f"{path}: no such file or folder")
    if not is_folder:
        return path
    if len(found) != 1:
        listed = ", ".join(file.name for file in found) or "none"
        raise InputError(f"{path}: a graph model is one .json file with its .bin beside it; here: {listed}: name one")
    return found[0]


def build_file(
    source: Path, output: Path, size: tuple[int, int] | None, kind: Quantization, recipe: Path
) -> Iterator[str]:
    """Write the heads of MoveNet MultiPose, or all of SinglePose; an existing file is replaced atomically.

    Args:
        source: see `read_published`; of SinglePose a graph model.
        output: the file to write; not touched after an error.
        size: (width, height) of the input in pixels, multiples of 32; None: 448x256, or SinglePose's own.
        kind: `int8`, `fp16` or `none` (float32).
        recipe: for `int8`.

    Yields:
        Lines of a report.

    Raises:
        UsageError: output and source are the same file, or SinglePose has no such form.
        EdgeError: see `read_published` and `write_int8_heads`; UnavailableError if the output cannot be written.
    """
    if _is_same(output, source):
        raise UsageError(f"{output}: is the source itself: name another output")
    graph = read_graph(source)
    with _one_line(graph):
        made = _single(graph, size, kind) if len(find_heads(graph)) == len(SINGLE_HEADS) else None
        made = made or _multi(cut_published(graph, size or DEFAULT_SIZE), kind, recipe)
    write_whole(output, made.content)
    _, height, width, _ = made.network.shapes[made.network.input]
    layers = Counter(layer.kind for layer in made.network.layers).most_common()
    precision = "float32" if kind == "none" else kind
    yield f"{output}: {made.form} of {source.name} at {height}x{width} (HxW), {precision}, {len(made.content)} bytes"
    yield f"layers: {', '.join(f'{count} {name}' for name, count in layers)}"
    yield f"weights: {made.digest}"
    yield f"sha256: {hashlib.sha256(made.content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class _Made:
    form: str
    content: bytes
    network: Network
    digest: str


def _multi(published: Published, kind: Quantization, recipe: Path) -> _Made:
    content = write_int8_heads(published, read_recipe(recipe)) if kind == "int8" else write_heads(published, kind)
    return _Made("heads", content, published.network, published.digest)


def _single(graph: NodeGraph, size: tuple[int, int] | None, kind: Quantization) -> _Made:
    if kind == "int8":
        raise UsageError(
            "models build: no int8 recipe is for SinglePose: --quantize fp16; int8 is published: "
            "edge-pose models fetch movenet-singlepose-lightning-int8"
        )
    single = cut_singlepose(graph)
    if size not in (None, single.size):
        raise UsageError(
            f"models build --size: this SinglePose has {single.size[1]}x{single.size[0]} and no other size"
        )
    content = _labelled_single(write_singlepose(single, half=kind == "fp16"), single, kind)
    return _Made("singlepose", content, single.cut.network, single.cut.digest)


def _labelled_single(content: bytes, single: SinglePose, kind: FloatKind) -> bytes:
    model = parse(content, SINGLE_NAME)
    model.cut(inputs={INPUT: int(model.graph.inputs[0])}, outputs={POSES_NAME: int(model.graph.outputs[0])})
    source = Source(SINGLE_NAME, single.cut.digest)
    model.set_notes(Notes(kind="singlepose", quantization=kind, source=source, tool=TOOL))
    return model.encode()


@contextlib.contextmanager
def _one_line(graph: NodeGraph) -> Iterator[None]:
    """Turn what a graph whose parts contradict each other causes into a ModelError."""
    try:
        yield
    except EdgeError:
        raise
    except DAMAGES as error:
        raise ModelError(f"{graph.origin}: the graph is damaged (its parts do not fit together)") from error


def read_graph(path: Path) -> NodeGraph:
    """Read a graph of either format; see `read_published`."""
    path = _file_of(path)
    try:
        with path.open("rb") as file:
            is_whole = is_tflite(file.read(HEAD_BYTES))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return read_whole_file(path) if is_whole else read_graph_model(path)


def _is_same(output: Path, source: Path) -> bool:
    try:
        return output.samefile(source)
    except OSError:  # missing or unreadable: writing reports it
        return False
