"""Whether a soak was passed: its figures against the bars."""

import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from tools.soak.record import Fault, Plan, Record, settled

__all__ = [
    "COUNTS",
    "MIN_FAULTS",
    "findings",
    "leak_bytes_per_s",
    "max_recovery_s",
    "median_recovery_s",
    "rss_slope",
    "theil_sen",
]

COUNTS = ("threads", "fds", "children")
MIN_FAULTS = 6


def theil_sen(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Return the Theil-Sen slope: the median over all pairs of points.

    Theil 1950, Sen 1968.

    Almost a third of the points may lie anywhere without moving it far.

    Args:
        times_s: (N,) seconds, no two alike.
        values: (N,).

    Returns:
        Units of `values` per second; 0 for fewer than two points.
    """
    if len(times_s) < 2:
        return 0.0
    first, second = np.triu_indices(len(times_s), 1)  # all pairs
    times, heights = np.asarray(times_s, float), np.asarray(values, float)
    return float(np.median((heights[second] - heights[first]) / (times[second] - times[first])))


def rss_slope(record: Record) -> float:
    """Return the growth of the agent's memory in bytes per second.

    Over the second half of the soak.
    """
    half_s = record.samples[-1].time_s / 2 if record.samples else 0.0
    late = [sample for sample in record.samples if sample.time_s >= half_s]
    return theil_sen([sample.time_s for sample in late], [sample.rss_bytes for sample in late])


def leak_bytes_per_s(record: Record) -> float:
    """Return the slope of a leak: half a picture per fault.

    Of an RGB picture, and of faults of one kind.

    Memory that grows in steps, a step per fault, has its slope only where there are several in the second half, so it
    is judged from `MIN_FAULTS` on.
    """
    width, height = record.size
    return width * height * 3 / 2 * record.plan.faults / record.plan.duration_s


def max_recovery_s(fault: Fault, record: Record) -> float:
    """Return how long poses may stay away after a fault.

    On a busy machine the bar is higher by what the same work takes there without any fault, and by the scheduling
    delay: neither is the agent's.
    """
    return record.plan.max_recovery_s + (record.alone_s(fault.kind) + fault.late_s if record.plan.busy else 0.0)


def findings(record: Record) -> list[str]:
    """Return what is wrong, in words; empty if passed."""
    return [*_of_the_end(record), *_of_faults(record), *_of_counts(record), *_of_memory(record)]


def _of_the_end(record: Record) -> Iterator[str]:
    if record.ended_early:
        yield f"the agent ended by itself, with {record.exit_code}"
    elif record.exit_code != 0:
        yield f"the agent ended with {record.exit_code} when it was asked to stop"
    if record.tracebacks:
        yield f"{record.tracebacks} tracebacks in the agent's log"
    if record.stop_s > _max_stop_s(record.plan, record):
        yield f"the agent took {record.stop_s:.1f} s to stop (at most {_max_stop_s(record.plan, record):.1f} s)"


def _max_stop_s(plan: Plan, record: Record) -> float:
    return plan.max_stop_s + (max((sample.late_s for sample in record.samples), default=0.0) if plan.busy else 0.0)


def _of_faults(record: Record) -> Iterator[str]:
    for kind in record.kinds:
        faults = [fault for fault in record.faults if fault.kind == kind]
        if len(faults) < record.plan.faults:
            yield f"{kind}: lost {len(faults)} times instead of {record.plan.faults}"
        for number, fault in enumerate(faults, 1):
            if fault.recovery_s is None:
                yield f"{kind} {number}: no poses any more"
            elif fault.recovery_s > max_recovery_s(fault, record):
                bar_s = max_recovery_s(fault, record)
                yield f"{kind} {number}: poses back after {fault.recovery_s:.2f} s (at most {bar_s:.2f} s)"


def _of_counts(record: Record) -> Iterator[str]:
    for name in COUNTS:
        before = settled(getattr(sample, name) for sample in record.before)
        after = settled(getattr(sample, name) for sample in record.after)
        if before != after or before is None:
            yield f"{name}: {before} before the first fault, {after} after the last"
    if record.engine != "edgetpu":
        yield f"at the end '{record.engine or 'nothing'}' infers instead of the engine's own process"


def _of_memory(record: Record) -> Iterator[str]:
    slope, leak = rss_slope(record), leak_bytes_per_s(record)
    if record.plan.faults >= MIN_FAULTS and slope > leak:
        yield f"memory grows by {slope * 60 / 1e6:.2f} MB per minute (a leak from {leak * 60 / 1e6:.2f})"


def median_recovery_s(faults: Sequence[Fault]) -> float:
    """Return the median recovery; NaN without any."""
    times_s = [fault.recovery_s for fault in faults if fault.recovery_s is not None]
    return statistics.median(times_s) if times_s else float("nan")
