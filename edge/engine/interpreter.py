"""Makes TFLite interpreters, and turns the runtime's errors into ours."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ModelError, UnavailableError, one_line
from edge.tflite.runtime import RUNTIME, Interpreter

__all__ = ["allocate", "make_interpreter"]


def make_interpreter(
    path: Path, content: bytes | None = None, *, threads: int = 1, delegates: Sequence[Any] = ()
) -> Any:
    """Return an interpreter, not allocated yet.

    Args:
        path: the model file, which is mapped.
        content: run instead of the file, which then only names the model; None: the file.
        threads: CPU threads per inference.
        delegates: loaded by `edge.engine.delegate.load`.

    Raises:
        ModelError: the file is damaged.
        UnavailableError: the runtime does not work with this NumPy.
    """
    source = {"model_path": str(path)} if content is None else {"model_content": content}
    try:
        # NumPy prints a page about a runtime built for another NumPy; the error below says it in one line.
        with contextlib.redirect_stderr(io.StringIO()):
            return Interpreter(**source, num_threads=threads, experimental_delegates=list(delegates))
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the model file is damaged or truncated ({one_line(error)})") from error
    except (SystemError, AttributeError, ImportError, TypeError) as error:
        # tflite-runtime 2.14 is built for NumPy 1: with NumPy 2 it can be imported, and fails here.
        raise UnavailableError(
            f"{RUNTIME} does not work with NumPy {np.__version__}: pip install ai-edge-litert, or 'numpy<2' "
            f"({one_line(error)})"
        ) from error


def allocate(interpreter: Any, path: Path, size: tuple[int, int], *, resized: int | None, trial_run: bool) -> None:
    """Allocate the tensors for an input of `size`, (width, height).

    Args:
        interpreter: of the model.
        path: names the model.
        size: of the input in pixels.
        resized: index of an input that takes any size and is given this one; None: it has it.
        trial_run: run it once: outputs of dynamic size have their shapes only after an inference.

    Raises:
        ModelError: it has operators that the runtime lacks, or cannot be prepared for that size.
        UnavailableError: it is compiled for the Edge TPU, and no delegate is loaded.
    """
    width, height = size
    try:
        if resized is not None:
            interpreter.resize_tensor_input(resized, [1, height, width, 3])
        interpreter.allocate_tensors()
        if trial_run:
            interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise _cannot_prepare(path, size, error) from error


def _cannot_prepare(path: Path, size: tuple[int, int], error: Exception) -> Exception:
    text = one_line(error)
    if "edgetpu-custom-op" in text:
        return UnavailableError(
            f"{path}: compiled for the Edge TPU, and no Edge TPU delegate is loaded: use the model's CPU twin"
        )
    if "unresolved custom op" in text or "Select TensorFlow op" in text:
        return ModelError(f"{path}: needs operators that the runtime does not have: {text}")
    return ModelError(f"{path}: cannot be prepared for {size[1]}x{size[0]} (HxW): {text}")
