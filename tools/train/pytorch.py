"""Imports PyTorch, an extra of the workstation; picks device and precision."""

import importlib
import os
import warnings
from typing import Any

from edge.errors import UnavailableError, one_line

__all__ = ["default_workers", "load_torch", "pick_device", "pick_precision"]


def load_torch() -> Any:
    """Import PyTorch without its warnings; must come before LiteRT.

    Raises:
        UnavailableError: it is not installed, or does not work here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch: Any = importlib.import_module("torch")
            # Its optimizers load Triton, which aborts the process where LiteRT was loaded before it.
            importlib.import_module("torch._dynamo")
            return torch
    except (ImportError, OSError) as error:  # OSError: a library of its own that cannot be loaded
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        why = "is not installed" if missing else f"does not work here ({one_line(error)})"
        raise UnavailableError(
            f"PyTorch {why}: pip install 'edge-pose[train]', or `make training` and then "
            ".venv-workstation/bin/python -m tools.train"
        ) from error


def pick_device(wanted: str) -> Any:
    """Return the torch.device for `auto`, `cpu` or `cuda`.

    `auto` is a GPU where there is one.

    Raises:
        UnavailableError: `cuda` was asked for by name and is not there.
    """
    torch = load_torch()
    has_gpu = wanted != "cpu" and torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise UnavailableError("--device cuda: PyTorch finds no GPU that it can use here: leave it `auto`, or `cpu`")
    return torch.device("cuda" if has_gpu else "cpu")


def pick_precision(wanted: str, device: Any) -> bool:
    """Return whether to compute in bfloat16.

    For `auto` (where the device is faster in it), `float32` or `bfloat16`.
    """
    if wanted != "auto":
        return wanted == "bfloat16"
    torch = load_torch()
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - there is no public way to ask
    except AttributeError:
        return False


def default_workers() -> int:
    """Return the number of threads that make batches: half the cores.

    Learning needs the others.
    """
    return max(1, len(os.sched_getaffinity(0)) // 2)
