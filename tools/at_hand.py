"""What the tools measure with unless told otherwise."""

import os
from pathlib import Path

from edge.errors import EdgeError
from edge.models.files import places, resolve
from edge.models.manifest import load_manifest

__all__ = ["default_model"]


def default_model() -> Path | None:
    """Return the file of the manifest's default model, None where it cannot be had."""
    try:
        where = places(os.environ)
        return resolve(None, load_manifest(where.mirror), where).path
    except EdgeError:
        return None
