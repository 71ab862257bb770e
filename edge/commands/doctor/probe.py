"""Tries libraries that may crash; runs in a child process.

`python -P probe.py WHAT [ARGUMENT]` prints one line of JSON: the facts, or `error` with its `kind`.
"""

# ruff: noqa: PLC0415 - each probe imports what it tries

import base64
import ctypes
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

__all__ = ["main"]

SMALLEST_MODEL = base64.b64decode(
    "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAAAcAAAAhAAAAAMAAAABAAAACAAAAAQABAAEAAAAAQAAABAAAAAMABQAEAAMAAgABAAMAAAA"
    "EAAAABAAAAAUAAAAGAAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAQAAABAAAAAMAAwACAAAAAAABAAMAAAACAAAAAwAAAABAAAAeAAAAAEAAAABAAAA"
    "AAAAAA=="
)
"""A TFLite file with one float tensor, which is input and output, and no operator."""

Facts = dict[str, Any]


def main(words: Sequence[str]) -> int:
    """Run one probe and print its result."""
    what, *arguments = words
    try:
        facts = PROBES[what](*arguments)
    except Exception as error:  # noqa: BLE001 - any exception of the library is the result
        facts = {"error": " ".join(str(error).split())[:300], "kind": type(error).__name__}
    print(json.dumps(facts), flush=True)  # noqa: T201 - read by the parent
    return 0


def try_runtime() -> Facts:
    """Construct an interpreter and infer.

    A runtime built for another NumPy fails there, not at its import.
    """
    import numpy as np

    make, package = _interpreter()
    facts = {"runtime": f"{package} {metadata.version(package)}", "numpy": np.__version__}
    try:
        _infer(make(model_content=SMALLEST_MODEL), np)
    except Exception as error:  # noqa: BLE001 - see main
        return {**facts, "error": " ".join(str(error).split())[:300], "kind": "construct"}
    return facts


def try_module(name: str) -> Facts:
    """Import a module."""
    module = importlib.import_module(name)
    return {"file": getattr(module, "__file__", None), "version": str(getattr(module, "__version__", ""))}


def try_library(name: str) -> Facts:
    """Load libedgetpu without opening a device and read its version."""
    library = ctypes.CDLL(name)
    library.edgetpu_version.restype = ctypes.c_char_p
    return {"version": library.edgetpu_version().decode("utf-8", "replace")}


def try_delegate(name: str) -> Facts:
    """Open a TPU through the runtime and infer, as a run does."""
    import numpy as np

    make, package = _interpreter()
    loader = importlib.import_module(f"{package.replace('-', '_')}.interpreter")
    _infer(make(model_content=SMALLEST_MODEL, experimental_delegates=[loader.load_delegate(name)]), np)
    return {"delegate": name}


def _interpreter() -> tuple[Callable[..., Any], str]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tflite_runtime.interpreter import Interpreter

        return Interpreter, "tflite-runtime"
    return Interpreter, "ai-edge-litert"


def _infer(interpreter: Any, np: Any) -> None:
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.ones(1, np.float32))
    interpreter.invoke()
    if interpreter.get_tensor(0)[0] != 1:
        raise RuntimeError("a model that changes nothing changed its input")


PROBES: Mapping[str, Callable[..., Facts]] = {
    "runtime": try_runtime,
    "module": try_module,
    "library": try_library,
    "delegate": try_delegate,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
