"""What each command does; each returns its exit code or raises an EdgeError.

Each imports what it needs: `config check` must not wait for OpenCV.
"""

# ruff: noqa: PLC0415, T201 - see above; and these print the commands' own output

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from edge.errors import UsageError
from edge.host.process import Signals

__all__ = [
    "begin",
    "bench",
    "config_check",
    "config_init",
    "config_show",
    "demo",
    "doctor",
    "models_derive",
    "models_fetch",
    "models_list",
    "models_show",
    "models_verify",
    "run",
    "watch",
]


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


def begin(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every command has this form
    """Say which commands there are."""
    options.parser.print_help(sys.stderr)
    raise UsageError(
        "which command? `edge-pose demo` shows the whole way, `edge-pose run --help` explains the daily work"
    )


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    from edge.models.files import is_path

    model: str | None = options.model
    by_path = model is not None and is_path(model)
    return {
        "camera.source": options.camera,
        "model.file": model if by_path else None,
        "model.name": None if by_path else model,
        "mqtt.url": options.mqtt,
        "output.jsonl": options.jsonl,
        "output.record": options.record,
        "output.display": options.display or None,
        "output.private": options.private or None,
    }


def demo(options: argparse.Namespace, signals: Signals) -> int:
    """Show the whole way with no hardware."""
    from edge.demo import Demo

    demo = Demo(seconds=options.seconds, model=options.model, picture=options.picture)
    signals.hand_over(demo.stop)
    return demo.run()


def models_derive(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Make a model for many people of a singlepose one."""
    from edge.models.derive_file import derive_file
    from edge.models.fetch import Fetcher
    from edge.models.files import is_path, resolve, resolve_file
    from edge.models.mirror import known_models
    from edge.models.places import places
    from edge.models.progress import ConsoleProgress

    if is_path(options.source):
        source = resolve_file(Path(options.source))
    else:
        where = places(os.environ)
        fetch = Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch
        source = resolve(options.source, known_models(where), where, fetch=fetch)
    for line in derive_file(source.path, options.output, options.size):
        print(line)
    return 0


def models_fetch(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every command has this form
    """Bring models into the cache."""
    from edge.errors import UnavailableError
    from edge.models.fetch import Fetcher
    from edge.models.mirror import known_models
    from edge.models.places import places
    from edge.models.progress import ConsoleProgress

    where = places(os.environ)
    fetcher = Fetcher(where, on_progress=ConsoleProgress(sys.stderr))
    asked = fetcher.fetch_all(options.names, known_models(where), everything=options.all, accept=options.accept_digest)
    problems = []
    for row in asked:
        nothing = ", in the package: nothing to fetch" if row.entry.bundled and row.path else ""
        print(f"{row.entry.name}: {row.state}{nothing}{f' ({row.path})' if row.path else ''}", flush=True)
        problems += [row.problem] if row.problem else []
    if problems:
        raise UnavailableError("\n".join(problems))
    return 0


def bench(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Measure the models of this machine."""
    import json

    from edge.bench.suite import BenchOptions, format_table, run_bench

    asked = BenchOptions(model=options.model, video=options.video, quick=options.quick, rounds=options.rounds)
    figures = run_bench(asked)
    print(json.dumps(figures, indent=2) if options.json else format_table(figures))
    return 0


def doctor(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every command has this form
    """Examine this machine."""
    import json

    from edge.doctor.checkup import examine
    from edge.doctor.host import this_host
    from edge.doctor.report import as_json, as_text
    from edge.errors import UnavailableError

    checkup = examine(this_host(), options.config)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(as_json(checkup), indent=2) if options.json else as_text(checkup, colour=colour, plain=plain))
    return UnavailableError.exit_code if checkup.count("problem") else 0


def watch(options: argparse.Namespace, signals: Signals) -> int:
    """Show every device on a broker."""
    from edge.agent.parts import mqtt_settings
    from edge.config import load
    from edge.watch.command import Watch, WatchOptions

    flags = {"mqtt.url": options.mqtt, "mqtt.base_topic": options.base_topic, "device.name": options.device}
    config = load(options.config, flags, options.set)
    if not config.mqtt.url:
        config = load(options.config, {**flags, "mqtt.url": "mqtt://localhost"}, options.set)
    watch = Watch(mqtt_settings(config), WatchOptions(device=options.device, once=options.once, every_s=options.every))
    watch.open()  # Ctrl-C ends this at once: there is nothing yet to put in order
    signals.hand_over(watch.stop)
    return watch.run()


def models_list(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every command has this form
    """List the models of the manifest."""
    from edge.models.files import model_rows
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ)
    for row in model_rows(known_models(where), where):
        size = "" if row.size_bytes is None else f"{row.size_bytes / 1e6:.1f} MB"
        mark = "*" if row.is_default else " "
        place = {"package": "in the package", None: ""}.get(row.source, row.source)
        print(f"{mark} {row.entry.name:42} {row.entry.kind:10} {row.state:12} {place:14} {size:>8}")
    print("\n* the default; files are looked for in:", where.mirror or where.mirror_url or "(no mirror)", where.cache)
    return 0


def models_verify(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Compare model files with their digests."""
    from edge.errors import UnavailableError
    from edge.models.files import model_row, model_rows
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ)
    manifest = known_models(where)
    rows = [model_row(name, manifest, where) for name in options.names] or model_rows(manifest, where)
    for row in rows:
        print(f"{row.entry.name}: {row.state}{f' ({row.path})' if row.path else ''}")
    fine = ("ok",) if options.names else ("ok", "missing")
    bad = [row.entry.name for row in rows if row.state not in fine]
    if bad:
        raise UnavailableError(f"not fit for use: {', '.join(bad)}")
    return 0


def models_show(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Print what is known about a model."""
    from edge.models.files import model_row
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ)
    row = model_row(options.name, known_models(where), where)
    facts = {
        "name": row.entry.name + (" (default)" if row.is_default else ""),
        "kind": row.entry.kind,
        "file": row.entry.file,
        "state": row.state,
        "path": str(row.path or ""),
        "bytes": "" if row.size_bytes is None else str(row.size_bytes),
        "digest": row.digest or "not known",
        "url": row.entry.url,
        "member": row.entry.member,
        "delegate": row.entry.delegate,
        "cpu twin": row.entry.cpu_twin,
        "made of": row.entry.derived_from,
        "comes": "with the program" if row.entry.bundled else "",
        "size": row.entry.size,
        "licence": row.entry.licence,
    }
    for key, value in facts.items():
        if value:
            print(f"{key:9} {value}")
    return 0


def config_check(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every command has this form
    """Name every mistake in a config file."""
    from edge.config import load
    from edge.source import parse_source

    config = load(options.file, None, options.set)
    parse_source(config.camera.source)
    print(f"{options.file or 'defaults'}: no mistakes found")
    return 0


def config_show(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Print the config that a run would have."""
    from edge.config import load
    from edge.config_text import dump

    print(dump(load(options.file, None, options.set)), end="")
    return 0


def config_init(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Write a config file with every key explained."""
    from edge.config_text import default_text

    if options.file is None:
        print(default_text(), end="")
        return 0
    try:
        with options.file.open("x", encoding="utf-8") as file:
            file.write(default_text())
    except FileExistsError:
        raise UsageError(f"{options.file}: exists already and is left as it is") from None
    except OSError as error:
        raise UsageError(f"{options.file}: cannot be written: {error.strerror}") from error
    print(f"{options.file}: written; every key is explained in it")
    return 0
