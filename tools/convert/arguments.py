"""Command line of `python -m tools.convert`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from edge.errors import UsageError
from tools.command_line import Parser, parse_size
from tools.convert.options import DEFAULT_SIZE, QUANTIZATIONS, Options

__all__ = ["parse"]

DESCRIPTION = """\
Makes TFLite files of MoveNet MultiPose: the whole graph, or its six heads for decoding on the host, which is faster
everywhere and the only form that an Edge TPU takes. Each file is compared with the graph it was made from before it
gets its name; one that differs too much is not written.
"""
EXAMPLES = """\
SOURCE is a SavedModel folder, the .tar.gz archive as it is published, a TensorFlow.js graph model (.json, or its
folder), or the name of either in the manifest (movenet-multipose-lightning-savedmodel, movenet-multipose-graph), which
is fetched. Heads of a graph model are made without TensorFlow (but for --calibration, `dynamic` and open sizes), and
int8 by the recipe of the package if there is no --calibration.

examples:
  # the fastest float model for a Pi: heads, fp16 weights, 256x256
  python -m tools.convert SOURCE --heads --quantize fp16 --output heads_fp16.tflite

  # for a 16:9 camera; the height comes first
  python -m tools.convert SOURCE --heads --quantize fp16 --size 160x256 --output heads_fp16_160x256.tflite

  # the same of a graph model, without TensorFlow
  python -m tools.convert movenet-multipose-graph --heads --quantize int8 --size 160x256 --output heads_int8.tflite

  # int8 for a Coral, calibrated on pictures of people, checked on labelled ones
  python -m tools.convert SOURCE --heads --quantize int8 --calibration PICTURES --images coco/images \\
             --annotations coco/people.json --edgetpu --output heads_int8.tflite

  # several sizes into one folder
  python -m tools.convert SOURCE --heads --quantize int8 --calibration PICTURES --size 192x192 --size 256x256 \\
             --output models/

  # the whole graph for any input size, as Google publishes it
  python -m tools.convert SOURCE --quantize fp16 --size dynamic --output whole_fp16.tflite

exit codes: 0 written; 64 flags that make no sense; 66 a file or folder that cannot be read; 69 TensorFlow, the Edge TPU
compiler or room on the disk is missing, or no file can be where the output should; 78 not MoveNet MultiPose, or the
result failed its check
"""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line. Raises UsageError for flags that contradict."""
    values = _parser().parse_args(arguments)
    options = Options(
        source=values.source,
        heads=values.heads,
        sizes=tuple(values.size or [DEFAULT_SIZE]),
        quantization=values.quantize,
        calibration=values.calibration,
        images=values.images,
        annotations=values.annotations,
        max_images=values.max_images,
        min_oks=values.min_oks,
        edgetpu=values.edgetpu,
        output=Path(values.output),
        debug=values.debug,
    )
    _check(options)
    return options


def _check(options: Options) -> None:
    if len(set(options.sizes)) != len(options.sizes):
        raise UsageError("--size: one size is given twice")
    if options.quantization == "int8" and None in options.sizes:
        raise UsageError("--size dynamic: int8 needs a fixed size: an Edge TPU takes no other, and ranges depend on it")
    if options.edgetpu and not (options.heads and options.quantization == "int8"):
        raise UsageError("--edgetpu: an Edge TPU takes only the heads in int8: add --heads --quantize int8")
    if options.calibration and options.quantization != "int8":
        raise UsageError("--calibration: only --quantize int8 is calibrated; --images chooses what to check on")
    if options.annotations and not options.images:
        raise UsageError("--annotations: needs --images, the folder of the annotated pictures")


def _parser() -> argparse.ArgumentParser:
    parser = Parser("convert", DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="SavedModel folder or .tar.gz archive, graph model .json or folder, or name in the manifest",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="file to write; a folder for several sizes")
    parser.add_argument("--heads", action="store_true", help="cut the graph at its six heads; decoded on the host")
    parser.add_argument(
        "--size",
        type=_size,
        action="append",
        metavar="HxW",
        help="input, height first, multiples of 32 (default: 256x256); `dynamic`: open; may be given several times",
    )
    parser.add_argument(
        "--quantize",
        choices=QUANTIZATIONS,
        default="fp16",
        help="none: float32; fp16: half the size, same speed on most CPUs (default); dynamic: int8 weights, quarter of "
        "the size; int8: weights and activations, the fastest, and what an Edge TPU takes",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER|VIDEO",
        help="what int8 learns its ranges from: at least 20, better 200 photographs with people at every size and "
        "place; a video, or the synthetic scene (the default), loses 3 points of AP; of a graph model the default is "
        "the recipe, which has been calibrated",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="pictures to check on (default: those of a --calibration folder, else the synthetic scene)",
    )
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="COCO keypoints of --images: adds AP")
    parser.add_argument("--max-images", type=_positive, default=100, metavar="N", help="check on N at most (100)")
    parser.add_argument(
        "--min-oks",
        type=_share,
        metavar="X",
        help="refuse a mean OKS with the float graph below this (0..1); 0: write int8 whatever comes of it",
    )
    parser.add_argument("--edgetpu", action="store_true", help="run Google's edgetpu_compiler on the result")
    return parser


def _size(text: str) -> tuple[int, int] | None:
    """Parse `HxW` into (width, height), `dynamic` into None. Raises argparse.ArgumentTypeError."""
    return None if text == "dynamic" else parse_size(text, choices='"dynamic" or "HxW"')


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to 1")
    return value
