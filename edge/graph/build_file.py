"""Builds a heads file of a published graph and writes it (`models build`)."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edge.errors import UsageError
from edge.graph.heads_file import FloatKind, read_published, write_heads
from edge.host.atomic_write import write_whole

__all__ = ["build_file"]


def build_file(source: Path, output: Path, size: tuple[int, int], kind: FloatKind) -> Iterator[str]:
    """Write the heads of MoveNet MultiPose; an existing file is replaced atomically.

    Args:
        source: see `edge.graph.heads_file.read_published`.
        output: the file to write; not touched after an error.
        size: (width, height) of the input in pixels, multiples of 32.
        kind: `fp16` or `none` (float32).

    Yields:
        Lines of a report.

    Raises:
        UsageError: output and source are the same file.
        EdgeError: see `read_published`; UnavailableError if the output cannot be written.
    """
    if _is_same(output, source):
        raise UsageError(f"{output}: is the source itself: name another output")
    published = read_published(source, size)
    content = write_heads(published, kind)
    write_whole(output, content)
    layers = Counter(layer.kind for layer in published.network.layers).most_common()
    precision = "float32" if kind == "none" else kind
    yield f"{output}: heads of {source.name} at {size[1]}x{size[0]} (HxW), {precision}, {len(content)} bytes"
    yield f"layers: {', '.join(f'{count} {name}' for name, count in layers)}"
    yield f"weights: {published.digest}"
    yield f"sha256: {hashlib.sha256(content).hexdigest()}"


def _is_same(output: Path, source: Path) -> bool:
    try:
        return output.samefile(source)
    except OSError:  # missing or unreadable: writing reports it
        return False
