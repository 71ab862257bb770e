import logging
import threading
from typing import Literal

import pytest

from brokers import eventually
from builders import ListSink, result
from edge.agent.sink_threads import DirectSink, OpenSink, SinkThread, drain, open_sinks
from edge.errors import UnavailableError
from edge.ports import PoseFrame


class BrokenSink(ListSink):
    def open(self) -> None:
        raise UnavailableError("/nowhere: cannot be written")


class LostSink(ListSink):
    def write(self, result: PoseFrame) -> None:  # noqa: ARG002 - the port's form
        raise UnavailableError("screen: gone")


class BuggySink(ListSink):
    def write(self, result: PoseFrame) -> None:
        raise ZeroDivisionError(result.frame.index)


def test_a_slow_sink_gets_the_newest_result_and_never_blocks() -> None:
    gate = threading.Event()
    sink = ListSink(gate=gate)
    output = SinkThread(sink, waits=False)
    output.start()
    for index in range(50):
        output.offer(result(index=index))
    gate.set()
    assert output.drain(2)
    indices = [each.frame.index for each in sink.results]
    assert indices[-1] == 49
    assert output.dropped == 50 - len(indices) > 40


def test_a_sink_that_hangs_at_the_end_takes_nothing_from_the_others() -> None:
    gate = threading.Event()
    hung, good = ListSink(gate=gate), ListSink()
    outputs = [SinkThread(hung, waits=False), SinkThread(good, waits=False)]
    for output in outputs:
        output.start()
        output.offer(result(index=7))
    drain(outputs, 0.2)
    eventually(lambda: not outputs[1]._thread.is_alive())  # asked to finish with the other one, not after it
    for output in outputs:
        output.close()
    assert [each.frame.index for each in good.results] == [7]
    assert good.closed
    assert not hung.closed
    gate.set()
    assert outputs[0].drain(2)


def test_unpaced_a_lossless_sink_gets_every_result() -> None:
    (output,) = open_sinks([sink := ListSink(lossless=True)], paced=False)
    output.start()
    for index in range(200):
        output.offer(result(index=index))
    assert output.drain(2)
    output.close()
    assert [each.frame.index for each in sink.results] == list(range(200))
    assert sink.closed


def test_an_output_that_cannot_work_is_left_out_with_a_warning_while_another_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outputs = open_sinks([BrokenSink(), good := ListSink()], paced=True)
    assert [output.sink for output in outputs] == [good]
    assert "/nowhere: cannot be written; this output is left out" in caplog.text


def test_a_run_without_a_working_output_is_refused() -> None:
    with pytest.raises(UnavailableError, match="cannot be written"):
        open_sinks([BrokenSink()], paced=True)


def test_a_bug_in_a_sink_costs_this_output_only(caplog: pytest.LogCaptureFixture) -> None:
    output = SinkThread(BuggySink(), waits=True)
    output.start()
    with caplog.at_level(logging.ERROR):
        output.offer(result(index=1))
        assert output.drain(2)
    output.offer(result(index=2))  # no thread takes it, no caller waits
    assert output.failure is not None
    assert "the run goes on" in caplog.text


def test_an_output_that_is_lost_for_good_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    output = SinkThread(LostSink(), waits=False)
    output.start()
    output.offer(result(index=1))
    assert output.drain(2)
    assert output.failure is not None
    (record,) = caplog.records
    assert record.getMessage() == "screen: gone; the run goes on without it"
    assert record.exc_info is None


class OwnThreadSink:
    """A sink that never blocks; it drops every second result, and fails after `left` of them."""

    name = "own"
    wants_image = False
    blocks: Literal[False] = False

    def __init__(self, left: int = 100, error: Exception | None = None) -> None:
        self.threads: set[int] = set()
        self.dropped = 0
        self.closed = False
        self._left = left
        self._error = error

    def open(self) -> None:
        pass

    def write(self, result: PoseFrame) -> None:
        self.threads.add(threading.get_ident())
        self.dropped += result.frame.index % 2
        self._left -= 1
        if self._left < 0 and self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed = True


def test_a_sink_with_a_thread_of_its_own_is_called_directly_and_counts_its_drops_itself() -> None:
    (output,) = open_sinks([sink := OwnThreadSink()], paced=False)
    assert isinstance(output, DirectSink)
    output.start()
    for index in range(10):
        output.offer(result(index=index))
    assert sink.threads == {threading.get_ident()}
    assert output.dropped == sink.dropped == 5
    drain([output], 2)
    output.offer(result(index=11))  # too late: nothing comes after the drain
    assert output.dropped == 5
    output.close()
    assert sink.closed


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UnavailableError("screen: gone"), "screen: gone; the run goes on without it"),
        (ZeroDivisionError("oops"), "output own failed and is closed; the run goes on"),
    ],
)
@pytest.mark.parametrize("is_direct", [False, True])
def test_a_failure_of_a_sink_is_logged_once_and_never_reaches_the_flow(
    error: Exception, line: str, caplog: pytest.LogCaptureFixture, *, is_direct: bool
) -> None:
    class FailingSink(ListSink):
        name = "own"

        def write(self, result: PoseFrame) -> None:  # noqa: ARG002 - the port's form
            raise error

    output: OpenSink = DirectSink(OwnThreadSink(0, error)) if is_direct else SinkThread(FailingSink(), waits=True)
    output.start()
    for index in range(3):
        output.offer(result(index=index))
    assert output.drain(2)
    assert output.failure is error
    assert [record.getMessage() for record in caplog.records] == [line]
