"""Engine for the Edge TPU with a fallback to the CPU."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from edge.backoff import Backoff
from edge.engine.convert_input import convert_input
from edge.engine.isolation.isolated import IsolatedEngine
from edge.engine.isolation.spawner import Outcome, Spawner
from edge.errors import ConfigError, EdgeError, EngineLostError, UnavailableError
from edge.ports import Engine, ModelSpec

__all__ = ["EngineWatcher", "FallbackEngine", "RetryPolicy"]

log = logging.getLogger(__name__)

EngineWatcher = Callable[[Literal["cpu", "edgetpu"] | None, str], None]
"""Called on every change with what infers (None: nothing) and the problem ("" if there is none)."""

TAKE_S = 0.25
"""Longest time that one `run` waits for an engine that is being started."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When the CPU takes over and when the TPU is retried.

    Attributes:
        max_failures: consecutive failures after which the CPU takes over.
        good_inferences: number of inferences after which earlier failures no longer count.
        first_probe_s: wait before the first retry after that; doubled with every further failure.
        last_probe_s: the longest wait between two retries.
    """

    max_failures: int = 3
    good_inferences: int = 100
    first_probe_s: float = 5.0
    last_probe_s: float = 30.0

    def backoff(self) -> Backoff:
        """Return the waits between two retries; one device, so without jitter."""
        return Backoff(min_s=self.first_probe_s, max_s=self.last_probe_s, growth=2, draw=None)


class FallbackEngine:
    """Runs a model on the Edge TPU, or its twin on the CPU.

    The Edge TPU runs in a child process, which is restarted when it is lost. `spec` is that of the engine that made
    the last outputs; inputs are always made for the Edge TPU's model (`size_for`). The constructor returns after the
    first attempt to start.

    Args:
        make: returns an isolated engine, not started.
        load_twin: loads the same model for the CPU, for a compiled model of (width, height); None if there is no
            twin: nothing is inferred then while the TPU is lost.
        name: how messages name the model.
        watcher: called on every change, on the thread that calls `run`.
        is_required: a missing or unfit library is an error at the start, as it is without a twin.
        retry_policy: when the CPU takes over and when the TPU is retried.
        devices: returns what is plugged in; a change ends the wait before the next attempt.

    Raises:
        ModelError: the model is damaged or of a kind that cannot be decoded.
        ConfigError: the size asked for is not the model's.
        UnavailableError: there is no library for the Edge TPU, or none that works, and no twin may take over.
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
        retry_policy: RetryPolicy = RetryPolicy(),
        devices: Callable[[], object] = tuple,
    ) -> None:
        self.name = name
        self._load_twin = load_twin
        self._watcher = watcher
        self._retry_policy = retry_policy
        self._backoff = retry_policy.backoff()
        self._engine: IsolatedEngine | None = None
        self._twin: Engine | None = None
        self._twin_level = 0
        self._failures = 0
        self._good_inferences = 0
        self._has_run = False
        self._error: EdgeError | None = None
        self._retiring = False
        self._reported: tuple[str | None, str] | None = None
        self._spawner = Spawner(make, devices)
        self._spawner.request()
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

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        """Sizes (width, height) that the twin may have, largest first; the Edge TPU's one while that runs.

        None is larger than what the twin was loaded with: inputs are made for the Edge TPU's model.
        """
        return (self._own.input_size,) if self._twin is None else self._twin.choices[self._twin_level :]

    @property
    def level(self) -> int:
        """Index in `choices` of the size that the twin takes from its next inference on."""
        return 0 if self._twin is None else self._twin.level - self._twin_level

    @level.setter
    def level(self, level: int) -> None:
        if self._twin is not None:
            self._twin.level = self._twin_level + level

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:  # noqa: ARG002 - a compiled model's size is fixed
        """Return the spec of the Edge TPU's model, for any input."""
        return self._own

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Infer `tensor`, made for the spec of `size_for`; `spec` describes the outputs.

        Raises:
            EngineLostError: neither the TPU nor a twin can infer now; a later call may succeed.
        """
        if self._engine is None:
            self._take_outcome()
        if self._engine is not None:
            try:
                outputs = self._engine.run(tensor)
            except EngineLostError as error:
                self._engine = None
                if self._retiring:
                    raise
                self._on_loss(error, should_warn=True)
            else:
                self._count_good()
                self.spec = self._own
                return outputs
        return self._run_twin(tensor)

    def retire(self) -> None:
        """Stop recovery: a later loss is not repaired, logged or reported."""
        self._retiring = True

    def close(self) -> None:
        """Stop the spawner, the Edge TPU's process and the twin."""
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
            self._failures = self._retry_policy.max_failures - 1  # nothing ran yet, so the CPU may take over at once
            self._on_loss(error, should_warn=True)
        assert spec is not None
        return spec

    def _take_outcome(self) -> None:
        outcome = self._spawner.take(0 if self._is_given_up() else TAKE_S)
        if outcome is None:
            return
        if outcome.error is not None:
            if self._retiring:
                raise EngineLostError(str(outcome.error)) from outcome.error
            self._on_loss(outcome.error, should_warn=self._failures < self._retry_policy.max_failures)
            return
        self._engine = outcome.engine
        if self._twin is not None:
            self._twin.close()
            self._twin = None

    def _on_loss(self, error: EdgeError, *, should_warn: bool) -> None:
        self._failures += 1
        self._good_inferences = 0
        self._error = error
        has_failed_often = self._failures >= self._retry_policy.max_failures
        wait_s = self._backoff.next_s() if has_failed_often else 0.0
        self._spawner.request(wait_s)
        log.log(
            logging.WARNING if should_warn else logging.DEBUG,
            "engine: %s; %s",
            error,
            f"tried again in {wait_s:g} s" if wait_s else "started again",
        )

    def _count_good(self) -> None:
        self._good_inferences += 1
        if self._good_inferences >= self._retry_policy.good_inferences:
            self._failures = 0
            self._backoff.reset()
        self._report("edgetpu", "")
        self._has_run = True

    def _is_given_up(self) -> bool:
        return self._failures >= self._retry_policy.max_failures and self._load_twin is not None

    def _run_twin(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        twin = self._loaded_twin() if self._is_given_up() else None
        if twin is None:
            self._report(None, self._problem("no poses until it is back" if self._has_run else "no poses"))
            raise EngineLostError("no engine: there is no Edge TPU at the moment")
        self._report("cpu", self._problem("running on the CPU"))
        spec = twin.size_for(self._own.input_size)
        outputs = twin.run(convert_input(tensor, self._own, spec))
        self.spec = spec
        return outputs

    def _loaded_twin(self) -> Engine | None:
        if self._twin is None and self._load_twin is not None and not self._retiring:
            try:
                self._twin = self._load_twin(self._own.input_size)
                self._twin_level = self._twin.level
                log.warning("engine: the CPU takes over, with model %s", self._twin.spec.name)
            except EdgeError as error:
                log.warning("engine: the CPU cannot take over: %s", error)
                self._load_twin = None
        return self._twin

    def _problem(self, consequence: str) -> str:
        """Return the problem; with its cause, unless the TPU worked before and may come back without help."""
        state = f"Edge TPU lost, {consequence}" if self._has_run else consequence
        with_cause = not self._has_run or isinstance(self._error, UnavailableError)
        return f"{state}: {self._error}" if with_cause else state

    def _report(self, accelerator: Literal["cpu", "edgetpu"] | None, problem: str) -> None:
        if self._retiring or self._reported == (accelerator, problem):
            return
        if self._reported is not None and not problem:
            log.warning("engine: the Edge TPU is %s", "back" if self._has_run else "there")
        self._reported = accelerator, problem
        self._watcher(accelerator, problem)
