"""Compares int8 files of more or fewer recipe steps with float.

See `int8_steps`.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from edge.engine.litert import LiteRtEngine
from edge.graph.network import Floats
from edge.poses.head_maps import HEADS
from edge.tflite.file import load
from edge.tflite.notes import Affine, Source
from tools.convert.checks.parity import parity
from tools.convert.checks.pictures import folder_pictures
from tools.convert.checks.runners import FileRunner
from tools.convert.graph.build import build_heads
from tools.convert.graph.cut import cut_heads
from tools.convert.graph.freeze import freeze
from tools.convert.graph.frozen import Quantization
from tools.convert.int8.calibration import Calibration, calibrate
from tools.convert.int8.observe import relevant_cells, sigmoid
from tools.convert.int8.quantize import Steps, quantize_int8
from tools.convert.label import label_heads, signature_outputs
from tools.evaluate.annotations import load_annotations, require_images
from tools.evaluate.metrics.coco import average_precision
from tools.evaluate.prediction import predict

__all__ = ["RecipeBenchmark", "Row"]

T = TypeVar("T")
Progress = Callable[[int, int, str], None]
SOURCE = Source("trial", f"sha256:{'0' * 64}")
"""Of temporary files."""
MIN_SCORE = 0.1
"""Cells with a lower score rarely become a keypoint or a person."""
MAX_MAPS = 24
"""Pictures whose maps are compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: which steps were taken.
        ap: COCO's average precision in points.
        mean_oks: of the float model's people with this file's.
        center: error of its scores, 0..1.
        heatmap: likewise.
        offset: error in cells.
        kilobytes: size of the file.
    """

    name: str
    ap: float
    mean_oks: float
    center: float
    heatmap: float
    offset: float
    kilobytes: int


class RecipeBenchmark:
    """Makes files of one network and measures them.

    Args:
        folder: of the SavedModel.
        size: (width, height) of the input in pixels.
        images: folder of the annotated images.
        annotations: COCO's file for them.
        on_progress: called with (done, total, label).

    Raises:
        InputError: a file or folder cannot be read.
        ModelError: not MoveNet.
        UnavailableError: no TensorFlow, or no pycocotools.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int], images: Path, annotations: Path, on_progress: Progress
    ) -> None:
        self._annotations = load_annotations(annotations)
        require_images(self._annotations, images)
        self._images, self._size, self._progress = images, size, on_progress
        self._heads = cut_heads(freeze(folder, str(folder)), size=size)
        self._pictures = list(folder_pictures(images, size, len(self._annotations.images)))
        self._calibration: Calibration | None = None
        self._float = build_heads(self._heads, "none")
        self._rows, self._maps = self._with_file(self._float, "none", {}, self._look)

    def float_row(self) -> Row:
        """Measure the float network."""
        return self._row("float", self._float, "none", {})

    def int8_row(self, name: str, calibration: Path | None, taken: Mapping[str, bool]) -> Row:
        """Make an int8 file by the steps `taken`, and measure it."""
        self._calibration = self._calibration or calibrate(calibration, size=self._size, on_progress=self._progress)
        made = quantize_int8(self._heads, self._calibration, on_progress=self._progress, steps=Steps(**taken))
        return self._row(name, made.content, "int8", made.affine)

    def _row(self, name: str, content: bytes, quantization: Quantization, affine: Mapping[str, Affine]) -> Row:
        def measure(path: Path) -> Row:
            rows, maps = self._look(path)
            engine = LiteRtEngine(path, name=name, threads=2, input_size=self._size)
            found = predict(engine, self._annotations, self._images)
            engine.close()
            ap = average_precision(found.detections(self._annotations), self._annotations)["AP"]
            errors = _errors(self._maps, maps)
            oks = parity(self._pictures, self._rows, rows).mean_oks
            kilobytes = path.stat().st_size // 1000
            return Row(name, 100 * (ap or 0), oks, errors["center"], errors["heatmap"], errors["offset"], kilobytes)

        return self._with_file(content, quantization, affine, measure)

    def _look(self, path: Path) -> tuple[list[Floats], dict[str, Floats]]:
        """Return every picture's poses, and the first pictures' maps by head."""
        runner = FileRunner(path, self._size)
        rows = [runner.rows(picture.pixels) for picture in self._pictures]
        runner.close()
        engine = LiteRtEngine(path, name="maps", threads=2, input_size=self._size)
        assert engine.spec.heads is not None
        maps: dict[str, list[Floats]] = {head: [] for head in HEADS}
        for picture in self._pictures[:MAX_MAPS]:
            for head, spec, values in zip(HEADS, engine.spec.heads.maps, engine.run(picture.pixels), strict=True):
                maps[head].append(values.astype(np.float32) * spec.scale + spec.shift)
        engine.close()
        return rows, {head: np.concatenate(each) for head, each in maps.items()}

    def _with_file(
        self, content: bytes, quantization: Quantization, affine: Mapping[str, Affine], use: Callable[[Path], T]
    ) -> T:
        """Return the result of `use` on a temporary file."""
        with tempfile.TemporaryDirectory(prefix="edge-pose-") as folder:
            path = Path(folder) / "trial.tflite"
            path.write_bytes(content)
            model = load(path)
            by_name = {model.name(tensor): tensor for tensor in map(int, model.graph.outputs)}
            if quantization == "none":
                signature = signature_outputs(model)
                by_name = {head: signature[f"output_{place}"] for place, head in enumerate(HEADS)}
            outputs = {head: by_name[head] for head in HEADS}
            label_heads(path, outputs, quantization=quantization, source=SOURCE, affine=affine)
            return use(path)


def _errors(true: Mapping[str, Floats], found: Mapping[str, Floats]) -> dict[str, float]:
    """Return RMS errors: of center and heatmap as scores, else in cells."""
    cells = relevant_cells(true)
    cells["center"] = sigmoid(true["center"]) > MIN_SCORE
    cells["heatmap"] = sigmoid(true["heatmap"]) > MIN_SCORE
    cells["offset"] = np.repeat(sigmoid(true["heatmap"]) > MIN_SCORE, 2, axis=-1)  # dy, dx of each keypoint
    errors = {}
    for head in true:
        first, second = true[head][cells[head]], found[head][cells[head]]
        if head in ("center", "heatmap"):
            first, second = sigmoid(first), sigmoid(second)
        errors[head] = float(np.sqrt(np.square(first - second).mean()))
    return errors
