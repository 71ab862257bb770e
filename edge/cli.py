"""The command `edge-pose`: parses the command line, and turns every expected error into one line and a code."""

import argparse
import logging
import math
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from edge import __version__
from edge.errors import EdgeError, UsageError
from edge.logs import say, set_up
from edge.process import keep_stderr, leave, open_missing_streams

# Each command imports what it needs: `config check` must not wait for OpenCV.
# ruff: noqa: PLC0415

__all__ = ["entry", "main"]

log = logging.getLogger(__name__)

BUG_CODE = 70
STOPPED_CODE = 130
"""What a shell expects of a command that was cut short; a run that is stopped has done what was asked: 0."""

RUN_EXAMPLES = """\
examples:
  edge-pose run --camera scene --mqtt mqtt://localhost
  edge-pose run --camera street.mp4 --no-pace --jsonl poses.jsonl
  edge-pose run --config /etc/edge-pose/edge-pose.toml --set camera.rotate=180

SRC is one of
  scene                    synthetic people with known keypoints, endless
  file.mp4|avi|gif         a video; plays by its own clock, or as fast as possible with --no-pace
  folder, picture.jpg      pictures, sorted by name
  rtsp://…, http://…       a live stream; opened again whenever it breaks off

exit codes: 0 stopped as asked, or the file ended; 64 usage; 66 no such or unreadable file; 69 a part is missing;
70 a bug of ours; 75 a driver hangs; 78 bad config or bad model file
"""


WATCH_NOTES = """\
in a terminal: a view of its own; up/down or j/k choose a device, enter shows it alone, q or Ctrl-C ends
into a pipe: one line per change of state, and a summary line per device every --every seconds

NO_COLOR leaves out colours; TERM=dumb gives plain lines.
exit codes: 0 ended as asked; 69 no broker at the start, or it refuses the login; 64 usage; 78 bad config
"""


class _Stopped(BaseException):
    """SIGTERM or SIGINT before there is a run that could be asked to stop."""


class _Signals:
    """SIGTERM, SIGINT and SIGHUP end whatever is going on: a run by its own stop, anything else at once."""

    def __init__(self) -> None:
        self.stop: Callable[[], None] | None = None
        self.came = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup wants it so
                signal.signal(number, self._handle)

    def hand_over(self, stop: Callable[[], None]) -> None:
        """From now on let `stop` end things; at once when a signal came that something in an import swallowed."""
        self.stop = stop
        if self.came:
            stop()

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self.came = True
        if self.stop is None:
            raise _Stopped
        self.stop()


