"""Converts heads of graph models, of fixed size, without TensorFlow but for an int8 calibration of one's own."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UnavailableError
from edge.graph.heads_file import FloatKind, cut, labelled, write_heads, write_int8_heads
from edge.graph.nodes import NodeGraph
from edge.graph.published import Published
from edge.graph.recipe import read_recipe
from tools.convert.checks.runners import FileRunner, Rows
from tools.convert.checks.verify import Progress
from tools.convert.graph.frozen import Quantization
from tools.convert.int8.calibration import calibrate
from tools.convert.int8.quantize import quantize_network
from tools.convert.job import CALIBRATING, write
from tools.convert.options import Options

__all__ = ["PublishedMaker", "PublishedReference", "needs_tensorflow"]

RECIPE = Path(__file__).parent.parent.parent / "models" / "multipose-int8.recipe"


def needs_tensorflow(options: Options) -> bool:
    """Return whether only TensorFlow makes this of a graph model."""
    return not options.heads or options.quantization == "dynamic" or None in options.sizes


@dataclass(frozen=True, slots=True)
class PublishedMaker:
    """Converts a graph model; the files are those of `edge-pose models build`.

    Attributes:
        options: the command line.
        graph: the graph model.
        say: prints what begins, in a few words.
        progress: called with (done, total, label).
    """

    options: Options
    graph: NodeGraph
    say: Callable[[str], None]
    progress: Progress

    def write(self, size: tuple[int, int] | None, part: Path) -> None:
        """Write a file at `part`; see `tools.convert.job.Maker`.

        Raises:
            ModelError: the graph is not MoveNet MultiPose, or the recipe is for other weights.
            UnavailableError: the file cannot be written.
        """
        assert size is not None  # see needs_tensorflow
        write(part, self._content(cut(self.graph, size), size))

    def _content(self, published: Published, size: tuple[int, int]) -> bytes:
        if self.options.quantization != "int8":
            return write_heads(published, _float_kind(self.options.quantization))
        if self.options.calibration is None:
            return write_int8_heads(published, read_recipe(RECIPE))
        self.say(CALIBRATING)
        pictures = calibrate(self.options.calibration, size=size, on_progress=self.progress)
        made = quantize_network(
            published.network, pictures, scale=published.scale, shift=published.shift, on_progress=self.progress
        )
        return labelled(made.content, published, "int8", made.affine)


@dataclass(frozen=True, slots=True)
class PublishedReference:
    """The heads of a graph model in float, decoded on the host."""

    graph: NodeGraph
    name: str = "the heads"
    is_independent: bool = False

    def float_rows(self, at: tuple[int, int]) -> Callable[[NDArray[np.uint8]], Rows]:
        """See `tools.convert.checks.runners.Reference`."""
        with tempfile.TemporaryDirectory(prefix="edge-pose-") as folder:
            path = Path(folder) / "heads.tflite"
            try:
                path.write_bytes(self.file("none", at))
            except OSError as error:
                raise UnavailableError(
                    f"{folder}: cannot be written: {error.strerror}: make room, or name another folder in TMPDIR"
                ) from error
            return FileRunner(path, at).rows  # which keeps the file mapped

    def file(self, quantization: Quantization, at: tuple[int, int]) -> bytes:
        """See `tools.convert.checks.runners.Reference`."""
        return write_heads(cut(self.graph, at), _float_kind(quantization))


def _float_kind(quantization: Quantization) -> FloatKind:
    return "none" if quantization == "none" else "fp16"
