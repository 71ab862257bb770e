"""Checks one converted file: parity with the graph, AP, and time."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.engine.litert import LiteRtEngine
from edge.errors import UnavailableError
from edge.tflite.file import load
from tools.convert.checks.parity import Parity, parity, rows_of
from tools.convert.checks.pictures import Picture, folder_pictures, scene_pictures
from tools.convert.checks.report import Findings
from tools.convert.checks.runners import FileRunner, Reference, Rows
from tools.convert.checks.speed import measure
from tools.convert.graph.frozen import Quantization
from tools.convert.options import DEFAULT_SIZE, Options
from tools.evaluate.annotations import Annotations
from tools.evaluate.metrics.coco import average_precision
from tools.evaluate.prediction import predict

__all__ = ["MIN_OKS", "Progress", "Verifier"]

MIN_OKS = {"none": 0.99, "fp16": 0.97, "dynamic": 0.95, "int8": 0.9}
"""Least mean OKS with the float graph by quantization; good conversions stay well above."""
SCENE_PICTURES = 24
"""The scene has few kinds of people: more frames of it add little."""

Progress = Callable[[int, int, str], None]
"""Called with (done, total, label)."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks files made from one source.

    Attributes:
        options: the command line.
        reference: what they are compared with.
        annotations: the truth about `options.images`, if it is known.
        progress: see `Progress`.
    """

    options: Options
    reference: Reference
    annotations: Annotations | None
    progress: Progress

    def verify(self, path: Path, size: tuple[int, int] | None, output: Path) -> Findings:
        """Measure the file at `path`, which is to become `output`.

        Args:
            path: the file.
            size: (width, height) of its input in pixels; None: open, and checked at 256x256.
            output: how messages name it.

        Raises:
            InputError: the pictures cannot be read.
        """
        at = size or DEFAULT_SIZE
        pictures, where = self._pictures(at)
        with tempfile.TemporaryDirectory(prefix="edge-pose-") as folder:
            candidate, whole = FileRunner(path, at), self._whole(Path(folder), "fp16", at)
            found = self._rows(candidate.rows, pictures, "check")
            wanted = self._rows(self.reference.float_rows(at), pictures, f"check, {self.reference.name} in float")
            same = self._same(Path(folder), at, pictures, wanted, found)
            speed = measure(candidate, whole, pictures)
        return Findings(
            output=output,
            size_bytes=path.stat().st_size,
            input=f"{candidate.spec.input_dtype} {'dynamic' if size is None else f'{size[1]}x{size[0]}'}",
            ops=tuple(load(path).op_names()),
            pictures=where,
            same=same,
            rounding=None if self.options.quantization == "none" else parity(pictures, wanted, found),
            ap=self._ap(path, at),
            speed=speed,
            reference=self.reference.name,
            is_int8=self.options.quantization == "int8",
            oks_required=self.options.min_oks is not None,
            min_oks=MIN_OKS[self.options.quantization] if self.options.min_oks is None else self.options.min_oks,
        )

    def _same(
        self, folder: Path, at: tuple[int, int], pictures: Sequence[Picture], wanted: list[Rows], found: list[Rows]
    ) -> Parity | None:
        """Compare with the whole graph in the file's own precision, where possible."""
        quantization = self.options.quantization
        if not self.reference.is_independent:
            return None
        if quantization == "none":
            return parity(pictures, wanted, found)
        if quantization == "int8" or not self.options.heads:
            return None
        twin = self._whole(folder, quantization, at)
        return parity(
            pictures, self._rows(twin.rows, pictures, f"check, {self.reference.name} in {quantization}"), found
        )

    def _whole(self, folder: Path, quantization: Quantization, at: tuple[int, int]) -> FileRunner:
        path = folder / f"whole_{quantization}.tflite"
        if not path.exists():
            content = self.reference.file(quantization, at)
            try:
                path.write_bytes(content)
            except OSError as error:
                raise UnavailableError(
                    f"{folder}: cannot be written: {error.strerror}: make room, or name another folder in TMPDIR"
                ) from error
        return FileRunner(path, at)

    def _rows(self, run: Callable[..., Rows], pictures: Sequence[Picture], what: str) -> list[Rows]:
        return rows_of(run, pictures, self._told(what))

    def _told(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(done, total, what)

    def _pictures(self, at: tuple[int, int]) -> tuple[list[Picture], str]:
        """Return the pictures to check on, and a description of them."""
        folder = self.options.images or self.options.calibration
        if folder is None or not folder.is_dir():
            pictures = list(scene_pictures(at, min(SCENE_PICTURES, self.options.max_images)))
            return pictures, f"{len(pictures)} frames of the synthetic scene (--images FOLDER says more)"
        pictures = list(folder_pictures(folder, at, self.options.max_images))
        same = self.options.images is None or self.options.images == self.options.calibration
        own = " (those of the calibration: --images FOLDER of others proves more)" if same else ""
        return pictures, f"{len(pictures)} pictures of {folder}{own}"

    def _ap(self, path: Path, at: tuple[int, int]) -> float | None:
        """Return the average precision, 0..100."""
        if self.annotations is None or self.options.images is None:
            return None
        engine = LiteRtEngine(path, name=path.stem, threads=1, input_size=at)
        found = predict(engine, self.annotations, self.options.images, on_progress=self._told("AP"))
        engine.close()
        return 100 * (average_precision(found.detections(self.annotations), self.annotations)["AP"] or 0)
