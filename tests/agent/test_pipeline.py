import threading

from builders import ListSink, ScriptedEngine, frame
from edge.agent.pipeline import Flow
from edge.agent.sink_threads import SinkThread
from edge.estimator import Estimator
from edge.mailbox import Mailbox
from edge.ports import PoseFrame
from edge.poses.model_input import InputMaker, ModelInput
from edge.poses.track import Tracker


def inputs_of(count: int) -> Mailbox[ModelInput]:
    """A mailbox that a thread fills with `count` inputs and closes."""
    box: Mailbox[ModelInput] = Mailbox(waits=True)
    maker = InputMaker((64, 32), "uint8", None)

    def fill() -> None:
        for index in range(count):
            box.put(maker.make(frame(index, 100 + index / 25)))
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


def test_every_input_becomes_one_result_for_every_sink() -> None:
    sinks = [ListSink(lossless=True), ListSink(lossless=True)]
    threads = [SinkThread(sink, waits=True) for sink in sinks]
    for thread in threads:
        thread.start()
    made, seen = flow()
    made.run(inputs_of(5), threads)
    for thread in threads:
        assert thread.drain(2)
    for results in (seen, sinks[0].results, sinks[1].results):
        assert [result.frame.index for result in results] == [0, 1, 2, 3, 4]


def test_the_flow_ends_after_max_frames() -> None:
    made, seen = flow(max_frames=2)
    made.run(inputs_of(9), [])
    assert len(seen) == made.frames == 2


def test_duplicates_are_removed_before_people_are_limited_also_without_a_tracker() -> None:
    made, seen = flow(max_people=2)
    made.run(inputs_of(6), [])
    assert [len(result.poses) for result in seen] == [1, 1, 2, 2, 2, 2]
    assert {pose.id for result in seen for pose in result.poses} == {None}


def test_a_stalled_sink_does_not_slow_the_flow() -> None:
    gate = threading.Event()
    thread = SinkThread(ListSink(gate=gate), waits=False)
    thread.start()
    made, seen = flow(tracker=Tracker())
    made.run(inputs_of(30), [thread])
    assert len(seen) == 30
    gate.set()
    assert thread.drain(2)


def test_nothing_is_busy_between_two_frames() -> None:
    made, _ = flow()
    made.run(inputs_of(1), [])
    assert made.busy_since_s is None
