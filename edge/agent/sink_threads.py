"""Hands results to the sinks, so that none can slow the flow or end it."""

import logging
import threading
import time
from collections.abc import Sequence

from edge.errors import UnavailableError
from edge.mailbox import Mailbox
from edge.ports import BlockingSink, NonBlockingSink, PoseFrame, Sink

__all__ = ["DirectSink", "OpenSink", "SinkThread", "drain", "open_sinks"]

log = logging.getLogger(__name__)


class SinkThread:
    """Writes to a blocking sink, on a thread of its own behind a mailbox.

    Args:
        sink: already open.
        waits: True when every result has to arrive (`--no-pace` and a file output).
    """

    def __init__(self, sink: BlockingSink, *, waits: bool) -> None:
        self.sink = sink
        self.waits = waits
        self._results: Mailbox[PoseFrame] = Mailbox(waits=waits)
        self._thread = threading.Thread(target=self._run, name=sink.name, daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def offer(self, result: PoseFrame) -> None:
        """Leave a result; the sink takes the newest when it is free."""
        self._results.put(result)

    @property
    def dropped(self) -> int:
        """Results that a newer one replaced before the sink was free."""
        return self._results.dropped

    def finish(self) -> None:
        """Take nothing more; the sink goes on with what it has."""
        self._results.close()

    def drain(self, timeout_s: float) -> bool:
        """Let the sink finish what it has; False when it hangs."""
        self.finish()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Close a drained sink; one that hangs is left behind."""
        if self._thread.is_alive():
            log.warning("output %s hangs; it is left behind", self.sink.name)
        else:
            self.sink.close()

    def _run(self) -> None:
        try:
            for result in self._results:
                self.sink.write(result)
                del result
        except Exception as error:  # noqa: BLE001 - logged, and costs this output only
            self.failure = error
            self._results.close()
            _log_failure(self.sink, error)


class DirectSink:
    """Writes to a sink that never blocks, on the flow's thread: the sink has a thread and a mailbox of its own.

    Args:
        sink: already open.
    """

    waits = False

    def __init__(self, sink: NonBlockingSink) -> None:
        self.sink = sink
        self.failure: Exception | None = None
        self._finished = False

    def start(self) -> None:
        """Do nothing: its thread runs since it was opened."""

    def offer(self, result: PoseFrame) -> None:
        """Hand over a result."""
        if self.failure is not None or self._finished:
            return
        try:
            self.sink.write(result)
        except Exception as error:  # noqa: BLE001 - logged, and costs this output only
            self.failure = error
            _log_failure(self.sink, error)

    @property
    def dropped(self) -> int:
        """Results that the sink took and dropped."""
        return self.sink.dropped

    def finish(self) -> None:
        """Take nothing more."""
        self._finished = True

    def drain(self, timeout_s: float) -> bool:  # noqa: ARG002 - as a SinkThread
        """Take nothing more; what is left the sink finishes in its `close`."""
        self.finish()
        return True

    def close(self) -> None:
        """Close the sink."""
        self.sink.close()


OpenSink = SinkThread | DirectSink


def drain(sinks: Sequence[OpenSink], timeout_s: float) -> None:
    """Let all sinks finish what they have at the same time, so that one that hangs takes nothing from the others."""
    for sink in sinks:
        sink.finish()
    deadline_s = time.monotonic() + timeout_s
    for sink in sinks:
        sink.drain(max(deadline_s - time.monotonic(), 0))


def open_sinks(sinks: Sequence[Sink], *, paced: bool) -> list[OpenSink]:
    """Open every sink; one that cannot work is left out with a warning while another works.

    Raises:
        UnavailableError: none of them can work.
    """
    opened: list[OpenSink] = []
    failures: list[UnavailableError] = []
    for sink in sinks:
        try:
            sink.open()
        except UnavailableError as error:
            failures.append(error)
        else:
            opened.append(SinkThread(sink, waits=sink.lossless and not paced) if sink.blocks else DirectSink(sink))
    if failures and not opened:
        raise UnavailableError("; ".join(str(failure) for failure in failures))
    for failure in failures:
        log.warning("%s; this output is left out", failure)
    return opened


def _log_failure(sink: Sink, error: Exception) -> None:
    if isinstance(error, UnavailableError):
        log.warning("%s; the run goes on without it", error)
    else:
        # A sink keeps its own faults to itself; what comes here is our bug.
        log.error("output %s failed and is closed; the run goes on", sink.name, exc_info=error)
