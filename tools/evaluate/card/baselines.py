"""Baselines of a card: requested models, or the usual two."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.engine.litert import LiteRtEngine
from edge.errors import EdgeError
from edge.models.derive import derive
from tools.evaluate.candidates import Candidate, find_candidate

__all__ = ["DEFAULT", "DERIVED", "Baselines", "default_baselines", "requested_baselines"]

DEFAULT, DERIVED = "default", "derived"
"""What the usual two are: the manifest's default model, and Google's Lightning int8 derived for many people."""
SOURCE = "movenet-singlepose-lightning-int8"
DERIVED_NAME = "movenet-lightning-heads-int8"


@dataclass(frozen=True, slots=True)
class Baselines:
    """Models to be compared with.

    Attributes:
        models: by what they are: DEFAULT, DERIVED, or their name.
        left_out: why, of the usual ones that cannot be had, likewise.
    """

    models: dict[str, Candidate]
    left_out: dict[str, str]


def requested_baselines(models: Iterable[tuple[str, tuple[int, int] | None]], size: tuple[int, int]) -> Baselines:
    """Return models by file or name; an open size becomes `size`.

    `size` is (width, height).

    Raises:
        EdgeError: one is not available, or not at the requested size.
    """
    found = [_at(find_candidate(name, own), size) for name, own in models]
    return Baselines({_label(candidate): candidate for candidate in found}, {})


def default_baselines(size: tuple[int, int], folder: Path) -> Baselines:
    """Return the available ones of the default model and the derived Lightning.

    Args:
        size: of their input.
        folder: where the derived model is made.
    """
    baselines = Baselines({}, {})
    makers: dict[str, Callable[[], Candidate]] = {
        DEFAULT: lambda: find_candidate(None, size),
        DERIVED: lambda: _derived(size, folder),
    }
    for what, make in makers.items():
        try:
            candidate = make()
            candidate.engine(1).close()
        except EdgeError as error:
            baselines.left_out[what] = "; ".join(str(error).splitlines())
        else:
            baselines.models[what] = candidate
    return baselines


def _at(candidate: Candidate, size: tuple[int, int]) -> Candidate:
    if candidate.size is None:
        engine = LiteRtEngine(candidate.path, name=candidate.name)
        if engine.own_size is None:
            candidate = replace(candidate, size=size)
        engine.close()
    candidate.engine(1).close()
    return candidate


def _label(candidate: Candidate) -> str:
    if candidate.size is None:
        return candidate.name
    width, height = candidate.size
    return f"{candidate.name}@{height}x{width}"


def _derived(size: tuple[int, int], folder: Path) -> Candidate:
    path = folder / f"{DERIVED_NAME}.tflite"
    derive(find_candidate(SOURCE, None).path, size).model.save(path)
    return Candidate(DERIVED_NAME, path, None)
