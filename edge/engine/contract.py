"""Recognises pose models by shapes and dtypes, never by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engine.layout import Details, HeadsLayout, describe, find_heads, shape_of
from edge.errors import ModelError
from edge.tflite.notes import Notes

__all__ = ["ModelContract", "inspect"]

INPUT_DTYPES = ("uint8", "int8", "int32", "float32")
DYNAMIC = -1
MAX_INPUT_PX = 2048
"""As `model.size`: a file of a few MB may ask for an input that no memory holds."""


@dataclass(frozen=True, slots=True)
class ModelContract:
    """Kind, input and outputs of a recognised model.

    Attributes:
        kind: `multipose`, `singlepose` or `heads`.
        fixed_size: (width, height) of the input in pixels; None when it may be chosen.
        input_dtype: NumPy name of the input's dtype.
        input_codes: (256,) or None, see `ModelSpec.input_codes`.
        input_index: the interpreter's index of the input tensor.
        output_indices: the indices of the outputs, in the order that the decoder of `kind` expects.
        heads: layout of the outputs, for the kind `heads`.
    """

    kind: str
    fixed_size: tuple[int, int] | None
    input_dtype: str
    input_codes: NDArray[Any] | None
    input_index: int
    output_indices: tuple[int, ...]
    heads: HeadsLayout | None = None


def inspect(
    path: str, inputs: Sequence[Details], outputs: Sequence[Details], notes: Notes | None = None
) -> ModelContract:
    """Recognise a model by its tensor details.

    Args:
        path: of the model, for error messages.
        inputs: the interpreter's `get_input_details()`.
        outputs: its `get_output_details()`.
        notes: of the file; they identify the heads, else the tensors' names do.

    Raises:
        ModelError: the model is of another kind; the message names what was found and what is needed.
    """
    heads = find_heads(path, outputs, notes)
    kind = "heads" if heads else _kind(outputs)
    if kind is None:
        raise ModelError(
            f"{path}: not a pose model that can be decoded: outputs are {describe(outputs)}; needed is one float32 "
            "[1, 6, 56] (MultiPose), one float32 [1, 1, 17, 3] (Lightning, Thunder), or the raw maps of the heads"
        )
    if len(inputs) != 1 or not _is_image(inputs[0]):
        raise ModelError(
            f"{path}: inputs are {describe(inputs)}; needed is one image [1, H, W, 3] of "
            f"{', '.join(INPUT_DTYPES[:-1])} or {INPUT_DTYPES[-1]}"
        )
    image = inputs[0]
    _, height, width, _ = shape_of(image)
    if max(height, width) > MAX_INPUT_PX:
        raise ModelError(f"{path}: its input is {height}x{width} (HxW); at most {MAX_INPUT_PX} a side")
    return ModelContract(
        kind=kind,
        fixed_size=None if DYNAMIC in (height, width) else (width, height),
        input_dtype=np.dtype(image["dtype"]).name,
        input_codes=_codes(path, image),
        input_index=int(image["index"]),
        output_indices=heads.indices if heads else tuple(int(output["index"]) for output in outputs),
        heads=heads,
    )


def _kind(outputs: Sequence[Details]) -> str | None:
    if len(outputs) != 1 or np.dtype(outputs[0]["dtype"]) != np.float32:
        return None
    match shape_of(outputs[0]):
        case (1, _, 56):
            return "multipose"
        case (1, 1, 17, 3):
            return "singlepose"
    return None


def _is_image(tensor: Details) -> bool:
    shape = shape_of(tensor)
    right_shape = len(shape) == 4 and shape[0] == 1 and shape[3] == 3
    return right_shape and np.dtype(tensor["dtype"]).name in INPUT_DTYPES


def _codes(path: str, image: Details) -> NDArray[Any] | None:
    """Return the input codes (256,) for pixel values 0..255; None if they are the pixel values themselves.

    MoveNet takes raw pixel values in any dtype. For a quantized input, real = scale * (code - zero point)
    (tensorflow.org/lite/performance/quantization_spec); the range of real values shows whether the graph expects
    0..255, 0..1 or -1..1.
    """
    dtype = np.dtype(image["dtype"])
    scale, zero_point = (float(value) for value in image["quantization"])
    pixels = np.arange(256, dtype=np.float64)
    if scale == 0:
        if dtype == np.int8:
            return (pixels - 128).astype(np.int8)  # the only mapping that keeps all 256 values distinct
        return None if dtype == np.uint8 else pixels.astype(dtype)
    limits = np.iinfo(dtype.name)
    low, high = scale * (limits.min - zero_point), scale * (limits.max - zero_point)
    real = _real_values(path, pixels, low, high)
    exact = real / scale + zero_point
    if dtype == np.uint8 and np.abs(exact - pixels).max() <= 0.5 + 1e-3:
        return None  # the pixel values are within rounding of the codes
    return np.clip(np.round(exact), limits.min, limits.max).astype(dtype)


def _real_values(path: str, pixels: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Map pixels 0..255 onto the real range low..high of a quantized input."""
    if -8 <= low <= 8 and 200 <= high <= 300:
        return pixels
    if -0.1 <= low <= 0.1 and 0.8 <= high <= 1.2:
        return pixels / 255
    if -1.2 <= low <= -0.8 and 0.8 <= high <= 1.2:
        return pixels / 127.5 - 1
    raise ModelError(f"{path}: the quantized input stands for {low:.3g}..{high:.3g}; needed is 0..255, 0..1 or -1..1")
