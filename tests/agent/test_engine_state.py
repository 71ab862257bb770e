"""What an engine that comes and goes does to the flow and to the run's health."""

import threading
from collections.abc import Container
from typing import Any

from numpy.typing import NDArray

from brokers import eventually
from builders import ORIGIN, ListSink, ScriptedEngine, frame, pose, result
from edge.agent.capture import Captured
from edge.agent.health import Health
from edge.agent.pipeline import Flow
from edge.agent.sink_threads import SinkThread
from edge.errors import EngineLostError
from edge.estimator import Estimator
from edge.mailbox import Mailbox
from edge.payload import DropCounts, HealthMessage, Message, PeopleMessage, StatusMessage

LOST = "Edge TPU lost, running on the CPU"
AWAY = "Edge TPU lost, no poses until it is back"


class Published:
    """Keeps what Health publishes: states with reasons, counts of people, engines."""

    def __init__(self, interval_s: float = 10.0) -> None:
        self.states: list[tuple[str, str]] = []
        self.counts: list[int | None] = []
        self.engines: list[str] = []
        self.health = Health(self, lambda: DropCounts(camera=0, outputs={}), interval_s=interval_s, max_silence_s=0.0)
        self.health.start(ORIGIN)

    def __call__(self, _: str, message: Message) -> None:
        if isinstance(message, StatusMessage):
            self.states.append((message.state, message.reason))
        if isinstance(message, PeopleMessage):
            self.counts.append(message.count)
        if isinstance(message, HealthMessage):
            self.engines.append(message.engine)


class ComingAndGoing(ScriptedEngine):
    """An engine that is away for the inferences whose numbers are given."""

    def __init__(self, away: Container[int]) -> None:
        super().__init__()
        self.away = away
        self.calls = 0

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        self.calls += 1
        if self.calls - 1 in self.away:
            raise EngineLostError("away")
        return super().run(tensor)


def flow(engine: ScriptedEngine, sink: ListSink, *, count: int, lossless: bool) -> Flow:
    """Run some frames through a flow."""
    made = Flow(estimator=Estimator(engine), lossless=lossless)
    sink_thread = SinkThread(sink, waits=True)
    sink_thread.start()
    frames: Mailbox[Captured] = Mailbox(waits=True)
    thread = threading.Thread(target=made.run, args=(frames, [sink_thread]))
    thread.start()
    for index in range(count):
        frames.put(Captured(frame(index)))
    frames.close()
    thread.join(10)
    assert not thread.is_alive()
    sink_thread.drain(5)
    sink_thread.close()
    return made


def test_frames_that_come_while_the_engine_is_away_are_dropped_and_counted() -> None:
    sink = ListSink(lossless=True)
    done = flow(ComingAndGoing((2, 3)), sink, count=6, lossless=False)
    assert [each.frame.index for each in sink.results] == [0, 1, 4, 5]
    assert (done.frames, done.dropped, done.busy_since_s) == (4, 2, None)


def test_without_a_pace_a_frame_waits_until_the_engine_is_back() -> None:
    sink = ListSink(lossless=True)
    done = flow(ComingAndGoing((2, 3, 4)), sink, count=5, lossless=True)
    assert [each.frame.index for each in sink.results] == [0, 1, 2, 3, 4]
    assert done.dropped == 0


def test_a_stop_does_not_wait_for_an_engine_that_stays_lost() -> None:
    engine = ComingAndGoing(range(1_000_000_000))
    made = Flow(estimator=Estimator(engine), lossless=True)
    frames: Mailbox[Captured] = Mailbox()
    thread = threading.Thread(target=made.run, args=(frames, []))
    thread.start()
    frames.put(Captured(frame()))
    eventually(lambda: engine.calls > 10)
    frames.close()
    made.stopping = True
    thread.join(10)
    assert not thread.is_alive()


def test_running_on_the_twin_is_degraded_and_people_are_still_published() -> None:
    published = Published(interval_s=0.0)
    published.health.engine_state("edgetpu", "")
    published.health.result(result(pose()), (3,))
    published.health.engine_state("cpu", LOST)
    published.health.result(result(pose()), (3,))
    published.health.tick()
    published.health.engine_state("edgetpu", "")
    published.health.result(result(pose()), (3,))
    published.health.tick()
    online, degraded = ("online", ""), ("degraded", f"engine: {LOST}")
    assert [state for state in published.states[1:] if "camera" not in state[1]] == [online, degraded, online]
    assert published.counts[:2] == [None, 1]
    assert published.engines == ["cpu", "edgetpu"]


def test_while_nothing_infers_people_are_unknown_and_the_camera_is_not_blamed() -> None:
    published = Published()
    published.health.result(result(pose()), (3,))
    published.health.engine_state(None, AWAY)
    published.health.tick()
    assert published.states[1:] == [("online", ""), ("degraded", f"engine: {AWAY}")]
    assert published.counts == [None, 1, None]
    published.health.engine_state("edgetpu", "")
    published.health.result(result(pose()), (4,))
    assert published.states[-1] == ("online", "")
    assert published.counts[-1] == 1


def test_a_lost_camera_comes_first_and_the_engine_is_reported_when_it_is_back() -> None:
    published = Published()
    published.health.camera_lost("unplugged")
    published.health.engine_state(None, AWAY)
    assert published.states[-1] == ("degraded", "camera: unplugged")
    published.health.camera_up()
    assert published.states[-1] == ("degraded", f"engine: {AWAY}")


def test_an_engine_that_is_lost_at_the_end_does_not_speak_after_it() -> None:
    published = Published()
    published.health.end("stopped")
    published.health.engine_state(None, AWAY)
    assert published.states[-1] == ("offline", "stopped")


def test_an_engine_that_is_lost_while_it_is_loaded_is_reported_once_the_run_starts() -> None:
    states: list[tuple[str, str]] = []

    def publish(_: str, message: Message) -> None:
        if isinstance(message, StatusMessage):
            states.append((message.state, message.reason))

    health = Health(publish, lambda: DropCounts(camera=0, outputs={}), interval_s=10)
    health.engine_state(None, "Edge TPU lost")
    assert states == []
    health.start(ORIGIN)
    assert states == [("degraded", "starting"), ("degraded", "engine: Edge TPU lost")]
