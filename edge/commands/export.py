"""Writes a mirror folder: the files of MultiPose, a manifest of them, digests and licences."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge import __version__
from edge.config.input_size import parse_fixed_size
from edge.errors import UnavailableError, UsageError
from edge.graph.heads_file import Quantization, cut, read_graph, write_heads, write_int8_heads
from edge.graph.nodes import NodeGraph
from edge.graph.recipe import Recipe, read_recipe
from edge.host.atomic_write import write_whole
from edge.models.entry import ModelEntry
from edge.models.manifest import MANIFEST_NAME
from edge.tflite.edgetpu_compiler import compile_for_edgetpu

__all__ = ["SUMS", "export_mirror"]

SUMS = "SHA256SUMS"
NOTICE = """\
MoveNet MultiPose Lightning, by Google, under the Apache License 2.0: the text is in LICENSE.

The .tflite files here are changed: edge-pose {version} cut the network at its heads and stored its weights
in another form, from {source}.
"""
HEADER = "# Written by `edge-pose models export`, and replaced by the next one.\n"
LICENSE = Path(__file__).parent.parent / "LICENSE"
PREFIX = "movenet_multipose_"


@dataclass(frozen=True, slots=True)
class _Variant:
    """One file to write, and its name in the manifest."""

    name: str
    file: str
    precision: Quantization
    size: tuple[int, int]


def export_mirror(
    folder: Path,
    default: ModelEntry,
    source: Path,
    recipe: Path,
    *,
    sizes: Sequence[tuple[int, int]],
    precisions: Sequence[Quantization],
    compiler: str | None,
) -> Iterator[str]:
    """Write a folder for `EDGE_POSE_MODEL_MIRROR`, on a web server or a disk; the manifest comes last.

    Args:
        folder: new, empty, or of an earlier export, whose files are replaced.
        default: the manifest's default, which is always among the files.
        source: the published graph, see `edge.graph.heads_file.read_published`.
        recipe: for int8.
        sizes: (width, height) of inputs in pixels.
        precisions: of the weights.
        compiler: Google's Edge TPU compiler; None: no compiled files.

    Yields:
        A line for every file.

    Raises:
        UsageError: the folder holds something else.
        EdgeError: the source is no MultiPose, or a file cannot be written.
    """
    graph, applied = read_graph(source), read_recipe(recipe)
    cut(graph, parse_fixed_size(default.size))  # before an earlier export is deleted
    _prepare(folder)
    tables = [f'default = "{default.name}"\n']
    for variant in _variants(default, sizes, precisions):
        path = folder / variant.file
        digest = _write(path, graph, variant, applied)
        if variant.name == default.name and digest != default.digest:
            raise UnavailableError(f"{source}: gives {digest}, expected {default.digest}: take another source")
        tables.append(_table(variant.name, path, digest))
        yield f"{path}  {variant.name}"
        if compiler and variant.precision == "int8":
            compiled = compile_for_edgetpu(path, compiler)
            more = f'delegate = "edgetpu"\ncpu_twin = "{variant.name}"\n'
            tables.append(_table(f"{variant.name}-edgetpu", compiled, _digest(compiled.read_bytes()), more))
            yield f"{compiled}  {variant.name}-edgetpu"
    write_whole(folder / "LICENSE", LICENSE.read_bytes())
    write_whole(folder / "NOTICE", NOTICE.format(version=__version__, source=source.name).encode())
    manifest = (HEADER + "\n".join(tables)).encode()
    write_whole(folder / SUMS, _sums(folder, manifest).encode())
    write_whole(folder / MANIFEST_NAME, manifest)
    yield f"{folder / MANIFEST_NAME}, {SUMS}, LICENSE, NOTICE"


def _prepare(folder: Path) -> None:
    """Make the folder, or empty an earlier export.

    Raises:
        UsageError: it holds other files.
        UnavailableError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = sorted(folder.iterdir(), key=lambda path: path.name != MANIFEST_NAME)  # the manifest goes first
        others = [path.name for path in there if not _is_of_export(path)]
        if others:
            raise UsageError(
                f"{folder}: holds other files, such as {others[0]}: name a new folder, or an earlier export to replace"
            )
        for path in there:
            path.unlink()
    except OSError as error:
        raise UnavailableError(f"{folder}: cannot be written: {error.strerror}: name another folder") from error


def _is_of_export(path: Path) -> bool:
    """Return whether a file is of an earlier export, which may have been cut short."""
    if path.name == MANIFEST_NAME:
        return path.read_text("utf-8", "replace").startswith(HEADER)
    return path.name.startswith(PREFIX) or path.name in ("LICENSE", "NOTICE", SUMS)


def _variants(
    default: ModelEntry, sizes: Sequence[tuple[int, int]], precisions: Sequence[Quantization]
) -> Iterator[_Variant]:
    """Yield the default, then the other files, each once."""
    size = parse_fixed_size(default.size)
    yield _Variant(default.name, default.file, "int8", size)
    seen = {default.file}
    for precision in precisions:
        shown = "float32" if precision == "none" else precision
        for size in sizes:
            shape = f"{size[1]}x{size[0]}"
            file = f"{PREFIX}{shown}_{shape}.tflite"
            if file not in seen:
                seen.add(file)
                yield _Variant(f"movenet-multipose-{shown}-{shape}", file, precision, size)


def _write(path: Path, graph: NodeGraph, variant: _Variant, recipe: Recipe) -> str:
    """Write one file; return its digest, `sha256:…`."""
    published = cut(graph, variant.size)
    if variant.precision == "int8":
        content = write_int8_heads(published, recipe)
    else:
        content = write_heads(published, variant.precision)
    write_whole(path, content)
    return _digest(content)


def _table(name: str, path: Path, digest: str, more: str = "") -> str:
    """Return one model's table of the manifest."""
    return (
        f'[{name}]\nfile = "{path.name}"\nsha256 = "{digest.removeprefix("sha256:")}"\n'
        f'kind = "heads"\nlicence = "Apache-2.0"\n{more}'
    )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _sums(folder: Path, manifest: bytes) -> str:
    """Return the digests of all files in the format of `sha256sum`, that of the manifest to come among them."""
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    contents = {**found, MANIFEST_NAME: manifest}
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
