"""Makes the int8 recipe of MoveNet MultiPose (see `edge.graph.recipe`).

    python -m tools.convert.write_recipe movenet-multipose.json --calibration PICTURES --output FILE

Calibrates, quantizes, writes the recipe, and applies it: the file must be the one that the converter made. About two
minutes, and 5 GB of memory.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge.config.input_size import parse_fixed_size
from edge.errors import ModelError
from edge.graph.heads_file import read_published
from edge.graph.int8_file import write_int8
from edge.graph.published import Published
from edge.graph.recipe import apply, read_recipe
from edge.host.atomic_write import write_whole
from tools.command_line import exit_code
from tools.convert.int8.calibration import calibrate
from tools.convert.int8.quantize import Int8Heads, quantize_network
from tools.convert.int8.recipe_file import make_recipe
from tools.progress import ProgressBar

__all__ = ["main", "require_exact"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code("write_recipe", lambda: _run(_parse(words)), debug=False)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.convert.write_recipe", description=__doc__.split("\n")[0])
    parser.add_argument(
        "source", metavar="SOURCE", type=Path, help="the graph model's .json, or the whole .tflite file"
    )
    parser.add_argument("--calibration", metavar="FOLDER", type=Path, required=True, help="200 or more photographs")
    parser.add_argument(
        "--size", metavar="HxW", type=parse_fixed_size, default=(448, 256), help="to calibrate at (default: 256x448)"
    )
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="the recipe")
    return parser.parse_args(words)


def _run(options: argparse.Namespace) -> None:
    progress = ProgressBar()
    published = read_published(options.source, options.size)
    pictures = calibrate(options.calibration, size=options.size, on_progress=progress)
    made = quantize_network(
        published.network, pictures, scale=published.scale, shift=published.shift, on_progress=progress
    )
    described = f"{pictures.description}, {len(pictures.images)} with variants, at {options.size[1]}x{options.size[0]}"
    recipe = make_recipe(published, made.network, made.codes, made.rounded, made.affine, calibration=described)
    require_exact(recipe, published, made)
    write_whole(options.output, recipe)
    print(f"{options.output}: {len(recipe)} bytes, for weights {published.digest}")


def require_exact(recipe: bytes, published: Published, made: Int8Heads) -> None:
    """Check that a recipe gives the converter's file. Raises ModelError."""
    with tempfile.TemporaryDirectory(prefix="edge-pose-") as folder:
        path = Path(folder) / "new.recipe"
        path.write_bytes(recipe)
        if write_int8(*apply(read_recipe(path), published.network, published.digest)) != made.content:
            raise ModelError("the recipe does not give the file that it was made from: a fault of this program")


if __name__ == "__main__":
    sys.exit(main())
