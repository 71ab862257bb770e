"""The flow: find poses, track, smooth, hand to the sinks."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.agent.capture import Captured
from edge.agent.sink_threads import OpenSink
from edge.agent.size_policy import Lap, SizePolicy
from edge.errors import EngineLostError
from edge.estimator import Estimator
from edge.frame import Frame
from edge.mailbox import Mailbox
from edge.ports import PoseFrame
from edge.poses.model_input import ModelInput
from edge.poses.smooth import Smoother
from edge.poses.track import Tracker

__all__ = ["Flow"]

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Flow:
    """Turns frames into results, for one thread.

    Attributes:
        estimator: makes the inputs and finds the poses.
        tracker: None leaves all ids null.
        smoother: None leaves the keypoints unfiltered.
        max_frames: end after this many; None for no limit.
        on_result: called with every result after the sinks.
        size_policy: chooses the size of the model's input; None leaves it to the engine.
        keep_images: False if no sink reads images: a frame's buffer is released when the model's input is made.
        lossless: True: a frame waits while the engine is lost; False: it is dropped.
        stopping: set by another thread to end the wait for a lost engine.
        dropped: frames dropped while the engine was lost.
        busy_since_s: since when the model is at work, monotonic; None between two frames.
        frames: results so far.
    """

    estimator: Estimator
    tracker: Tracker | None = None
    smoother: Smoother | None = None
    max_frames: int | None = None
    on_result: Callable[[PoseFrame], None] = lambda _: None
    size_policy: SizePolicy | None = None
    keep_images: bool = True
    lossless: bool = False
    stopping: bool = False
    dropped: int = 0
    busy_since_s: float | None = None
    frames: int = 0
    _input_sizes: set[tuple[int, int]] = field(default_factory=set)

    def run(self, frames: Mailbox[Captured], sinks: Sequence[OpenSink]) -> None:
        """Process frames until the mailbox is closed or `max_frames` is reached."""
        # No reference to a frame is held longer than it is needed, else its buffer is.
        while (captured := frames.get()) is not None:
            start_s, index, capture_s = time.monotonic(), captured.frame.index, captured.frame.time_s
            item = self._input_of(captured)
            del captured
            result = self._try(item)
            del item
            if result is None:
                self.dropped += 1
                continue
            for sink in sinks:
                sink.offer(result)
            self.on_result(result)
            self.frames += 1
            del result
            if self.frames == self.max_frames:
                return
            done_s = time.monotonic()
            self._choose_size(Lap(index, capture_s, done_s, done_s - start_s))

    def step(self, frame: Frame) -> PoseFrame:
        """Find, track and smooth the poses of one frame. Raises EngineLostError."""
        return self._result(self._input_of(Captured(frame)))

    def _input_of(self, captured: Captured) -> ModelInput:
        """Return the model's input of a frame, without the image if no sink reads it."""
        self.busy_since_s = time.monotonic()  # the first frame of a size has the engine prepared
        frame = captured.frame
        item = self.estimator.input_of(frame, captured.ahead)
        if item.letterbox.input_size not in self._input_sizes:
            self._input_sizes.add(item.letterbox.input_size)
            sizes = (*frame.size, *item.letterbox.input_size)
            log.info("camera %dx%d, model input %dx%d (width x height)", *sizes)
        return item if self.keep_images else item.without_image()

    def _choose_size(self, lap: Lap) -> None:
        engine = self.estimator.engine
        decision = self.size_policy and self.size_policy.record(lap, engine.choices, engine.level)
        if decision:
            width, height = size = engine.choices[decision.level]
            log.info("model input %dx%d (HxW): %s", height, width, decision.reason)
            self._input_sizes.add(size)  # one line is enough
            engine.level = decision.level

    def _try(self, item: ModelInput) -> PoseFrame | None:
        """Return the result of one input; None if the engine is lost."""
        while True:
            self.busy_since_s = time.monotonic()
            try:
                return self._result(item)
            except EngineLostError:
                if self.stopping or not self.lossless:
                    return None
            finally:
                self.busy_since_s = None

    def _result(self, item: ModelInput) -> PoseFrame:
        frame, estimate = item.frame, self.estimator.estimate(item)
        poses = estimate.poses
        if self.tracker is not None:
            poses = self.tracker.update(poses, frame.media_time_s, frame.size)
        if self.smoother is not None:
            poses = self.smoother.update(poses, frame.media_time_s, frame.size)
        return PoseFrame(frame, poses, estimate.inference_ms)
