"""Loads the engine of a run on the CPU or the Edge TPU.

Drivers are imported inside the functions, so that only what a config needs is loaded.
"""

# ruff: noqa: PLC0415

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from edge.config import Config
from edge.config.input_size import parse_size
from edge.errors import EdgeError
from edge.models.entry import ModelEntry
from edge.models.files import ResolvedModel
from edge.models.manifest import Manifest
from edge.models.placement import Placement, place
from edge.models.places import Places
from edge.models.selection import Choice, find_named, find_requested
from edge.ports import Engine

if TYPE_CHECKING:
    from edge.engine.fallback import FallbackEngine
    from edge.engine.litert import LiteRtEngine

__all__ = ["LoadedEngine", "is_dynamic", "load_engine"]

log = logging.getLogger(__name__)


class LoadedEngine(Engine, Protocol):
    """An engine with a name for messages.

    Attributes:
        name: of the model.
    """

    name: str

    @property
    def is_dynamic(self) -> bool:
        """Whether the model takes an input of any size."""
        ...


def load_engine(
    config: Config,
    watcher: Callable[[Literal["cpu", "edgetpu"] | None, str], None] = lambda *_: None,
    choice: Choice | None = None,
) -> LoadedEngine:
    """Load the model of a config. Raises EdgeError.

    Args:
        config: of the run.
        watcher: called when the engine is lost and when it is back (see `edge.engine.fallback.EngineWatcher`).
        choice: which model (see `edge.models.selection.select`); None: the model of the config, and no other.
    """
    choice = choice or find_requested(config.model)
    model, manifest, where = choice.model, choice.manifest, choice.where
    placement = _place(model, config, manifest)
    wanted = config.model.delegate == "edgetpu"
    tpu = _find(placement.tpu, manifest, where, is_needed=wanted or placement.tpu is model)
    cpu = _find(placement.cpu, manifest, where, is_needed=tpu is None)
    if tpu is not None:
        on_tpu = _on_tpu(tpu, cpu, config, watcher)
        log.info("model %s from %s, for the Edge TPU", tpu.name, tpu.path)
        return on_tpu
    assert cpu is not None
    on_cpu = _on_cpu(cpu, config, parse_size(config.model.size))
    log.info("model %s from %s", cpu.name, cpu.path)  # an error is one line, and comes alone
    return on_cpu


def is_dynamic(model: ResolvedModel) -> bool:
    """Return whether a model takes any input size. Raises EdgeError if it is unusable."""
    from edge.engine.litert import LiteRtEngine

    return LiteRtEngine(model.path, name=model.name).is_dynamic


def _place(model: ResolvedModel, config: Config, manifest: Manifest) -> Placement:
    from edge.engine.coral import is_compiled, list_tpus

    return place(
        model,
        is_compiled=model.entry.delegate == "edgetpu" if model.entry is not None else is_compiled(model.path),
        delegate=config.model.delegate,
        manifest=manifest,
        has_tpu=lambda: bool(list_tpus()),
    )


def _find(
    found: ResolvedModel | ModelEntry | None, manifest: Manifest, where: Places, *, is_needed: bool
) -> ResolvedModel | None:
    """Return a model with its file; one that is not needed may be missing."""
    if not isinstance(found, ModelEntry):
        return found
    try:
        return find_named(found.name, manifest, where)
    except EdgeError as error:
        if is_needed:
            raise
        log.warning("model %s is not used: %s", found.name, error)
        return None


def _on_cpu(model: ResolvedModel, config: Config, input_size: tuple[int, int] | None) -> "LiteRtEngine":
    from edge.engine.litert import LiteRtEngine
    from edge.engine.trial import try_model

    if model.entry is None:  # a file by its path: nobody knows its digest
        try_model(model.path, input_size)
    return LiteRtEngine(model.path, name=model.name, threads=config.model.threads, input_size=input_size)


def _as_twin(model: ResolvedModel, config: Config, input_size: tuple[int, int]) -> "LiteRtEngine":
    """Load the twin of an Edge TPU's model of `input_size`; a larger input than that would gain nothing."""
    engine = _on_cpu(model, config, None)
    engine.size_for(input_size)
    areas = [width * height for width, height in engine.choices]
    fitting = [level for level, area in enumerate(areas) if area <= input_size[0] * input_size[1]]
    engine.level = fitting[0] if fitting else len(areas) - 1
    return engine


def _on_tpu(
    model: ResolvedModel,
    twin: ResolvedModel | None,
    config: Config,
    watcher: Callable[[Literal["cpu", "edgetpu"] | None, str], None],
) -> "FallbackEngine":
    from edge.engine.coral import EDGETPU_LIBRARY, usb_and_pci
    from edge.engine.fallback import FallbackEngine
    from edge.engine.isolation.isolated import IsolatedEngine
    from edge.engine.isolation.wire import Job

    job = Job(
        path=str(model.path.absolute()),
        name=model.name,
        threads=config.model.threads,
        input_size=parse_size(config.model.size),
        library=EDGETPU_LIBRARY,
    )
    return FallbackEngine(
        lambda: IsolatedEngine(job),
        None if twin is None else lambda input_size: _as_twin(twin, config, input_size),
        name=model.name,
        watcher=watcher,
        is_required=config.model.delegate == "edgetpu",
        devices=usb_and_pci,
    )
