"""Tries a model file in a process of its own, because a damaged one may crash the runtime.

Started as `python -m edge.engine.trial FILE [WIDTH HEIGHT]`: it loads the file, infers once and ends. A fault that the
runtime reports is none here: the process that goes on to load the file says it.
"""

# ruff: noqa: PLC0415 - the parent does not need the runtime

import contextlib
import resource
import signal
import subprocess
import sys
from pathlib import Path

from edge.errors import EdgeError, ModelError
from edge.host.process import PYTHON

__all__ = ["try_model"]

TIMEOUT_S = 120.0
"""A Pi 4 loads and runs the largest model in a few seconds."""
SQUARE = (256, 256)


def try_model(path: Path, input_size: tuple[int, int] | None = None) -> None:
    """Load a model once, and infer once, in another process.

    Takes as long as starting Python and the runtime does.

    Args:
        path: the model file.
        input_size: (width, height) of its input; None: that which fits a square.

    Raises:
        ModelError: the runtime crashed or hung.
    """
    words = [*PYTHON, "-m", "edge.engine.trial", str(path.absolute()), *map(str, input_size or ())]
    try:
        done = subprocess.run(  # noqa: S603 - this Python, and a module of ours
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{path}: the runtime hangs with this model: its file is damaged") from None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise ModelError(f"{path}: the runtime crashes with this model ({name}): its file is damaged")


def main() -> None:
    """Try the file of the command line."""
    import numpy as np

    from edge.engine.litert import LiteRtEngine

    with contextlib.suppress(OSError, ValueError):  # a service may be forbidden to
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, and would fill an SD card
    file, *sides = sys.argv[1:]
    size = (int(sides[0]), int(sides[1])) if sides else None
    with contextlib.suppress(EdgeError, MemoryError):
        engine = LiteRtEngine(Path(file), name="trial", input_size=size)
        spec = engine.size_for(SQUARE)
        width, height = spec.input_size
        engine.run(np.zeros((1, height, width, 3), spec.input_dtype))


if __name__ == "__main__":
    main()
