"""Handlers of the commands; each returns its exit code or raises an EdgeError.

Each imports what it needs: `config check` must not wait for OpenCV.
"""

# ruff: noqa: PLC0415, T201 - see above; print writes the commands' output

import argparse
import sys
from typing import Any

from edge.errors import UsageError
from edge.host.process import Signals

__all__ = ["bench", "demo", "doctor", "print_help", "run", "watch"]


def run(options: argparse.Namespace, signals: Signals) -> int:
    """Find people and publish their poses until stopped."""
    from edge.agent.run import Run, RunOptions
    from edge.config import load

    config = load(options.config, _overrides(options), options.set)
    run = Run(
        config,
        RunOptions(max_frames=options.max_frames, paced=not options.no_pace, loop=options.loop),
    )
    signals.hand_over(run.stop)
    run.run()
    return 0


def print_help(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every handler has this signature
    """Print the help for `edge-pose` without a command."""
    options.parser.print_help(sys.stderr)
    raise UsageError("no command given: `edge-pose demo` needs no hardware, `edge-pose run --help` explains daily use")


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    from edge.models.files import is_path

    model: str | None = options.model
    by_path = model is not None and is_path(model)
    return {
        "camera.source": options.camera,
        "model.file": model if by_path else None,
        "model.name": None if by_path else model,
        "model.offline": options.offline or None,
        "mqtt.url": options.mqtt,
        "output.jsonl": options.jsonl,
        "output.record": options.record,
        "output.display": options.display or None,
        "output.private": options.private or None,
    }


def demo(options: argparse.Namespace, signals: Signals) -> int:
    """Demonstrate the whole pipeline without hardware."""
    from edge.commands.demo.command import Demo

    demo = Demo(seconds=options.seconds, model=options.model, picture=options.picture)
    signals.hand_over(demo.stop)
    return demo.run()


def bench(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Benchmark the models on this machine."""
    import json

    from edge.commands.bench.suite import BenchOptions, run_bench
    from edge.commands.bench.table import format_table

    bench_options = BenchOptions(model=options.model, video=options.video, quick=options.quick, rounds=options.rounds)
    figures = run_bench(bench_options)
    print(json.dumps(figures, indent=2) if options.json else format_table(figures))
    return 0


def doctor(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every handler has this signature
    """Diagnose this machine."""
    import json

    from edge.commands.doctor.checkup import examine
    from edge.commands.doctor.host import this_host
    from edge.commands.doctor.report import as_json, as_text
    from edge.commands.terminal.screen import takes_colour
    from edge.errors import UnavailableError

    checkup = examine(this_host(), options.config)
    colour = takes_colour(sys.stdout)
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(as_json(checkup), indent=2) if options.json else as_text(checkup, colour=colour, plain=plain))
    return UnavailableError.exit_code if checkup.count("problem") else 0


def watch(options: argparse.Namespace, signals: Signals) -> int:
    """Show every device on a broker, live."""
    from edge.agent.parts import mqtt_settings
    from edge.commands.watch.command import Watch, WatchOptions
    from edge.config import load

    flags = {"mqtt.url": options.mqtt, "mqtt.base_topic": options.base_topic, "device.name": options.device}
    config = load(options.config, flags, options.set)
    if not config.mqtt.url:
        config = load(options.config, {**flags, "mqtt.url": "mqtt://localhost"}, options.set)
    watch = Watch(
        mqtt_settings(config, options.config),
        WatchOptions(device=options.device, once=options.once, every_s=options.every),
    )
    watch.open()  # until then Ctrl-C ends the process at once: nothing needs cleaning up yet
    signals.hand_over(watch.stop)
    return watch.run()
