"""Engine `litert`: runs a TFLite model on the CPU."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engine import contract
from edge.errors import ConfigError, ModelError, UnavailableError, one_line
from edge.ports import ModelSpec
from edge.poses.letterbox import dynamic_input_size
from edge.tflite.magic import open_tflite
from edge.tflite.notes import read_notes
from edge.tflite.runtime import RUNTIME, Interpreter

__all__ = ["LiteRtEngine"]

TRIAL_SIDE_PX = 32


class LiteRtEngine:
    """A TFLite model in this process; `size_for` comes before `run`.

    The constructor checks the whole file, before any camera is opened.

    Args:
        path: the model file.
        name: how messages name the model.
        threads: CPU threads per inference.
        input_size: (width, height) instead of the camera's aspect; a model of fixed size refuses another.
        longer_side_px: longer side of an input that follows the camera's aspect.
        delegates: loaded by `edge.engine.delegate.load`.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: the file is damaged, or of a kind that cannot be decoded.
        UnavailableError: the model needs an Edge TPU, or the runtime does not work with this NumPy.
        ConfigError: the model has another fixed size than `input_size`.
    """

    spec: ModelSpec

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        threads: int = 1,
        input_size: tuple[int, int] | None = None,
        longer_side_px: int = 256,
        delegates: Sequence[Any] = (),
    ) -> None:
        with open_tflite(path):
            pass  # the runtime would call a text file a damaged model
        self._path = path
        self._longer_side_px = longer_side_px
        self.name = name
        self._interpreter = _construct(path, threads, delegates)
        self._contract = contract.inspect(
            str(path), self._interpreter.get_input_details(), self._interpreter.get_output_details(), read_notes(path)
        )
        self._outputs: tuple[NDArray[Any], ...] = ()
        self._input_size = input_size or self._contract.fixed_size
        self._check_size()
        # Operators that this runtime lacks show only here; the smallest size costs least.
        self._allocate(self._input_size or (TRIAL_SIDE_PX, TRIAL_SIDE_PX))
        if self._input_size:
            self._set_spec(self._input_size)

    @property
    def is_dynamic(self) -> bool:
        """True if the model accepts inputs of any size."""
        return self._contract.fixed_size is None

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:
        """Fix the input size by the first `image_size`, (width, height)."""
        if self._input_size is None:
            self._input_size = dynamic_input_size(image_size, self._longer_side_px)
            self._allocate(self._input_size)
            self._set_spec(self._input_size)
        return self.spec

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Infer `tensor`; the next call overwrites the outputs.

        Args:
            tensor: (1, H, W, 3) of the spec's size and dtype.

        Raises:
            ModelError: the runtime cannot infer, which is a fault of the model file.
        """
        self._interpreter.set_tensor(self._contract.input_index, tensor)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(f"{self._path}: inference failed: {one_line(error)}") from error
        # The interpreter refuses to run while an array refers to its memory, so the outputs are copied.
        for output, index in zip(self._outputs, self._contract.output_indices, strict=True):
            np.copyto(output, self._interpreter.tensor(index)())
        return self._outputs

    def retire(self) -> None:
        """Do nothing: this engine cannot be lost."""

    def close(self) -> None:
        """Release the interpreter and the file that it maps."""
        del self._interpreter

    def _check_size(self) -> None:
        fixed = self._contract.fixed_size
        if fixed and self._input_size != fixed:
            raise ConfigError(
                f"model.size: the input of {self._path.name} is fixed at {fixed[1]}x{fixed[0]} (HxW); leave it 'auto'"
            )

    def _allocate(self, size: tuple[int, int]) -> None:
        width, height = size
        try:
            if self._contract.fixed_size is None:
                self._interpreter.resize_tensor_input(self._contract.input_index, [1, height, width, 3])
            self._interpreter.allocate_tensors()
            if self._contract.kind == "heads" and self._contract.fixed_size is None:
                self._interpreter.invoke()  # outputs of dynamic size have their shapes only after an inference
        except (RuntimeError, ValueError) as error:
            raise _cannot_prepare(self._path, size, error) from error

    def _set_spec(self, size: tuple[int, int]) -> None:
        found = self._contract
        details = {detail["index"]: detail for detail in self._interpreter.get_output_details()}
        outputs = [details[index] for index in found.output_indices]
        self._outputs = tuple(np.empty(output["shape"], output["dtype"]) for output in outputs)
        heads = found.heads.spec((outputs[0]["shape"][2], outputs[0]["shape"][1])) if found.heads else None
        self.spec = ModelSpec(self.name, found.kind, size, found.input_dtype, found.input_codes, heads=heads)


def _construct(path: Path, threads: int, delegates: Sequence[Any]) -> Any:
    try:
        # NumPy prints a page about a runtime built for another NumPy; the error below says it in one line.
        with contextlib.redirect_stderr(io.StringIO()):
            return Interpreter(model_path=str(path), num_threads=threads, experimental_delegates=list(delegates))
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the model file is damaged or truncated ({one_line(error)})") from error
    except (SystemError, AttributeError, ImportError, TypeError) as error:
        # tflite-runtime 2.14 is built for NumPy 1: with NumPy 2 it can be imported, and fails here.
        raise UnavailableError(
            f"{RUNTIME} does not work with NumPy {np.__version__}: pip install ai-edge-litert, or 'numpy<2' "
            f"({one_line(error)})"
        ) from error


def _cannot_prepare(path: Path, size: tuple[int, int], error: Exception) -> Exception:
    text = one_line(error)
    if "edgetpu-custom-op" in text:
        return UnavailableError(
            f"{path}: compiled for the Edge TPU, and no Edge TPU delegate is loaded: use the model's CPU twin"
        )
    if "unresolved custom op" in text or "Select TensorFlow op" in text:
        return ModelError(f"{path}: needs operators that the runtime does not have: {text}")
    return ModelError(f"{path}: cannot be prepared for {size[1]}x{size[0]} (HxW): {text}")
