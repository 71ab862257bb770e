"""Record of a soak: faults, samples, and how it ended."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tools.soak.sampler import Sample

__all__ = ["Fault", "Plan", "Record", "settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do, and the bars to pass.

    Attributes:
        duration_s: of the whole soak.
        faults: number of each kind.
        max_recovery_s: until poses have to be back.
        max_stop_s: until the agent has to end.
        busy: what the machine itself needs is allowed on top of both.
    """

    duration_s: float
    faults: int
    max_recovery_s: float = 3.0
    max_stop_s: float = 2.0
    busy: bool = False

    @property
    def warm_up_s(self) -> float:
        """Quiet time before the first fault, and after the last."""
        return min(self.duration_s / 12, 60.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        kind: what was lost.
        time_s: since the beginning of the soak.
        recovery_s: until poses were back; None: they never were.
        late_s: longest scheduling delay meanwhile.
        alone_s: how long the work of the recovery took without a fault, right afterwards.
    """

    kind: str
    time_s: float
    recovery_s: float | None
    late_s: float = 0.0
    alone_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One soak.

    Attributes:
        plan: what was to be done.
        kinds: what could be lost here.
        faults: in order.
        samples: in order.
        exit_code: of the agent; None: it had to be killed.
        stop_s: how long it took to end.
        ended_early: it was not there any more when it was to be stopped.
        tracebacks: in its log.
        engine: what inferred at the end, by its own word.
        messages: pose messages that arrived.
        people: people in them.
        size: (width, height) of the camera's pictures.
        setting: camera, broker, model, in words.
    """

    plan: Plan
    kinds: tuple[str, ...]
    faults: tuple[Fault, ...]
    samples: tuple[Sample, ...]
    exit_code: int | None
    stop_s: float
    ended_early: bool
    tracebacks: int
    engine: str
    messages: int
    people: int
    size: tuple[int, int]
    setting: str

    def alone_s(self, kind: str) -> float:
        """Return the slowest recovery work without a fault; NaN without faults."""
        return max((fault.alone_s for fault in self.faults if fault.kind == kind), default=float("nan"))

    @property
    def before(self) -> list[Sample]:
        """Samples of the second half before the first fault."""
        first_s = self.faults[0].time_s if self.faults else self.plan.duration_s
        return [sample for sample in self.samples if first_s / 2 <= sample.time_s < first_s]

    @property
    def after(self) -> list[Sample]:
        """Samples of the second half after the last fault."""
        last_s = self.faults[-1].time_s if self.faults else 0.0
        end_s = self.samples[-1].time_s if self.samples else 0.0
        return [sample for sample in self.samples if sample.time_s > (last_s + end_s) / 2]


def settled(values: Iterable[int]) -> int | None:
    """Return the most frequent value, None for no values.

    One sample at the wrong moment does not count.
    """
    counts = Counter(values).most_common(1)
    return counts[0][0] if counts else None
