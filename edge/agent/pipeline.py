"""The flow: the only place that knows in which order a frame becomes a message."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.agent.outlets import Outlet
from edge.errors import EngineLostError
from edge.mailbox import Mailbox
from edge.ports import Engine, PoseFrame
from edge.poses.decode import Decoder
from edge.poses.matching import keep_unique
from edge.poses.model_input import ModelInput
from edge.poses.smooth import Smoother
from edge.poses.track import Tracker

__all__ = ["Flow"]


@dataclass(kw_only=True)
class Flow:
    """What the flow's thread works with; `busy_since_s` tells a watcher that the model is at work.

    Attributes:
        engine: sized by the time the first input arrives.
        tracker: None leaves all ids null.
        smoother: None leaves the keypoints as the model gave them.
        min_score: people below this score are not reported.
        max_people: at most so many, the best ones; None for all that the model finds.
        max_frames: end after so many; None for all.
        on_result: told of every result after the outlets have it.
        lossless: an input that comes while the engine is away waits for it, instead of being dropped.
        stopping: set by whoever does not want to wait for an engine any more.
        dropped: inputs that came while the engine was away.
    """

    engine: Engine
    tracker: Tracker | None
    smoother: Smoother | None
    min_score: float
    max_people: int | None
    max_frames: int | None
    on_result: Callable[[PoseFrame], None]
    lossless: bool = False
    stopping: bool = False
    dropped: int = 0
    busy_since_s: float | None = None
    frames: int = 0
    _decoder: Decoder = field(default_factory=Decoder)

    def run(self, inputs: Mailbox[ModelInput], outlets: Sequence[Outlet]) -> None:
        """Work until the mailbox is closed or `max_frames` are through."""
        for item in inputs:
            result = self._try(item)
            if result is None:
                self.dropped += 1
                del item
                continue
            for outlet in outlets:
                outlet.offer(result)
            self.on_result(result)
            self.frames += 1
            del item, result  # else their buffers were held until the next frame comes
            if self.frames == self.max_frames:
                return

    def _try(self, item: ModelInput) -> PoseFrame | None:
        """Return the result of one input; None when the engine is away."""
        while True:
            self.busy_since_s = time.monotonic()
            try:
                return self.step(item)
            except EngineLostError:
                if self.stopping or not self.lossless:
                    return None
            finally:
                self.busy_since_s = None

    def step(self, item: ModelInput) -> PoseFrame:
        """Infer, decode, track and smooth one input."""
        start_s = time.perf_counter()
        outputs = self.engine.run(item.tensor)
        inference_ms = (time.perf_counter() - start_s) * 1e3
        frame = item.frame
        poses = self._decoder.decode(self.engine.spec, outputs, item.letterbox, min_score=self.min_score)
        poses = tuple(keep_unique(poses, frame.size)[: self.max_people])
        if self.tracker is not None:
            poses = self.tracker.update(poses, frame.media_time_s, frame.size)
        if self.smoother is not None:
            poses = self.smoother.update(poses, frame.media_time_s, frame.size)
        return PoseFrame(frame, poses, inference_ms)