class _Parser(argparse.ArgumentParser):
    """Ends with 64 on a usage error, in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    set_up(debug="--debug" in words)
    signals = _Signals()
    stopped_code = 0 if words[:1] in (["run"], ["watch"]) else STOPPED_CODE
    try:
        code = _dispatch(words, signals)
    except _Stopped:
        code = stopped_code
    except BrokenPipeError:
        code = 0
    except Exception as error:  # noqa: BLE001 - the last resort; what is not an EdgeError is our mistake
        # A stop in the middle of an import comes out as whatever that package makes of it.
        cut_short = signals.came and signals.stop is None
        code = stopped_code if cut_short else _report(error, debug="--debug" in words)
    return code


def _report(error: Exception, *, debug: bool) -> int:
    """Print an error as one line, and return its exit code."""
    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, EdgeError):
        _print_error(error)
        return error.exit_code
    text = " ".join(str(error).split())
    say(f"edge-pose: a bug in edge-pose: {type(error).__name__}: {text} (see --debug)", logging.CRITICAL)
    return BUG_CODE


def _dispatch(arguments: Sequence[str], signals: _Signals) -> int:
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, _Signals], int] = options.command
    return command(options, signals)


def entry() -> NoReturn:
    """Run the command as a process of its own."""
    open_missing_streams()
    keep_stderr(debug="--debug" in sys.argv)
    leave(main())


def _print_error(error: EdgeError) -> None:
    for line in str(error).splitlines():
        say(f"edge-pose: {line}")


# Commands


def _run(options: argparse.Namespace, signals: _Signals) -> int:
    from edge.app import Run, RunOptions
    from edge.config import load

    config = load(options.config, _overrides(options), options.set)
    run = Run(
        config,
        RunOptions(max_frames=options.max_frames, paced=not options.no_pace, loop=options.loop),
    )
    signals.hand_over(run.stop)
    run.run()
    return 0


def _begin(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001 - see _dispatch
    _parser().print_help(sys.stderr)
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
        "output.private": options.private or None,
    }


def _demo(options: argparse.Namespace, signals: _Signals) -> int:
    from edge.demo import Demo

    demo = Demo(seconds=options.seconds, model=options.model, picture=options.picture)
    signals.hand_over(demo.stop)
    return demo.run()


def _models_fetch(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001 - see _dispatch
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
        print(f"{row.entry.name}: {row.state}{f' ({row.path})' if row.path else ''}", flush=True)
        problems += [row.problem] if row.problem else []
    if problems:
        raise UnavailableError("\n".join(problems))
    return 0


def _bench(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001
    import json

    from edge.bench.suite import BenchOptions, format_table, run_bench

    asked = BenchOptions(model=options.model, video=options.video, quick=options.quick, rounds=options.rounds)
    figures = run_bench(asked)
    print(json.dumps(figures, indent=2) if options.json else format_table(figures))
    return 0


def _watch(options: argparse.Namespace, signals: _Signals) -> int:
    from edge.app import mqtt_settings
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


def _models_list(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001 - see _dispatch
    from edge.models.files import model_rows
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ)
    for row in model_rows(known_models(where), where):
        size = "" if row.size_bytes is None else f"{row.size_bytes / 1e6:.1f} MB"
        mark = "*" if row.is_default else " "
        print(f"{mark} {row.entry.name:42} {row.entry.kind:10} {row.state:12} {row.source or '':6} {size:>8}")
    print("\n* the default; files are looked for in:", where.mirror or where.mirror_url or "(no mirror)", where.cache)
    return 0


def _models_verify(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001
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


def _models_show(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001
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
        "licence": row.entry.licence,
    }
    for key, value in facts.items():
        if value:
            print(f"{key:9} {value}")
    return 0


def _config_check(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001 - see _dispatch
    from edge.config import load
    from edge.source import parse_source

    config = load(options.file, None, options.set)
    parse_source(config.camera.source)
    print(f"{options.file or 'defaults'}: no mistakes found")
    return 0


def _config_show(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001
    from edge.config import load
    from edge.config_text import dump

    print(dump(load(options.file, None, options.set)), end="")
    return 0


def _config_init(options: argparse.Namespace, signals: _Signals) -> int:  # noqa: ARG001
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


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="edge-pose", description="People on camera become pose JSON over MQTT.")
    parser.add_argument("--version", action="version", version=f"edge-pose {__version__}")
    parser.set_defaults(debug=False)
    parser.set_defaults(command=_begin)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_demo(commands)
    _add_watch(commands)
    _add_models(commands)
    _add_bench(commands)
    _add_config(commands)
    return parser


def _add(commands: Any, name: str, command: Any, text: str, epilog: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--debug", action="store_true", help="tracebacks, times, native libraries' own words")
    if command is not None:
        parser.set_defaults(command=command)
    return parser


def _add_run(commands: Any) -> None:
    run = _add(commands, "run", _run, "find people and publish their poses until stopped", RUN_EXAMPLES)
    run.add_argument("--config", metavar="FILE", type=Path, help="TOML file; flags and --set override it")
    run.add_argument("--camera", metavar="SRC", help="where frames come from (default: scene)")
    run.add_argument("--model", metavar="NAME|FILE", help="a name of `models list`, or a path to a .tflite")
    run.add_argument("--mqtt", metavar="URL", help="mqtt://host[:1883] or mqtts://host[:8883]")
    run.add_argument("--jsonl", metavar="FILE|-", help="append every pose message as a line; - is stdout")
    run.add_argument("--record", metavar="FILE", help="record annotated frames: .mp4, .mkv, .avi, .webm")
    run.add_argument("--private", action="store_true", help="record skeletons on black instead of the picture")
    run.add_argument("--max-frames", metavar="N", type=_positive, help="end after N frames")
    run.add_argument("--no-pace", action="store_true", help="every frame of a file once, as fast as possible")
    run.add_argument("--loop", action="store_true", help="begin a file or folder again at its end")
    _add_set(run)


def _add_demo(commands: Any) -> None:
    text = "show the whole way with no hardware: synthetic people, model, embedded MQTT broker, live view"
    demo = _add(commands, "demo", _demo, text)
    demo.add_argument("--seconds", metavar="S", type=_seconds, help="end after S seconds (default: at Ctrl-C)")
    demo.add_argument("--model", metavar="NAME|FILE", help="another model than the default")
    demo.add_argument("--picture", metavar="FILE", type=Path, help="leave an annotated frame here at the end")


def _add_watch(commands: Any) -> None:
    watch = _add(commands, "watch", _watch, "show every device on a broker, live", WATCH_NOTES)
    watch.add_argument("--mqtt", metavar="URL", help="mqtt://host[:1883] or mqtts://host[:8883] (default: localhost)")
    watch.add_argument("--config", metavar="FILE", type=Path, help="TOML file with the broker, login and TLS in [mqtt]")
    watch.add_argument("--base-topic", metavar="T", help="first part of the topics (default: edge-pose)")
    watch.add_argument("--device", metavar="D", help="only this device")
    watch.add_argument("--once", action="store_true", help="say how things are, and end; 69 if --device is not there")
    watch.add_argument(
        "--every", metavar="S", type=_seconds, default=10.0, help="into a pipe: seconds between summaries (default: 10)"
    )
    _add_set(watch)


def _add_models(commands: Any) -> None:
    models = _add(commands, "models", None, "list, fetch, verify or show the models that can be asked for by name")
    actions = models.add_subparsers(title="actions", required=True, metavar="ACTION")
    _add(actions, "list", _models_list, "every model of the manifest, and whether its file is here")
    fetch = _add(actions, "fetch", _models_fetch, "bring models into the cache, verified; 69 if one cannot be had")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="these (default: the manifest's default)")
    fetch.add_argument("--all", action="store_true", help="every model whose digest is known")
    fetch.add_argument(
        "--accept-digest", metavar="SHA256", default="", help="trust this content of a model without a known digest"
    )
    verify = _add(actions, "verify", _models_verify, "compare files with their digests; 69 if one is wrong")
    verify.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all that are here)")
    show = _add(actions, "show", _models_show, "everything that is known about a model")
    show.add_argument("name", nargs="?", metavar="NAME", help="default: the manifest's default")


def _add_bench(commands: Any) -> None:
    bench = _add(commands, "bench", _bench, "measure the models on this machine, alone and in the whole flow")
    bench.add_argument("--model", metavar="NAME|FILE", help="only this one (default: every model whose file is here)")
    bench.add_argument("--video", metavar="FILE", type=Path, help="measure with this video (default: the scene)")
    bench.add_argument("--quick", action="store_true", help="one short round, half a minute per model: a glance only")
    bench.add_argument("--rounds", metavar="N", type=_positive, help="medians of so many rounds (default: 3)")
    bench.add_argument("--json", action="store_true", help="print every figure as JSON")


def _add_config(commands: Any) -> None:
    config = _add(commands, "config", None, "check, show or begin a config file")
    actions = config.add_subparsers(title="actions", required=True, metavar="ACTION")
    check = _add(actions, "check", _config_check, "name every mistake in a config file")
    show = _add(actions, "show", _config_show, "print the config that a run would have, secrets masked")
    for parser in (check, show):
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="TOML file (default: none)")
        parser.add_argument("--config", dest="file", type=Path, metavar="FILE", help=argparse.SUPPRESS)
        _add_set(parser)
    init = _add(actions, "init", _config_init, "write a config file with every key explained")
    init.add_argument("file", nargs="?", type=Path, metavar="FILE", help="where to (default: stdout)")


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="set table.key, such as camera.rotate=90"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got '{text}'")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got '{text}'")
    return seconds
