"""Soak test of the agent: its broker, camera and engine are lost repeatedly.

    python -m tools.soak [--minutes 30] [--faults 10] [--picture FILE.png] [--csv FILE] [--json FILE]
    python -m tools.soak --camera /dev/video0 [--coral] …

The agent runs as a process of its own with a config file, as its service does. A broker on this machine is killed
(SIGKILL) and started again at once; a network camera that shows the synthetic scene is killed and comes back after
--away seconds; the process of the engine is killed. Each in turn, evenly spread. After each, the time is taken to the
next pose message whose picture was taken afterwards: from the kill, for the camera from its return. A camera given by
--camera is not lost. A fault waits until the agent has forgotten those before (12 s of connection, 120 poses of a new
engine), which makes a short soak longer than requested.

The engine runs in a process of its own as it does for an Edge TPU, behind a delegate that is compiled here and takes
libedgetpu's place; --coral is for a machine that has the real ones.

Passed: the agent never ended and logged no traceback, poses were back within 3 s every time, it stopped within 2 s,
its threads, descriptors and children are as many at the end as after warming up, and its memory grew by less, in the
second half (slope of Theil and Sen), than half a picture per fault of one kind. --busy is for a machine that others
use, too: what the same work takes there without a fault (measured after each one; the slowest is "alone"), and the
scheduling delay, are allowed on top.

exit codes: 0 passed; 1 failed; 64 unknown or bad flag; 69 something is missing: a model, a C compiler, a broker
"""

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from edge.errors import EdgeError, UsageError
from tools.command_line import Parser, run
from tools.plot import to_png
from tools.soak.chart import draw
from tools.soak.record import Fault, Plan, Record
from tools.soak.report import require_writable, samples_csv, summary, table, to_json, write
from tools.soak.rig.engine import DEFAULT_MODEL, EngineKit, coral_kit, double_kit, find_model
from tools.soak.rig.rig import Rig
from tools.soak.sampler import Sample, Sampler
from tools.soak.verdict import MIN_FAULTS

GIVE_UP_S = 60.0
MAX_PERIOD_S = 1.0
SAMPLES = 1200
"""Enough for a slope, and few enough for all pairs."""


class SoakFailedError(EdgeError):
    """The agent did not pass."""

    exit_code = 1


def main() -> None:
    """Soak, report, and judge. Raises EdgeError."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # either way nothing is left behind
    options = _options()
    require_writable(options.picture, options.csv, options.json)
    plan = Plan(duration_s=options.minutes * 60, faults=options.faults, busy=options.busy)
    with tempfile.TemporaryDirectory(prefix="edge-pose-soak-") as name:
        record = soak(plan, options, Path(name))
    print("\n" + table(record))
    _write_files(record, options)
    if not summary(record).startswith("passed"):
        raise SoakFailedError(summary(record))
    print(f"soak: {summary(record)}")


def soak(plan: Plan, options: argparse.Namespace, folder: Path) -> Record:
    """Run the agent through the plan, and return the record. Raises EdgeError."""
    kit = _engine_kit(options, folder)
    with Rig(folder, kit, source=options.camera, away_s=options.away) as rig:
        print(f"soak: {plan.duration_s / 60:g} minutes, agent is process {rig.agent.pid}", flush=True)
        start_s = time.monotonic()
        period_s = min(plan.duration_s / SAMPLES, MAX_PERIOD_S)
        with Sampler(rig.agent.pid, start_s, period_s) as sampler:
            faults = _inject_faults(rig, plan, start_s, sampler.samples)
            rig.settle("engine")
            _wait_until(max(start_s + plan.duration_s, time.monotonic() + plan.warm_up_s))
        rig.subscriber.raise_error()
        ended_early = rig.agent.code is not None
        exit_code, stop_s = (rig.agent.code, 0.0) if ended_early else rig.agent.end()
        log = rig.agent.log()
        if options.debug:
            print(log, file=sys.stderr)
        return Record(
            plan=plan,
            kinds=rig.kinds,
            faults=tuple(faults),
            samples=tuple(sampler.samples),
            exit_code=exit_code,
            stop_s=stop_s,
            ended_early=ended_early,
            tracebacks=log.count("Traceback (most recent call last)"),
            engine=(rig.subscriber.health and rig.subscriber.health.engine) or "",
            messages=rig.subscriber.messages,
            people=rig.subscriber.people,
            size=rig.subscriber.size,
            setting=f"camera {rig.source}, broker {rig.broker_kind}, model {options.model or DEFAULT_MODEL}",
        )


def _inject_faults(rig: Rig, plan: Plan, start_s: float, samples: list[Sample]) -> list[Fault]:
    """Inject all faults in turn; stop when the agent does not recover."""
    faults: list[Fault] = []
    kinds = [kind for _ in range(plan.faults) for kind in rig.kinds]
    step_s = (plan.duration_s - 2 * plan.warm_up_s) / max(len(kinds), 1)
    for number, kind in enumerate(kinds):
        _wait_until(start_s + plan.warm_up_s + number * step_s)
        if not rig.settle(kind):
            break
        time_s = time.monotonic() - start_s
        recovery_s = rig.lose(kind, GIVE_UP_S)
        late_s = _latest(samples, time_s)
        faults.append(Fault(kind, time_s, recovery_s, late_s, rig.alone_s(kind)))
        back = "not back" if recovery_s is None else f"back after {recovery_s:.2f} s"
        print(f"{time_s / 60:6.1f} min  {kind} lost, poses {back}", flush=True)
    return faults


def _latest(samples: Iterable[Sample], since_s: float) -> float:
    return max((sample.late_s for sample in samples if sample.time_s >= since_s), default=0.0)


def _wait_until(time_s: float) -> None:
    threading.Event().wait(max(time_s - time.monotonic(), 0.0))


def _engine_kit(options: argparse.Namespace, folder: Path) -> EngineKit:
    if options.coral:
        if not options.model:
            raise UsageError("--coral needs --model NAME: one that is compiled for the Edge TPU")
        return coral_kit(options.model)
    return double_kit(find_model(options.model or DEFAULT_MODEL), folder)


def _write_files(record: Record, options: argparse.Namespace) -> None:
    if options.csv:
        write(options.csv, samples_csv(record.samples).encode())
    if options.json:
        write(options.json, to_json(record).encode())
    if options.picture:
        write(options.picture, to_png(draw(record)))


def _options() -> argparse.Namespace:
    parser = Parser("soak", __doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument(
        "--faults",
        type=int,
        default=10,
        help=f"number of each kind (default: 10; memory is judged from {MIN_FAULTS} on)",
    )
    parser.add_argument("--away", type=float, default=2.0, help="seconds for which the camera is gone (default: 2)")
    parser.add_argument("--camera", metavar="SRC", help="this camera, which is not lost, in place of a network camera")
    parser.add_argument("--model", metavar="NAME|FILE", help=f"what the engine runs (default: {DEFAULT_MODEL})")
    parser.add_argument("--coral", action="store_true", help="use this machine's Edge TPU and its libedgetpu")
    parser.add_argument("--busy", action="store_true", help="allow for a machine that has other things to do")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw memory and recoveries over time (PNG)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and every fault")
    options = parser.parse_args()
    if not (options.minutes > 0 and options.faults >= 0 and options.away >= 0):
        raise UsageError("--minutes has to be positive, --faults and --away must not be negative")
    return options


if __name__ == "__main__":
    run("soak", main)
