"""Command line of `python -m tools.train`."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.config.input_size import SIZE_STEP_PX
from edge.errors import UsageError
from tools.command_line import Parser, parse_size
from tools.train.options import AnnotatedPhotographs, Options, UnlabelledPhotographs

__all__ = ["parse"]

MAX_SIDE_PX = 1024
MAX_EVERY_S = 60.0
DESCRIPTION = """\
Trains a small MoveNet-like model for many people, from the synthetic scene, annotated photographs, and photographs that
a larger model labels, and makes a float and an int8 TFLite file of it (kind `heads`). Started again with the same
--output it goes on where it was, however it was ended; with more --steps it goes on from there.
"""
EXAMPLES = """\
JSON is COCO's person keypoints, or labels normalised to the pictures' sides, by picture; for --boxes COCO's format with
bbox and score, or normalised boxes by file name (see tools/train/data/normalised.py). WEIGHT says how often a picture
of this source is taken, beside those of the others (1).

example: 1 to 1.5 hours per 10,000 steps on two cores
  edge-pose models derive movenet-singlepose-lightning-int8 --size 192x192 --output teacher.tflite
  python -m tools.train --scene 0.12 --annotated coco/labels.json coco 0.30 \\
                   --unlabelled photographs 0.58 --boxes photographs_boxes.json --teacher teacher.tflite \\
                   --steps 22000 --output training

the folder gets: checkpoint.pt, log.jsonl, curve.png, labels_1.json, starter_float.tflite, starter.tflite (int8)
"""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line. Raises UsageError for flags that contradict."""
    values = vars(_parser().parse_args(arguments))
    by_model = [_annotated("--labelled", words, by_model=True) for words in values.pop("labelled")]
    values["annotated"] = (*(_annotated("--annotated", words) for words in values["annotated"]), *by_model)
    values["unlabelled"] = tuple(_unlabelled(words, boxes) for words, boxes in values["unlabelled"])
    options = Options(**values)
    _check(options)
    return options


def _check(options: Options) -> None:
    if not (options.annotated or options.unlabelled or options.scene):
        raise UsageError("nothing to learn from: give --scene, --annotated, --labelled or --unlabelled (see --help)")
    if options.unlabelled and options.teacher is None:
        raise UsageError("--unlabelled: needs --teacher, the model that labels the pictures")
    if options.soft and options.teacher is None:
        raise UsageError("--soft: needs --teacher, the model that gives the targets")
    if options.teacher is not None and not (options.unlabelled or options.soft):
        raise UsageError("--teacher: there is nothing for it to do: give --unlabelled or --soft")
    if not options.name or "/" in options.name:
        raise UsageError(f"--name '{options.name}': a plain name, of which file names are made")


def _annotated(option: str, words: Sequence[str], *, by_model: bool = False) -> AnnotatedPhotographs:
    if not 2 <= len(words) <= 3:
        raise UsageError(f"{option}: needs JSON FOLDER [WEIGHT], not {len(words)} words: {' '.join(words)}")
    return AnnotatedPhotographs(Path(words[0]), Path(words[1]), _weight(option, words[2:]), by_model)


def _unlabelled(words: Sequence[str], boxes: Path | None) -> UnlabelledPhotographs:
    if not 1 <= len(words) <= 2:
        raise UsageError(f"--unlabelled: needs FOLDER [WEIGHT], not {len(words)} words: {' '.join(words)}")
    return UnlabelledPhotographs(Path(words[0]), _weight("--unlabelled", words[1:]), boxes)


def _weight(option: str, words: Sequence[str]) -> float:
    try:
        return _share(words[0]) if words else 1.0
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{option}: {error}") from None


class _AddUnlabelled(argparse.Action):
    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, _option: str | None = None) -> None:
        namespace.unlabelled = [*namespace.unlabelled, (values, None)]


