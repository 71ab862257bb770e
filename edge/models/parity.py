"""Compares a derived model with its source."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.tflite.runtime import Interpreter

__all__ = ["map_shapes", "same_maps"]

IMAGES = 3


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
