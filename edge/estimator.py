"""Finds the poses in an image: letterbox, inference, decode, NMS.

No other module knows this order.
"""

import time
from dataclasses import dataclass

from edge.frame import Frame, Image
from edge.ports import Engine, ModelSpec
from edge.poses.decode import Decoder
from edge.poses.matching import pose_nms
from edge.poses.model_input import InputMaker, ModelInput
from edge.poses.pose import Pose

__all__ = ["Estimate", "Estimator"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The poses in one image, best score first, and the time of the inference alone."""

    poses: tuple[Pose, ...]
    inference_ms: float


class Estimator:
    """Finds poses in single images, without tracking or smoothing; for one thread.

        estimator = Estimator(LiteRtEngine(Path("movenet.tflite"), name="movenet"))
        for pose in estimator.poses(image): ...

    Args:
        engine: a loaded model; it may change its spec between two inputs, as after a change to its CPU twin.
        min_score: poses below this score are left out.
        max_people: at most this many poses, the best ones; None for no limit.
    """

    def __init__(self, engine: Engine, *, min_score: float = 0.2, max_people: int | None = None) -> None:
        self.engine = engine
        self._min_score = min_score
        self._max_people = max_people
        self._decoder = Decoder()
        self._own = _Inputs()
        self._ahead = _Inputs()
        self._sized: tuple[tuple[int, int], ModelSpec] | None = None  # the last image's size, and its spec

    def poses(self, image: Image) -> tuple[Pose, ...]:
        """Return the poses in an RGB uint8 image (H, W, 3), best score first.

        They are normalized to the image.

        Raises:
            EngineLostError: nothing can infer at the moment; the next call may.
        """
        return self.estimate(self.input_of(Frame(image, 0, 0.0, 0.0, 0.0))).poses

    def input_of(self, frame: Frame, ahead: ModelInput | None = None) -> ModelInput:
        """Return the model's input of a frame; the engine decides its size.

        Args:
            frame: the image.
            ahead: its input by `input_ahead`, which is returned if the engine wants the same size still.
        """
        spec = self.engine.size_for(frame.size)
        self._sized = frame.size, spec
        if ahead is not None and ahead.letterbox.input_size == spec.input_size:
            return ahead
        return self._own.make(frame, spec)

    def input_ahead(self, frame: Frame) -> ModelInput | None:
        """Return what `input_of` will probably return, for one other thread while this one infers.

        None while it is not known what the engine wants for images of this size.
        """
        sized = self._sized
        return self._ahead.make(frame, sized[1]) if sized is not None and sized[0] == frame.size else None

    def estimate(self, item: ModelInput) -> Estimate:
        """Return the poses in an input. Raises EngineLostError, as `poses`."""
        start_s = time.perf_counter()
        outputs = self.engine.run(item.tensor)
        inference_ms = (time.perf_counter() - start_s) * 1e3
        poses = self._decoder.decode(self.engine.spec, outputs, item.letterbox, min_score=self._min_score)
        return Estimate(tuple(pose_nms(poses, item.frame.size)[: self._max_people]), inference_ms)


class _Inputs:
    """Makes inputs on one thread, for a model that may change its input size."""

    def __init__(self) -> None:
        self._spec: ModelSpec | None = None
        self._maker: InputMaker | None = None

    def make(self, frame: Frame, spec: ModelSpec) -> ModelInput:
        if self._maker is None or self._spec is not spec:
            self._maker = InputMaker(spec.input_size, spec.input_dtype, spec.input_codes)
            self._spec = spec
        return self._maker.make(frame)
