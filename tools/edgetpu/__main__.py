"""Lists the operators that Google's compiler puts on the Edge TPU, and why it stops.

    python -m tools.edgetpu MODEL.tflite [--json] [--min-tpu PERCENT]

It works by Google's published rules and needs neither the compiler nor an Edge TPU: a forecast, not a compilation.
For MoveNet SinglePose Lightning int8 it names the 98 operators that are inside Google's own compiled file, and the 59
that are outside. A compiled file is shown as it is; there a partition counts as one operator.

exit codes: 0 the file was read, whatever stands in it; 64 unknown or bad flag; 66 no such file, or no TFLite file; 69
ai-edge-litert is not installed; 78 the file is damaged, or less of it than --min-tpu can run on the Edge TPU.
"""

import argparse
import json
from pathlib import Path

from edge.errors import ModelError
from tools.command_line import Parser, run


def main() -> None:
    """Read a file and print the plan. Raises EdgeError."""
    options = _options()
    check(options.file, as_json=options.json, min_tpu=options.min_tpu)


def check(path: Path, *, as_json: bool, min_tpu: float | None) -> None:
    """Print the plan of a file.

    Raises:
        InputError: no such file, or no TFLite file.
        ModelError: it is damaged, or less than `min_tpu` per cent of its operators run on the Edge TPU.
        UnavailableError: the package that reads TFLite files is missing.
    """
    from tools.edgetpu.graph import read_graph  # noqa: PLC0415  (its vendor package may be missing: an error in one line)
    from tools.edgetpu.partition import plan  # noqa: PLC0415  (likewise)
    from tools.edgetpu.report import summary, text  # noqa: PLC0415  (likewise)

    planned = plan(read_graph(path))
    print(json.dumps(summary(planned), indent=2) if as_json else text(path.name, planned))
    share = 100 * planned.tpu_ops / len(planned.places)
    if min_tpu is not None and share < min_tpu:
        raise ModelError(f"{path}: {share:.1f} % of its ops run on the Edge TPU, less than {min_tpu:g} %")


def _options() -> argparse.Namespace:
    parser = Parser("edgetpu", __doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="any TFLite file")
    parser.add_argument("--json", action="store_true", help="print figures and blockers as JSON")
    parser.add_argument(
        "--min-tpu",
        type=float,
        metavar="PERCENT",
        help="end with 78 when a smaller part of the ops runs on the Edge TPU, 0 to 100",
    )
    options = parser.parse_args()
    if options.min_tpu is not None and not 0 <= options.min_tpu <= 100:  # nan neither
        parser.error(f"--min-tpu takes a percentage from 0 to 100, not {options.min_tpu:g}")
    return options


if __name__ == "__main__":
    run("edgetpu_check", main)
