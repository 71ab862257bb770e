"""Where tests find models and pictures that are not in the repository; they skip, with a reason, without."""

import os
import tomllib
from pathlib import Path

import pytest

DATA_VARIABLE = "EDGE_POSE_TEST_DATA"
MIRROR_VARIABLE = "EDGE_POSE_MODEL_MIRROR"

needs_data = pytest.mark.skipif(not os.environ.get(DATA_VARIABLE), reason=f"{DATA_VARIABLE} is not set")
needs_models = pytest.mark.skipif(not os.environ.get(MIRROR_VARIABLE), reason=f"{MIRROR_VARIABLE} is not set")


def data(name: str) -> Path:
    """Return a file or folder of the test data."""
    return Path(os.environ[DATA_VARIABLE]) / "data" / name


def case(name: str) -> Path:
    """Return an input on which the program once failed."""
    return Path(os.environ[DATA_VARIABLE]) / "cases" / name


def model(name: str) -> Path:
    """Return a model file of the mirror."""
    return Path(os.environ[MIRROR_VARIABLE]) / name


def mirror_default() -> str:
    """Return the name of the model that the mirror's manifest makes the default."""
    name = tomllib.loads(model("models.toml").read_text(encoding="utf-8"))["default"]
    assert isinstance(name, str)
    return name
