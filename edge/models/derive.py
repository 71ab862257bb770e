"""Derives a heads model, for many people, from an int8 singlepose MoveNet.

It is the graph up to the raw maps, at any size. The weights are unchanged; at the size of the source so are the maps,
bit for bit. An accelerator can run all of it: uint8 pixels in, one operator that shifts them to int8, convolutions,
sums and resizes.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.config.input_size import parse_size
from edge.errors import EdgeError, ModelError, UnavailableError
from edge.models.entry import ModelEntry
from edge.models.singlepose import find_heads, find_image, pixel_codes
from edge.tflite.file import TfliteModel, load
from edge.tflite.notes import Notes, Source, read_notes
from edge.tflite.resize import resize
from edge.tflite.schema import schema

__all__ = ["Derived", "derive", "derive_entry"]

TOOL = "edge-pose derive 1"
"""Names the recipe, not the version of edge-pose: the same content must give the same file in every version."""
SOURCE_NAME = "singlepose-int8"
"""Names the kind of source, not its file: the name of a copy must not change the result."""
EDGETPU_OPERATOR = "edgetpu-custom-op"
INT8_OFFSET = 128
ROUNDING_SLACK = 1e-3
INCONSISTENCIES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration, RecursionError)
"""Exceptions caused by tables that are readable but contradict each other."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A heads model derived from a singlepose model.

    Attributes:
        model: the new model.
        size: (width, height) of its input.
        source_size: (width, height) of the source's input.
        source_tensors: the source's tensor for each head.
        source_ops: number of operators in the source.
    """

    model: TfliteModel
    size: tuple[int, int]
    source_size: tuple[int, int]
    source_tensors: dict[str, int]
    source_ops: int


def derive(path: Path, size: tuple[int, int] | None = None) -> Derived:
    """Cut a singlepose model at its heads; deterministic to the byte.

    Args:
        path: int8 Lightning, as Google publishes it.
        size: (width, height) of the new model's input, multiples of 32; None: as the source.

    Raises:
        InputError: no such file, or no TFLite file.
        ModelError: the file is damaged, or not such a model.
    """
    try:
        return _derive(path, size)
    except EdgeError:
        raise
    except INCONSISTENCIES as error:
        raise ModelError(f"{path}: the model file is damaged (its tables do not fit together)") from error


def derive_entry(entry: ModelEntry, source: Path) -> bytes:
    """Return the file content of a derived model, made from its source.

    Raises:
        EdgeError: see `derive`; UnavailableError if the result is not what the manifest expects.
    """
    content = derive(source, parse_size(entry.size)).model.encode()
    got = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if got != entry.digest:
        raise UnavailableError(f"{source}: gives {got}, expected {entry.digest}: the manifest is of another version")
    return content


def _derive(path: Path, size: tuple[int, int] | None) -> Derived:
    model = load(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _require_singlepose(model, path)
    heads, image, ops = find_heads(model), find_image(model), len(model.graph.operators)
    _, height, width, _ = model.shape(image)
    pixels = _insert_uint8_input(model, image)
    model.cut(inputs={"input": pixels}, outputs=heads)
    size = size or (width, height)
    resize(model, (width, height), size)
    model.set_notes(
        Notes(
            kind="heads",
            heads=tuple(heads),
            quantization="int8",
            source=Source(SOURCE_NAME, f"sha256:{digest}"),
            tool=TOOL,
        )
    )
    return Derived(model, size, (width, height), heads, ops)


def _require_singlepose(model: TfliteModel, path: Path) -> None:
    """Raise ModelError for any other model, with a hint for those that are easily confused."""
    notes = read_notes(path)
    names = model.op_names()
    shapes = [model.shape(int(tensor)) for tensor in model.graph.outputs]
    problem = ""
    if notes is not None and notes.kind == "heads":
        problem = "is cut at its heads already"
    elif EDGETPU_OPERATOR in names:
        problem = "is compiled for the Edge TPU: derive from the file that it was compiled from"
    elif shapes and shapes[0][-1] == 56:
        problem = "is MultiPose: that is cut and quantized from the SavedModel, by tools/convert.py --heads"
    elif shapes != [(1, 1, 17, 3)]:
        problem = f"is no singlepose MoveNet: its outputs are {[list(shape) for shape in shapes]}, not [1, 1, 17, 3]"
    elif "CONV_2D" not in names or model.dtype(find_image(model)) != "int8":
        problem = "is not quantized to int8 (needed: the int8 file, see `edge-pose models list`)"
    if problem:
        raise ModelError(f"{path}: {problem}")


def _insert_uint8_input(model: TfliteModel, image: int) -> int:
    """Insert a uint8 input and a QUANTIZE before the first convolution; return the input.

    QUANTIZE of uint8 to int8 with the same scale and a zero point that is 128 less only shifts the values by 128.

    Raises:
        ModelError: the source scales its pixels in another way.
    """
    expected = np.arange(256)[:, None] - INT8_OFFSET
    # The published graph falls just between two codes, and kernels round either way: allow half a step.
    if np.abs(pixel_codes(model, image) - expected).max() > 0.5 + ROUNDING_SLACK:
        raise ModelError(f"{model.origin}: its first convolution does not read the pixels shifted to int8")
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = b"input", schema.TensorType.UINT8, 0
    tensor.shape = model.graph.tensors[image].shape
    old = model.graph.tensors[image].quantization
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = old.scale, old.zeroPoint + INT8_OFFSET
    model.graph.tensors.append(tensor)
    pixels = len(model.graph.tensors) - 1
    before = next(place for place, op in enumerate(model.graph.operators) if image in op.outputs)
    model.graph.operators[before] = _quantize(model, pixels, image)
    return pixels


def _quantize(model: TfliteModel, source: int, result: int) -> object:
    op = schema.OperatorT()
    op.opcodeIndex = model.operator_code("QUANTIZE")
    op.inputs, op.outputs = np.array([source], np.int32), np.array([result], np.int32)
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.QuantizeOptions, schema.QuantizeOptionsT()
    return op
