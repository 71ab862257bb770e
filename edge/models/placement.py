"""Decides whether a model runs on the Edge TPU or the CPU."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edge.errors import UnavailableError
from edge.models.entry import ModelEntry
from edge.models.files import ResolvedModel
from edge.models.manifest import Manifest

__all__ = ["Delegate", "Placement", "place"]

Delegate = Literal["auto", "cpu", "edgetpu"]
Found = ResolvedModel | ModelEntry
"""A model with its file, or an entry whose file is not looked for yet."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The models for the Edge TPU and the CPU.

    Attributes:
        tpu: runs on the Edge TPU; None: none does.
        cpu: runs on the CPU, alone or while the Edge TPU is lost; None: none does.
    """

    tpu: Found | None
    cpu: Found | None


def place(
    model: ResolvedModel, *, is_compiled: bool, delegate: Delegate, manifest: Manifest, has_tpu: Callable[[], bool]
) -> Placement:
    """Decide where a model runs.

    Args:
        model: the requested one.
        is_compiled: whether its file is compiled for the Edge TPU.
        delegate: `model.delegate` of the config.
        manifest: names its CPU twin, or its build for the Edge TPU.
        has_tpu: returns whether this machine has one; called only if it matters.

    Raises:
        UnavailableError: it cannot run on the delegate of the config.
    """
    if is_compiled:
        return _place_compiled(model, delegate, manifest)
    build = _build_of(model, manifest)
    if delegate == "edgetpu" and build is None:
        raise UnavailableError(
            f"model '{model.name}' is not compiled for the Edge TPU, and no model of the manifest is its build for it "
            '(delegate = "edgetpu", cpu_twin = …): choose another model, or model.delegate = "auto"'
        )
    if delegate == "edgetpu" or (delegate == "auto" and build is not None and has_tpu()):
        return Placement(build, model)
    return Placement(None, model)


def _place_compiled(model: ResolvedModel, delegate: Delegate, manifest: Manifest) -> Placement:
    twin = manifest.entries.get(model.entry.cpu_twin) if model.entry is not None else None
    if delegate != "cpu":
        return Placement(model, twin)
    if twin is None:
        raise UnavailableError(
            f"model '{model.name}' is compiled for the Edge TPU and has no twin for the CPU: choose another model, "
            'or model.delegate = "auto"'
        )
    return Placement(None, twin)


def _build_of(model: ResolvedModel, manifest: Manifest) -> ModelEntry | None:
    """Return a model's build for the Edge TPU; a file given by path has none."""
    entries = manifest.entries.values() if model.entry is not None else ()
    return next((entry for entry in entries if entry.delegate == "edgetpu" and entry.cpu_twin == model.name), None)
