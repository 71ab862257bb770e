"""The flow: find poses, track, smooth, hand to the sinks."""

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
    """Turns model inputs into results, for one thread.

    Attributes:
        estimator: its engine is sized before the first input arrives.
        tracker: None leaves all ids null.
        smoother: None leaves the keypoints unfiltered.
        max_frames: end after this many; None for no limit.
        on_result: called with every result after the sinks.
        lossless: True: an input waits while the engine is lost; False: it is dropped.
        stopping: set by another thread to end the wait for a lost engine.
        dropped: inputs dropped while the engine was lost.
        busy_since_s: since when the model is at work, monotonic; None between two inputs.
        frames: results so far.
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
        """Process inputs until the mailbox is closed or `max_frames` is reached."""
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
            del item, result  # else their buffers are held until the next frame
            if self.frames == self.max_frames:
                return

    def _try(self, item: ModelInput) -> PoseFrame | None:
        """Return the result of one input; None if the engine is lost."""
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
