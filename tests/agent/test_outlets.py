import logging
import threading

import pytest

from builders import ListSink, result
from edge.agent.outlets import Outlet, drain, open_outlets
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
    outlet = Outlet(sink, waits=False)
    outlet.start()
    for index in range(50):
        outlet.offer(result(index=index))
    gate.set()
    assert outlet.drain(2)
    indices = [each.frame.index for each in sink.results]
    assert indices[-1] == 49
    assert outlet.dropped == 50 - len(indices) > 40


def test_a_sink_that_hangs_at_the_end_takes_nothing_from_the_others() -> None:
    gate = threading.Event()
    hung, good = ListSink(gate=gate), ListSink()
    outlets = [Outlet(hung, waits=False), Outlet(good, waits=False)]
    for outlet in outlets:
        outlet.start()
        outlet.offer(result(index=7))
    drain(outlets, 0.2)
    for outlet in outlets:
        outlet.close()
    assert [each.frame.index for each in good.results] == [7]
    assert good.closed
    assert not hung.closed
    gate.set()
    assert outlets[0].drain(2)


def test_unpaced_a_lossless_sink_gets_every_result() -> None:
    (outlet,) = open_outlets([sink := ListSink(lossless=True)], paced=False)
    outlet.start()
    for index in range(200):
        outlet.offer(result(index=index))
    assert outlet.drain(2)
    outlet.close()
    assert [each.frame.index for each in sink.results] == list(range(200))
    assert sink.closed


def test_an_output_that_cannot_work_is_left_out_with_a_warning_while_another_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outlets = open_outlets([BrokenSink(), good := ListSink()], paced=True)
    assert [outlet.sink for outlet in outlets] == [good]
    assert "/nowhere: cannot be written; this output is left out" in caplog.text


def test_a_run_without_a_working_output_is_refused() -> None:
    with pytest.raises(UnavailableError, match="cannot be written"):
        open_outlets([BrokenSink()], paced=True)


def test_a_bug_in_a_sink_costs_this_output_only(caplog: pytest.LogCaptureFixture) -> None:
    outlet = Outlet(BuggySink(), waits=True)
    outlet.start()
    with caplog.at_level(logging.ERROR):
        outlet.offer(result(index=1))
        assert outlet.drain(2)
    outlet.offer(result(index=2))  # nobody takes it, nobody waits
    assert outlet.failed
    assert "the run goes on" in caplog.text


def test_an_output_that_is_gone_for_good_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    outlet = Outlet(LostSink(), waits=False)
    outlet.start()
    outlet.offer(result(index=1))
    assert outlet.drain(2)
    assert outlet.failed
    (record,) = caplog.records
    assert record.getMessage() == "screen: gone; the run goes on without it"
    assert record.exc_info is None
