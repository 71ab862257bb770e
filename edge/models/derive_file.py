"""Derives a heads model from a file, verifies and writes it (`models derive`)."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edge.errors import ModelError, UsageError, one_line
from edge.host.atomic_write import write_whole
from edge.models.derive import Derived, derive
from edge.models.parity import map_shapes, same_maps

__all__ = ["derive_file"]

STRIDE = 4
"""Pixels per cell of the maps."""


def derive_file(source: Path, output: Path, size: tuple[int, int] | None = None) -> Iterator[str]:
    """Write the heads model of a singlepose model; an existing file is replaced atomically.

    Args:
        source: int8 Lightning.
        output: the file to write; not touched after an error.
        size: (width, height) of the new model's input; None: as the source.

    Yields:
        Lines of a report.

    Raises:
        UsageError: output and source are the same file.
        EdgeError: see `edge.models.derive.derive`; UnavailableError if the output cannot be written.
    """
    if _is_same(output, source):
        raise UsageError(f"{output}: is the source itself: name another output")
    derived = derive(source, size)
    content = derived.model.encode()
    parity = _parity(source, derived, content)
    write_whole(output, content)
    width, height = derived.size
    operators = Counter(derived.model.op_names()).most_common()
    yield f"{output}: heads of {source.name} at {height}x{width} (HxW), int8, {len(content)} bytes"
    yield f"operators: {derived.source_ops} before, {sum(n for _, n in operators)} after ({_listed(operators)})"
    yield parity
    yield f"sha256: {hashlib.sha256(content).hexdigest()}"


def _parity(source: Path, derived: Derived, content: bytes) -> str:
    """Run source and result and report that they agree. Raises ModelError if they do not."""
    width, height = derived.source_size
    at_source_size = content if derived.size == derived.source_size else derive(source).model.encode()
    try:
        same = same_maps(source, derived.source_tensors, at_source_size)
        shapes = map_shapes(content)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{source}: the model file is damaged ({one_line(error)})") from error
    wrong = [name for name, good in same.items() if not good]
    columns, rows = derived.size
    wrong += [name for name, shape in shapes.items() if shape[1:3] != (rows // STRIDE, columns // STRIDE)]
    if wrong:
        raise ModelError(f"{source}: not derived: the maps of {', '.join(wrong)} came out other than the source's")
    return f"parity at {height}x{width}: {', '.join(same)} are bit for bit those of the source"


def _listed(operators: list[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in operators)


def _is_same(output: Path, source: Path) -> bool:
    try:
        return output.samefile(source)
    except OSError:  # missing or unreadable: writing reports it
        return False
