"""What to convert, as the command line names it."""

from dataclasses import dataclass
from pathlib import Path

from tools.convert.graph.frozen import Quantization

__all__ = ["DEFAULT_SIZE", "QUANTIZATIONS", "Options"]

QUANTIZATIONS: tuple[Quantization, ...] = ("none", "fp16", "dynamic", "int8")
DEFAULT_SIZE = (256, 256)


@dataclass(frozen=True, slots=True)
class Options:
    """All options.

    Attributes:
        source: folder, archive, or name in the manifest.
        heads: cut at the heads.
        sizes: (width, height) in pixels; None for open sides.
        quantization: one of `QUANTIZATIONS`.
        calibration: pictures or a video for int8; None: the synthetic scene.
        images: pictures to check on; None: those of a calibration folder, else the synthetic scene.
        annotations: COCO keypoints for `images`, for the average precision.
        max_images: of pictures in the check.
        min_oks: least mean OKS with the float graph; None: what the quantization should reach.
        edgetpu: compile for the Edge TPU.
        output: the file, or the folder for several sizes.
        debug: show TensorFlow's messages, and tracebacks.
    """

    source: str
    heads: bool
    sizes: tuple[tuple[int, int] | None, ...]
    quantization: Quantization
    calibration: Path | None
    images: Path | None
    annotations: Path | None
    max_images: int
    min_oks: float | None
    edgetpu: bool
    output: Path
    debug: bool
