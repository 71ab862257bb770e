"""Imports TensorFlow, an extra of the workstation, without its log output."""

import importlib
import os
import warnings
from typing import Any

from edge.errors import UnavailableError, one_line

__all__ = ["load_tensorflow"]


def load_tensorflow() -> Any:
    """Import TensorFlow, silent but for errors.

    Raises:
        UnavailableError: it is not installed, or does not work here.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums on every machine, and no line about them
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # nothing here is large enough for a GPU to pay
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensorflow: Any = importlib.import_module("tensorflow")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "tensorflow"
        why = "is not installed" if missing else f"does not work here ({one_line(error)})"
        raise UnavailableError(
            f"TensorFlow {why}: pip install 'edge-pose[convert]', or `make workstation` and then "
            ".venv-workstation/bin/python -m tools.convert"
        ) from error
    tensorflow.get_logger().setLevel("ERROR")
    importlib.import_module("absl.logging").set_verbosity("error")
    return tensorflow
