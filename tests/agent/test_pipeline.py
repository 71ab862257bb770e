import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builders import ListSink, ScriptedEngine, frame
from edge.agent.capture import Captured
from edge.agent.pipeline import Flow
from edge.agent.sink_threads import SinkThread
from edge.agent.size_policy import Decision, Lap, SizePolicy
from edge.estimator import Estimator
from edge.frame import BufferPool, Frame
from edge.mailbox import Mailbox
from edge.ports import Engine, PoseFrame
from edge.poses.model_input import ModelInput
from edge.poses.track import Tracker


def frames_of(count: int) -> Mailbox[Captured]:
    """A mailbox that a thread fills with `count` frames and closes."""
    box: Mailbox[Captured] = Mailbox(waits=True)

    def fill() -> None:
        for index in range(count):
            box.put(Captured(frame(index, 100 + index / 25)))
        box.close()

    threading.Thread(target=fill, daemon=True).start()
    return box


def flow(
    *, tracker: Tracker | None = None, max_frames: int | None = None, max_people: int = 3
) -> tuple[Flow, list[PoseFrame]]:
    seen: list[PoseFrame] = []
    estimator = Estimator(ScriptedEngine(), max_people=max_people)
    made = Flow(estimator=estimator, tracker=tracker, max_frames=max_frames, on_result=seen.append)
    return made, seen


def test_every_frame_becomes_one_result_for_every_sink() -> None:
    sinks = [ListSink(lossless=True), ListSink(lossless=True)]
    threads = [SinkThread(sink, waits=True) for sink in sinks]
    for thread in threads:
        thread.start()
    made, seen = flow()
    made.run(frames_of(5), threads)
    for thread in threads:
        assert thread.drain(2)
    for results in (seen, sinks[0].results, sinks[1].results):
        assert [result.frame.index for result in results] == [0, 1, 2, 3, 4]


def test_the_flow_ends_after_max_frames() -> None:
    made, seen = flow(max_frames=2)
    made.run(frames_of(9), [])
    assert len(seen) == made.frames == 2


def test_duplicates_are_removed_before_people_are_limited_also_without_a_tracker() -> None:
    made, seen = flow(max_people=2)
    made.run(frames_of(6), [])
    assert [len(result.poses) for result in seen] == [1, 1, 2, 2, 2, 2]
    assert {pose.id for result in seen for pose in result.poses} == {None}


def test_a_stalled_sink_does_not_slow_the_flow() -> None:
    gate = threading.Event()
    thread = SinkThread(ListSink(gate=gate), waits=False)
    thread.start()
    made, seen = flow(tracker=Tracker())
    made.run(frames_of(30), [thread])
    assert len(seen) == 30
    gate.set()
    assert thread.drain(2)


def test_nothing_is_busy_between_two_frames() -> None:
    made, _ = flow()
    made.run(frames_of(1), [])
    assert made.busy_since_s is None


class PooledCamera(ScriptedEngine):
    """An engine that takes buffers of a camera's pool while it infers: as many as are free, up to `count`."""

    def __init__(self, pool: BufferPool, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.pool, self.shape = pool, shape
        self.overwritten: list[int] = []

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        buffer = self.pool.take(self.shape)
        self.overwritten.append(id(buffer))
        buffer[:] = 0
        return super().run(tensor)


@pytest.mark.parametrize("keep_images", [True, False])
def test_an_image_is_never_written_again_and_freed_at_once_if_no_sink_wants_it(keep_images: bool) -> None:
    pool = BufferPool()
    engine = PooledCamera(pool, (36, 64, 3))
    seen: list[PoseFrame] = []
    frames: Mailbox[Captured] = Mailbox(waits=True)
    made = Flow(estimator=Estimator(engine), on_result=seen.append, keep_images=keep_images)
    pixels = pool.take((36, 64, 3))
    pixels[:] = 200
    at = id(pixels)
    frames.put(Captured(replace(frame(), image=pixels)))
    del pixels
    frames.close()
    made.run(frames, [])
    assert (engine.overwritten == [at]) is not keep_images
    assert seen[0].frame.size == (64, 36)
    if keep_images:
        np.testing.assert_array_equal(seen[0].frame.image, 200)


def test_frames_that_are_dropped_cost_no_scaling() -> None:
    """The flow makes the input of a frame when it is free to run it, not when the frame comes."""

    class Slow(ScriptedEngine):
        def __init__(self) -> None:
            super().__init__()
            self.running, self.go_on = threading.Event(), threading.Event()

        def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
            self.running.set()
            assert self.go_on.wait(5)
            return super().run(tensor)

    class Counting(Estimator):
        def __init__(self, engine: Engine) -> None:
            super().__init__(engine)
            self.made: list[int] = []

        def input_of(self, frame: Frame, ahead: ModelInput | None = None) -> ModelInput:
            self.made.append(frame.index)
            return super().input_of(frame, ahead)

    engine = Slow()
    estimator = Counting(engine)
    made, frames = Flow(estimator=estimator), Mailbox[Captured]()
    thread = threading.Thread(target=made.run, args=(frames, []))
    thread.start()
    frames.put(Captured(frame(0)))
    assert engine.running.wait(5)
    for index in range(1, 10):
        frames.put(Captured(frame(index)))
    engine.go_on.set()
    frames.close()
    thread.join(5)
    assert estimator.made == [0, 9]
    assert frames.dropped == 8


def test_each_input_size_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made, _ = flow()
    for width, height in ((64, 36), (64, 36), (36, 64)):
        made.step(frame(width=width, height=height))
    assert caplog.messages == ["camera 64x36, model input 64x32 (width x height)"]


class SizeableEngine(ScriptedEngine):
    """Says that it has three sizes."""

    choices = ((448, 256), (320, 192), (256, 160))


class Scripted(SizePolicy):
    """Decides at the second frame; keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__(8)
        self.asked: list[tuple[int, int]] = []

    def record(self, lap: Lap, choices: Sequence[tuple[int, int]], level: int) -> Decision | None:
        assert choices == SizeableEngine.choices
        assert lap.done_s >= lap.busy_s >= 0
        self.asked.append((lap.index, level))
        return Decision(2, "because") if len(self.asked) == 2 else None


def test_the_engine_takes_the_size_that_is_decided_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    engine, policy = SizeableEngine(), Scripted()
    with caplog.at_level(logging.INFO):
        Flow(estimator=Estimator(engine), size_policy=policy).run(frames_of(5), [])
    assert policy.asked == [(0, 0), (1, 0), (2, 2), (3, 2), (4, 2)]
    assert engine.level == 2
    assert [line for line in caplog.messages if "256" in line] == ["model input 160x256 (HxW): because"]
