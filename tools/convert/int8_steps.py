r"""Measures the gain of each step of the int8 recipe (models/README.md).

    .venv-workstation/bin/python -m tools.convert.int8_steps SAVEDMODEL --calibration FOLDER|VIDEO \
        --images FOLDER --annotations FILE [--size 256x256] [--only-all] [--json]

Each row takes one step more than the row above; a step is explained in tools/convert/int8/quantize.py. AP is COCO's, in
points, through the product's own decoder. OKS is that of the float model's people with the file's. The last three
columns are the root of the mean square error against the float maps, at the cells that matter: of the scores of center
and heatmap (0..1), and of the offset in cells. A row takes about a minute.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tools.command_line import Parser, parse_size, run
from tools.convert.graph.source import open_source
from tools.progress import ProgressBar

RECIPE = ("rescale", "relevant", "equalize", "fuse", "split", "correct")
TRIED = "fit"
"""Tried, and no part of the recipe: it finds no more people."""


def main() -> None:
    """Run the command."""
    parser = Parser("convert.int8_steps", __doc__)
    parser.add_argument("source", metavar="SAVEDMODEL", help="a folder, an archive or a name, as for tools.convert")
    parser.add_argument("--calibration", type=Path, required=True, metavar="FOLDER|VIDEO")
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="of the images, COCO's format")
    parser.add_argument("--size", type=parse_size, default=(256, 256), metavar="HxW", help="default 256x256")
    parser.add_argument("--only-all", action="store_true", help="only float and the recipe")
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    options = parser.parse_args()
    with open_source(options.source) as model:
        _measure(options, model.folder)


def _measure(options: argparse.Namespace, folder: Path) -> None:
    from tools.convert.int8.steps import RecipeBenchmark, Row  # noqa: PLC0415 - TensorFlow, which --help need not wait for

    def show(row: Row) -> None:
        if options.json:
            print(json.dumps(asdict(row)), flush=True)
        else:
            print(
                f"{row.name:28} {row.ap:5.2f} {row.mean_oks:6.3f} "
                f"{row.center:7.4f} {row.heatmap:7.4f} {row.offset:7.3f} {row.kilobytes:6d} kB",
                flush=True,
            )

    benchmark = RecipeBenchmark(folder, options.size, options.images, options.annotations, ProgressBar())
    if not options.json:
        print(f"{'':28} {'AP':>5} {'OKS':>6} {'center':>7} {'heat':>7} {'offset':>7}")
    show(benchmark.float_row())
    for name, taken in _rows(only_all=options.only_all):
        show(benchmark.int8_row(name, options.calibration, taken))


def _rows(*, only_all: bool) -> Iterator[tuple[str, dict[str, bool]]]:
    """Yield each row's name and steps."""
    taken = dict.fromkeys((*RECIPE, TRIED), False)
    if only_all:
        yield "int8, the recipe", taken | dict.fromkeys(RECIPE, True)
        return
    yield "int8, plain", dict(taken)
    for step in RECIPE:
        taken[step] = True
        yield f"+ {step}", dict(taken)
    yield f"(+ {TRIED}, not taken)", taken | {TRIED: True}


if __name__ == "__main__":
    run("int8_steps", main)
