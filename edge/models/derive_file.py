"""Derives a heads model from a file, verifies and writes it (`models derive`)."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError, UsageError, one_line
from edge.host.atomic_write import write_whole
from edge.models.derive import Derived, derive
from edge.tflite.runtime import Interpreter

__all__ = ["derive_file", "map_shapes", "same_maps"]


IMAGES = 3
"""That source and derived model are compared on."""
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


def same_maps(source: Path, tensors: Mapping[str, int], derived: bytes) -> dict[str, bool]:
    """Return for each head whether source and derived model compute identical values.

    Args:
        source: file of the source.
        tensors: inner tensor of the source for each head.
        derived: content of the derived file, at the source's size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that keeping inner tensors takes memory
        whole = Interpreter(model_path=str(source), experimental_preserve_all_tensors=True)
    whole.allocate_tensors()
    heads = Interpreter(model_content=derived)
    heads.allocate_tensors()
    outputs = {output["name"]: output["index"] for output in heads.get_output_details()}
    same = dict.fromkeys(tensors, True)
    for image in _images(tuple(heads.get_input_details()[0]["shape"])):
        _run(whole, image)
        _run(heads, image)
        for name, tensor in tensors.items():
            same[name] &= np.array_equal(whole.get_tensor(tensor), heads.get_tensor(outputs[name]))
    return same


def map_shapes(derived: bytes) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a derived model's maps, by head; runs it once."""
    heads = Interpreter(model_content=derived)
    heads.allocate_tensors()
    _run(heads, np.zeros(heads.get_input_details()[0]["shape"], np.uint8))
    return {output["name"]: heads.get_tensor(output["index"]).shape for output in heads.get_output_details()}


def _run(interpreter: Any, image: NDArray[np.uint8]) -> None:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()


def _images(shape: tuple[int, ...]) -> list[NDArray[np.uint8]]:
    """Return images that hold every pixel value in every channel: a ramp, noise, and noise in large spots."""
    random = np.random.default_rng(17)
    _, height, width, channels = shape
    ramp = np.arange(height * width * channels, dtype=np.uint32) // channels % 256
    spots = np.kron(random.integers(0, 256, (height // 16, width // 16, channels)), np.ones((16, 16, 1), np.int64))
    noise = random.integers(0, 256, shape)
    return [image.reshape(shape).astype(np.uint8) for image in (ramp, noise, spots)]
