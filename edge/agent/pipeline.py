"""The flow: poses of a frame, tracks, smoothing, and on to the outputs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.agent.sink_threads import OpenSink
from edge.errors import EngineLostError
from edge.estimator import Estimator
from edge.mailbox import Mailbox
from edge.ports import PoseFrame
from edge.poses.model_input import ModelInput
from edge.poses.smooth import Smoother
from edge.poses.track import Tracker

__all__ = ["Flow"]


@dataclass(kw_only=True)
class Flow:
    """What the flow's thread works with; `busy_since_s` tells a watcher that the model is at work.

    Attributes:
        estimator: its engine is sized by the time the first input arrives.
        tracker: None leaves all ids null.
        smoother: None leaves the keypoints as the model gave them.
        max_frames: end after so many; None for all.
        on_result: told of every result after the sinks have it.
        lossless: an input that comes while the engine is away waits for it, instead of being dropped.
        stopping: set by whoever does not want to wait for an engine any more.
        dropped: inputs that came while the engine was away.
    """

    estimator: Estimator
    tracker: Tracker | None = None
    smoother: Smoother | None = None
    max_frames: int | None = None
    on_result: Callable[[PoseFrame], None] = lambda _: None
    lossless: bool = False
    stopping: bool = False
    dropped: int = 0
    busy_since_s: float | None = None
    frames: int = 0

    def run(self, inputs: Mailbox[ModelInput], sinks: Sequence[OpenSink]) -> None:
        """Work until the mailbox is closed or `max_frames` are through."""
        for item in inputs:
            result = self._try(item)
            if result is None:
                self.dropped += 1
                del item
                continue
            for sink in sinks:
                sink.offer(result)
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
        """Find, track and smooth the poses of one input."""
        frame, estimate = item.frame, self.estimator.estimate(item)
        poses = estimate.poses
        if self.tracker is not None:
            poses = self.tracker.update(poses, frame.media_time_s, frame.size)
        if self.smoother is not None:
            poses = self.smoother.update(poses, frame.media_time_s, frame.size)
        return PoseFrame(frame, poses, estimate.inference_ms)