class _AddBoxes(argparse.Action):
    """Boxes belong to the pictures named just before."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, _option: str | None = None) -> None:
        if not namespace.unlabelled or namespace.unlabelled[-1][1] is not None:
            raise UsageError("--boxes: follows the --unlabelled that it belongs to")
        namespace.unlabelled = [*namespace.unlabelled[:-1], (namespace.unlabelled[-1][0], values)]


def _parser() -> argparse.ArgumentParser:
    parser = Parser("train", DESCRIPTION, epilog=EXAMPLES)
    _add_sources(parser.add_argument_group("what to learn from"))
    _add_recipe(parser.add_argument_group("how"))
    _add_machine(parser.add_argument_group("on what"))
    _add_results(parser.add_argument_group("results"))
    return parser


def _add_sources(group: Any) -> None:
    group.add_argument("--scene", type=_share, default=0.0, metavar="WEIGHT", help="the synthetic scene")
    group.add_argument(
        "--annotated",
        nargs="+",
        action="append",
        default=[],
        metavar=("JSON FOLDER", "WEIGHT"),
        help="photographs with keypoints; may be given several times",
    )
    group.add_argument(
        "--labelled",
        nargs="+",
        action="append",
        default=[],
        metavar=("JSON FOLDER", "WEIGHT"),
        help="photographs whose keypoints are a model's: a v of 1 says that it was less sure, and counts less",
    )
    group.add_argument(
        "--unlabelled",
        nargs="+",
        action=_AddUnlabelled,
        default=[],
        metavar=("FOLDER", "WEIGHT"),
        help="photographs of people without keypoints, labelled by --teacher; may be given several times",
    )
    group.add_argument(
        "--boxes",
        type=Path,
        action=_AddBoxes,
        dest=argparse.SUPPRESS,
        metavar="JSON",
        help="where people are in the pictures of the --unlabelled before (default: the teacher looks itself)",
    )
    group.add_argument("--teacher", metavar="MODEL|FILE", help="model of kind heads with a square input")
    group.add_argument(
        "--soft",
        type=_share,
        default=0.0,
        metavar="WEIGHT",
        help="learn from the teacher's maps of every picture, too; its input must be as large as --side",
    )


def _add_recipe(group: Any) -> None:
    group.add_argument(
        "--begin-with",
        type=Path,
        metavar="FILE",
        help="model that tools.train made, float or int8, whose weights a new training begins with (default: random)",
    )
    group.add_argument("--steps", type=_positive, default=15_000, metavar="N", help="batches in all (15000)")
    group.add_argument("--batch", type=_positive, default=32, metavar="N", help="pictures in a batch (32)")
    group.add_argument("--side", type=_side, default=192, metavar="PX", help="of the square input in training (192)")
    group.add_argument("--rate", type=_share, default=2.5e-3, metavar="X", help="highest learning rate (0.0025)")
    group.add_argument("--seed", type=_whole, default=0, metavar="N", help="other weights to begin with, other batches")
    group.add_argument(
        "--network", choices=("starter", "tiny"), default="starter", help="tiny: to try things out (starter)"
    )


def _add_machine(group: Any) -> None:
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there is one")
    group.add_argument("--threads", type=_positive, metavar="N", help="of PyTorch (default: the cores)")
    group.add_argument("--workers", type=_positive, metavar="N", help="threads that make batches (half of the cores)")
    group.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="auto: bfloat16 where the processor has it",
    )


def _add_results(group: Any) -> None:
    group.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="folder of this training")
    group.add_argument(
        "--checkpoint-every",
        type=_every,
        default=50.0,
        dest="every_s",
        metavar="S",
        help="seconds that a kill may cost, at most 60 (50)",
    )
    group.add_argument(
        "--size", type=parse_size, default=(256, 256), metavar="HxW", help="of the model's input (256x256)"
    )
    group.add_argument("--calibration", type=Path, metavar="FOLDER", help="pictures for int8 (default: the scene)")
    group.add_argument("--name", default="starter", metavar="NAME", help="of the model's files (starter)")
    group.add_argument("--no-export", action="store_false", dest="exports", help="only learn")


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _every(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= MAX_EVERY_S:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds up to {MAX_EVERY_S:g}")
    return value


def _number(text: str) -> float:
    """Return a number, NaN for anything else: it is in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _side(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_SIDE_PX or int(text) % SIZE_STEP_PX:
        raise argparse.ArgumentTypeError(f"'{text}' is not a multiple of {SIZE_STEP_PX} up to {MAX_SIDE_PX}")
    return int(text)
