"""Runs the graph in TensorFlow, and a file through the product's engine.

Both give the same rows of poses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.frame import NO_IMAGE, Frame
from edge.poses.heads import HeadsDecoder
from edge.poses.letterbox import Letterbox
from edge.poses.model_input import ModelInput, encode_into
from edge.poses.pose import Pose
from tools.convert.graph.build import build_whole
from tools.convert.graph.frozen import INPUT, FrozenGraph, Quantization
from tools.convert.workstation import load_tensorflow

__all__ = ["FileRunner", "FrozenReference", "Reference", "Rows", "graph_rows"]

Rows = NDArray[np.float32]
"""(P, 56): 17 x (y, x, score), ymin, xmin, ymax, xmax, score, normalized to the input."""


class Reference(Protocol):
    """What converted files are compared with."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def is_independent(self) -> bool:
        """True if other code made it than the files, so that those of its own precision are compared, too."""

    def float_rows(self, at: tuple[int, int]) -> Callable[[NDArray[np.uint8]], Rows]:
        """Return a function that gives the rows of pixels (1, H, W, 3) in float; `at` is (width, height)."""

    def file(self, quantization: Quantization, at: tuple[int, int]) -> bytes:
        """Return it as a TFLite file that takes inputs of `at`."""


@dataclass(frozen=True, slots=True)
class FrozenReference:
    """The whole frozen graph, in TensorFlow and as TensorFlow converts it."""

    frozen: FrozenGraph
    name: str = "the whole graph"
    is_independent: bool = True

    def float_rows(self, at: tuple[int, int]) -> Callable[[NDArray[np.uint8]], Rows]:  # noqa: ARG002 - takes any
        """See `Reference`."""
        return graph_rows(self.frozen)

    def file(self, quantization: Quantization, at: tuple[int, int]) -> bytes:  # noqa: ARG002 - takes any
        """See `Reference`."""
        return build_whole(self.frozen, None, quantization)


def graph_rows(frozen: FrozenGraph) -> Callable[[NDArray[np.uint8]], Rows]:
    """Return a function that runs the frozen graph on pixels (1, H, W, 3).

    In float.
    """
    tf = load_tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(frozen.graph, name="")
    session = tf.compat.v1.Session(graph=graph)

    def rows(pixels: NDArray[np.uint8]) -> Rows:
        return np.asarray(session.run(frozen.output, {f"{INPUT}:0": pixels.astype(np.int32)})[0], np.float32)

    return rows


class FileRunner:
    """A TFLite file in the product's engine, with one thread.

    It reports as many people as the published graph.

    Args:
        path: the file.
        size: (width, height) of the input, for a file whose size is open.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._engine = LiteRtEngine(path, name=path.stem, threads=1, input_size=size)
        self.spec = self._engine.spec
        self._estimator = Estimator(self._engine)
        self._decoder = HeadsDecoder(self.spec.heads) if self.spec.heads else None

    def rows(self, pixels: NDArray[np.uint8]) -> Rows:
        """Run the model on pixels (1, H, W, 3)."""
        outputs = self._engine.run(self.encoded(pixels))
        return np.array((self._decoder.rows(outputs) if self._decoder else outputs[0])[0])

    def poses(self, tensor: NDArray[np.generic], letterbox: Letterbox) -> tuple[Pose, ...]:
        """Estimate the poses of `encoded` pixels with the product's defaults."""
        frame = Frame(NO_IMAGE, 0, 0.0, 0.0, 0.0, image_size=letterbox.image_size)
        return self._estimator.estimate(ModelInput(frame, tensor, letterbox)).poses

    def encoded(self, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Return pixels as the model's input wants them."""
        if self.spec.input_codes is None:
            return pixels.astype(self.spec.input_dtype)
        tensor = np.empty(pixels.shape, self.spec.input_dtype)
        encode_into(pixels, self.spec.input_codes, tensor)
        return tensor

    def close(self) -> None:
        """Release the model."""
        self._engine.close()
