"""What the tools measure with unless told otherwise: the default model and the test data of this machine."""

import os
from pathlib import Path

from edge.errors import EdgeError
from edge.manifest import load_manifest
from edge.model_files import places, resolve

__all__ = ["default_model", "test_data"]


def default_model() -> Path | None:
    """Return the file of the manifest's default model, None where it cannot be had."""
    try:
        where = places(os.environ)
        return resolve(None, load_manifest(where.mirror), where).path
    except EdgeError:
        return None


def test_data(name: str) -> Path | None:
    """Return a file below EDGE_POSE_TEST_DATA/data, None without that variable."""
    folder = os.environ.get("EDGE_POSE_TEST_DATA")
    return Path(folder) / "data" / name if folder else None
