"""What to train, as the command line names it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["AnnotatedPhotographs", "Options", "UnlabelledPhotographs"]


@dataclass(frozen=True, slots=True)
class AnnotatedPhotographs:
    """Photographs with keypoints; `by_model` where a model labelled them."""

    annotations: Path
    folder: Path
    weight: float
    by_model: bool = False


@dataclass(frozen=True, slots=True)
class UnlabelledPhotographs:
    """Photographs without keypoints.

    `boxes` has the people's boxes; None: the teacher finds the people.
    """

    folder: Path
    weight: float
    boxes: Path | None


@dataclass(frozen=True, slots=True)
class Options:
    """All options.

    Attributes:
        annotated: photographs with keypoints.
        scene: weight of the synthetic scene; 0 for none.
        unlabelled: photographs without keypoints.
        teacher: name or file of the model that labels those; None where none is needed.
        soft: what the teacher's maps count beside the keypoints; 0 for nothing.
        begin_with: model whose weights a fresh training begins with; None: random ones.
        network: name of the network's shape.
        steps: batches in all.
        batch: pictures in one.
        side: of the square input in training, in pixels.
        rate: highest learning rate.
        seed: of the weights at the beginning and of the batches.
        device: where to compute.
        threads: of PyTorch; None: as it wants.
        workers: threads that make batches; None: half of the cores.
        precision: of the computation.
        every_s: seconds between two checkpoints.
        output: folder of the training.
        size: (width, height) of the model's input in pixels.
        calibration: folder of pictures that int8 takes its ranges from; None: the synthetic scene.
        name: of the model.
        exports: make the TFLite files at the end.
        debug: show tracebacks.
    """

    annotated: tuple[AnnotatedPhotographs, ...]
    scene: float
    unlabelled: tuple[UnlabelledPhotographs, ...]
    teacher: str | None
    soft: float
    begin_with: Path | None
    network: str
    steps: int
    batch: int
    side: int
    rate: float
    seed: int
    device: Literal["auto", "cpu", "cuda"]
    threads: int | None
    workers: int | None
    precision: Literal["auto", "float32", "bfloat16"]
    every_s: float
    output: Path
    size: tuple[int, int]
    calibration: Path | None
    name: str
    exports: bool
    debug: bool

    @property
    def inputs(self) -> str:
        """What the batches are made of, in words."""
        sources = [("scene", self.scene)] if self.scene else []
        sources += [(str(each.annotations), each.weight) for each in self.annotated]
        sources += [(f"{each.folder} (boxes: {each.boxes})", each.weight) for each in self.unlabelled]
        shares = ", ".join(f"{name} {weight:g}" for name, weight in sources)
        return f"{self.batch} of {self.side}x{self.side} with seed {self.seed} of {shares}; teacher {self.teacher}"
