"""Loads the Edge TPU's delegate, libedgetpu.

Only for an engine's child process, because the library may crash it.
"""

from pathlib import Path
from typing import Any

from edge.engine import contract
from edge.engine.coral import ADVICE
from edge.errors import EngineLostError, ModelError, UnavailableError, one_line
from edge.ports import ModelSpec
from edge.tflite.notes import read_notes
from edge.tflite.runtime import Interpreter, load_delegate

__all__ = ["describe", "load"]


def load(library: str) -> Any:
    """Load a delegate, which must outlive its interpreter.

    A library that is too old for the runtime crashes the process here or later.

    Raises:
        UnavailableError: there is no such library, or it is no delegate.
        EngineLostError: the delegate fails: no device, or another program uses it.
    """
    try:
        return load_delegate(library)
    except OSError as error:
        raise UnavailableError(f"no Edge TPU runtime ({error}): {ADVICE}") from error
    except AttributeError as error:
        raise UnavailableError(f"{library} is no TFLite delegate ({error}): {ADVICE}") from error
    except ValueError as error:
        raise EngineLostError(
            f"the Edge TPU cannot be used ({one_line(error)}): is it plugged in, does another program hold it, "
            "is this user in the group plugdev?"
        ) from error


def describe(path: Path, name: str) -> ModelSpec:
    """Return a compiled model's spec without loading a delegate.

    Its size is fixed, so its tensors need not be allocated, which would need the delegate.

    Raises:
        ModelError: the model is damaged, or of a kind that cannot be decoded.
    """
    try:
        interpreter = Interpreter(model_path=str(path))
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the model file is damaged or truncated ({one_line(error)})") from error
    outputs = interpreter.get_output_details()
    found = contract.inspect(str(path), interpreter.get_input_details(), outputs, read_notes(path))
    if found.fixed_size is None:
        raise ModelError(f"{path}: the size of its input is not fixed, which a delegate needs")
    shapes = {detail["index"]: detail["shape"] for detail in outputs}
    _, height, width, *_ = shapes[found.output_indices[0]] if found.heads else (1, 0, 0)
    heads = found.heads.spec((int(width), int(height))) if found.heads else None
    return ModelSpec(name, found.kind, found.fixed_size, found.input_dtype, found.input_codes, "edgetpu", heads)
