"""Loads a teacher: a model of kind `heads` with a square input."""

import os
import sys
from pathlib import Path

from edge.download.progress import ConsoleProgress
from edge.engine.litert import LiteRtEngine
from edge.errors import ModelError
from edge.models.fetch import Fetcher
from edge.models.files import ResolvedModel, is_path, resolve, resolve_file
from edge.models.mirror import known_models
from edge.models.places import places

__all__ = ["find_model", "load_heads"]

OPEN_SIDE_PX = 256
"""Side of the input where a model's own is open."""


def find_model(model: str) -> ResolvedModel:
    """Return a model by file or manifest name. Raises EdgeError.

    It is fetched if needed.
    """
    if is_path(model):
        return resolve_file(Path(model))
    where = places(os.environ)
    return resolve(
        model, known_models(where), where, fetch=Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch
    )


def load_heads(model: ResolvedModel, *, side: int | None = None) -> LiteRtEngine:
    """Load a model of kind `heads` with a square input.

    Args:
        model: its file.
        side: of the input in pixels that is needed; None for any.

    Raises:
        EdgeError: it cannot be loaded, is of another kind, or its input is another.
    """
    engine = LiteRtEngine(model.path, name=model.name)
    if engine.is_dynamic:
        square = side or max(engine.own_size or (OPEN_SIDE_PX,))
        engine.close()
        engine = LiteRtEngine(model.path, name=model.name, input_size=(square, square))
    spec = engine.spec
    if spec.heads is None:
        raise ModelError(
            f"{model.path}: a teacher has to give its heads, and this model is of kind {spec.kind}: "
            "`edge-pose models derive` makes one of a singlepose model, tools.convert --heads of a SavedModel"
        )
    width, height = spec.input_size
    wanted = side or width
    if (width, height) != (wanted, wanted):
        raise ModelError(
            f"{model.path}: its input is {height}x{width} (HxW), and {_needed(side)} is needed: "
            f"`edge-pose models derive SOURCE --size {wanted}x{wanted}` makes one"
        )
    return engine


def _needed(side: int | None) -> str:
    return f"{side}x{side}" if side else "a square one"
