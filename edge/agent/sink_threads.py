"""Hands results to the sinks; none can slow or end the flow."""

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
    """Writes to a blocking sink, on a thread behind a mailbox.

    Args:
        sink: already open.
        waits: True if no result may be dropped (`--no-pace` and a file output).

    Attributes:
        failure: what ended the sink; None while it works.
        delivered: results that it has written.
    """

    def __init__(self, sink: BlockingSink, *, waits: bool) -> None:
        self.sink = sink
        self.waits = waits
        self._results: Mailbox[PoseFrame] = Mailbox(waits=waits)
        self._thread = threading.Thread(target=self._run, name=sink.name, daemon=True)
        self.failure: Exception | None = None
        self.delivered = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, result: PoseFrame) -> None:
        """Leave a result; the sink takes the newest one."""
        self._results.put(result)

    @property
    def dropped(self) -> int:
        """Results replaced by a newer one before the sink was free."""
        return self._results.dropped

    def finish(self) -> None:
        """Accept no more results; the sink goes on with those it has."""
        self._results.close()

    def drain(self, timeout_s: float) -> bool:
        """Let the sink finish its results; False if it hangs."""
        self.finish()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Close a drained sink; one that hangs is abandoned."""
        if self._thread.is_alive():
            log.warning("output %s hangs; it is left behind", self.sink.name)
        else:
            self.sink.close()

    def _run(self) -> None:
        try:
            for result in self._results:
                self.sink.write(result)
                self.delivered += 1
                del result
        except Exception as error:  # noqa: BLE001 - logged, and costs this output only
            self.failure = error
            self._results.close()
            _log_failure(self.sink, error)


class DirectSink:
    """Writes to a sink that never blocks, on the flow's thread.

    The sink has a thread and a mailbox itself.

    Args:
        sink: already open.
    """

    waits = False

    def __init__(self, sink: NonBlockingSink) -> None:
        self.sink = sink
        self.failure: Exception | None = None
        self._finished = False
        self._offered = self._lost = 0

    def start(self) -> None:
        """Do nothing: its thread runs since `open`."""

    def offer(self, result: PoseFrame) -> None:
        """Hand over a result."""
        if self._finished:
            return
        if self.failure is not None:
            self._lost += 1
            return
        try:
            self.sink.write(result)
            self._offered += 1
        except Exception as error:  # noqa: BLE001 - logged, and costs this output only
            self.failure = error
            self._lost += 1
            _log_failure(self.sink, error)

    @property
    def dropped(self) -> int:
        """Results that the sink dropped, or that came after its end."""
        return self.sink.dropped + self._lost

    @property
    def delivered(self) -> int:
        """Results that it has written; exact once it is closed."""
        return max(self._offered - self.sink.dropped, 0)

    def finish(self) -> None:
        """Accept no more results."""
        self._finished = True

    def drain(self, timeout_s: float) -> bool:  # noqa: ARG002 - as a SinkThread
        """Accept no more results; `close` finishes the rest."""
        self.finish()
        return True

    def close(self) -> None:
        """Close the sink."""
        self.sink.close()


OpenSink = SinkThread | DirectSink


def drain(sinks: Sequence[OpenSink], timeout_s: float) -> None:
    """Let all sinks finish at the same time.

    One that hangs takes no time from the others.
    """
    for sink in sinks:
        sink.finish()
    deadline_s = time.monotonic() + timeout_s
    for sink in sinks:
        sink.drain(max(deadline_s - time.monotonic(), 0))


def open_sinks(sinks: Sequence[Sink], *, paced: bool) -> list[OpenSink]:
    """Open every sink; leave out, with a warning, those that cannot work.

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
        # Sinks handle their own faults; any other exception is a bug.
        log.error("output %s failed and is closed; the run goes on", sink.name, exc_info=error)
