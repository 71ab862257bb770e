"""What the tests of the workstation's tools share. Without TensorFlow, an extra of its own, none is collected."""

import importlib.util
import os
from pathlib import Path

import pytest

from data import MIRROR_VARIABLE, model

# Before TensorFlow is imported by anyone: it is loud.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

collect_ignore_glob = [] if importlib.util.find_spec("tensorflow") else ["test_*.py"]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published MultiPose graph with seeded weights: a SavedModel folder, built once."""
    return _built(tmp_path_factory.mktemp("published"), batch_norm=False)


@pytest.fixture(scope="session")
def published_unfolded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its batch normalizations, as the published SavedModel has them."""
    return _built(tmp_path_factory.mktemp("unfolded"), batch_norm=True)


def _built(folder: Path, *, batch_norm: bool) -> Path:
    from workstation.published_graph import build

    if not os.environ.get(MIRROR_VARIABLE):
        pytest.skip(f"{MIRROR_VARIABLE} is not set")
    build(model("movenet_multipose_lightning_topology.json"), folder, batch_norm=batch_norm)
    return folder
