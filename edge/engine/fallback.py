"""Engine with a fallback: the Edge TPU in a process of its own; while it is away, the same model on the CPU."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from edge.engine.convert_input import convert_input
from edge.engine.isolation.isolated import IsolatedEngine
from edge.engine.isolation.spawner import Outcome, Spawner
from edge.errors import ConfigError, EdgeError, EngineLostError, UnavailableError
from edge.ports import Engine, ModelSpec

__all__ = ["EngineWatcher", "FallbackEngine", "Patience"]

log = logging.getLogger(__name__)

EngineWatcher = Callable[[Literal["cpu", "edgetpu"] | None, str], None]
"""Told on every change what infers (None: nothing does), and what is wrong ("" when nothing is)."""

TAKE_S = 0.25
"""So long one call may wait for an engine that is being started."""


@dataclass(frozen=True, slots=True)
class Patience:
    """When the Edge TPU is given up, and when it is tried again.

    Attributes:
        max_failures: so many in a row, and the CPU takes over.
        good_inferences: after so many the failures before them are forgotten.
        first_probe_s: wait before it is tried again; doubled with every further failure.
        last_probe_s: the longest wait.
    """

    max_failures: int = 3
    good_inferences: int = 100
    first_probe_s: float = 5.0
    last_probe_s: float = 30.0

    def wait_s(self, failures: int) -> float:
        """Return how long to wait before the next attempt."""
        doublings = failures - self.max_failures
        return min(self.first_probe_s * 2.0 ** min(doublings, 16), self.last_probe_s) if doublings >= 0 else 0.0


class FallbackEngine:
    """Runs a model on the Edge TPU, starts its process anew when it is lost, and has a twin on the CPU meanwhile.

    `spec` is that of whatever made the last outputs. Inputs are always made for the Edge TPU's model (`size_for`).
    The first attempt is over when this is constructed.

    Args:
        make: returns an isolated engine, not started.
        load_twin: loads the same model for the CPU, if its size can be chosen for inputs of about (width, height);
            None when there is none, then nothing is inferred meanwhile.
        name: how messages name the model.
        watcher: told of changes, on the thread that calls `run`.
        is_required: a missing or unfit library is an error at the start, as it is without a twin.
        patience: when to give up and to try again.
        devices: what is plugged in; a change is a reason to try again at once.

    Raises:
        ModelError: the model is damaged or of a kind that cannot be decoded.
        ConfigError: the size asked for is not the model's.
        UnavailableError: there is no library for the Edge TPU, or none that works, and the twin may not or cannot do.
    """

    spec: ModelSpec

    def __init__(
        self,
        make: Callable[[], IsolatedEngine],
        load_twin: Callable[[tuple[int, int]], Engine] | None,
        *,
        name: str,
        watcher: EngineWatcher,
        is_required: bool = False,
        patience: Patience = Patience(),
        devices: Callable[[], object] = tuple,
    ) -> None:
        self.name = name
        self._load_twin = load_twin
        self._watcher = watcher
        self._patience = patience
        self._engine: IsolatedEngine | None = None
        self._twin: Engine | None = None
        self._failures = 0
        self._good = 0
        self._has_run = False
        self._error: EdgeError | None = None
        self._retiring = False
        self._told: tuple[str | None, str] | None = None
        self._spawner = Spawner(make, devices)
        self._spawner.want()
        outcome = self._spawner.take()
        assert outcome is not None
        try:
            self.spec = self._own = self._accept_first(outcome, is_required=is_required)
        except EdgeError:
            self._spawner.close()
            raise

    @property
    def is_dynamic(self) -> bool:
        """False: the size of a compiled model is fixed."""
        return False

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:  # noqa: ARG002 - a compiled model's size is fixed
        """Return the spec that inputs are made for, whatever runs at the moment."""
        return self._own

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Infer `tensor`, which fits the spec that `size_for` returned; `spec` tells what the outputs are.

        Raises:
            EngineLostError: nothing can infer at the moment; the next call may.
        """
        if self._engine is None:
            self._take()
        if self._engine is not None:
            try:
                outputs = self._engine.run(tensor)
            except EngineLostError as error:
                self._engine = None
                if self._retiring:
                    raise
                self._lost(error, is_news=True)
            else:
                self._count_good()
                self.spec = self._own
                return outputs
        return self._infer_instead(tensor)

    def retire(self) -> None:
        """Let an Edge TPU that is lost from now on be: nothing is started, logged or told."""
        self._retiring = True

    def close(self) -> None:
        """End whatever runs."""
        self._spawner.close()
        for engine in (self._engine, self._twin):
            if engine is not None:
                engine.close()
        self._engine = self._twin = None

    def _accept_first(self, outcome: Outcome, *, is_required: bool) -> ModelSpec:
        error, spec = outcome.error, outcome.engine.spec
        if error is None:
            self._engine = outcome.engine
        elif isinstance(error, UnavailableError) and (is_required or self._load_twin is None):
            raise UnavailableError(f"model {self.name} is compiled for the Edge TPU: {error}") from error
        elif spec is None or isinstance(error, ConfigError):
            raise error
        else:
            self._failures = self._patience.max_failures - 1  # nothing is lost yet, so the CPU may begin at once
            self._lost(error, is_news=True)
        assert spec is not None
        return spec

    def _take(self) -> None:
        outcome = self._spawner.take(0 if self._is_given_up() else TAKE_S)
        if outcome is None:
            return
        if outcome.error is not None:
            if self._retiring:
                raise EngineLostError(str(outcome.error)) from outcome.error
            self._lost(outcome.error, is_news=self._failures < self._patience.max_failures)
            return
        self._engine = outcome.engine
        if self._twin is not None:
            self._twin.close()
            self._twin = None

    def _lost(self, error: EdgeError, *, is_news: bool) -> None:
        self._failures += 1
        self._good = 0
        self._error = error
        wait_s = self._patience.wait_s(self._failures)
        self._spawner.want(wait_s)
        log.log(
            logging.WARNING if is_news else logging.DEBUG,
            "engine: %s; %s",
            error,
            f"tried again in {wait_s:g} s" if wait_s else "started again",
        )

    def _count_good(self) -> None:
        self._good += 1
        if self._good >= self._patience.good_inferences:
            self._failures = 0
        self._tell("edgetpu", "")
        self._has_run = True

    def _is_given_up(self) -> bool:
        return self._failures >= self._patience.max_failures and self._load_twin is not None

    def _infer_instead(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        twin = self._ready_twin() if self._is_given_up() else None
        if twin is None:
            self._tell(None, self._trouble("no poses until it is back" if self._has_run else "no poses"))
            raise EngineLostError("no engine: there is no Edge TPU at the moment")
        self._tell("cpu", self._trouble("running on the CPU"))
        outputs = twin.run(convert_input(tensor, self._own, twin.spec))
        self.spec = twin.spec
        return outputs

    def _ready_twin(self) -> Engine | None:
        if self._twin is None and self._load_twin is not None and not self._retiring:
            try:
                self._twin = self._load_twin(self._own.input_size)
                log.warning("engine: the CPU takes over, with model %s", self._twin.spec.name)
            except EdgeError as error:
                log.warning("engine: the CPU cannot take over: %s", error)
                self._load_twin = None
        return self._twin

    def _trouble(self, instead: str) -> str:
        """Say what is the case; why, and what to do, unless it worked before and may be back by itself."""
        what = f"Edge TPU lost, {instead}" if self._has_run else instead
        is_told = not self._has_run or isinstance(self._error, UnavailableError)
        return f"{what}: {self._error}" if is_told else what

    def _tell(self, accelerator: Literal["cpu", "edgetpu"] | None, trouble: str) -> None:
        if self._retiring or self._told == (accelerator, trouble):
            return
        if self._told is not None and not trouble:
            log.warning("engine: the Edge TPU is %s", "back" if self._has_run else "there")
        self._told = accelerator, trouble
        self._watcher(accelerator, trouble)
