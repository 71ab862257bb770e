"""Every sink behind a mailbox and a thread of its own, so that none can slow the flow or end it."""

import logging
import threading
import time
from collections.abc import Sequence

from edge.errors import UnavailableError
from edge.mailbox import Mailbox
from edge.ports import PoseFrame, Sink

__all__ = ["Outlet", "drain", "open_outlets"]

log = logging.getLogger(__name__)


class Outlet:
    """One sink on its own thread.

    Args:
        sink: already open.
        waits: True when every result has to arrive (`--no-pace` and a file output).
    """

    def __init__(self, sink: Sink, *, waits: bool) -> None:
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
    def failed(self) -> bool:
        """True once the sink takes nothing more."""
        return self.failure is not None

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
        except UnavailableError as error:
            self._fail(error)
            log.warning("%s; the run goes on without it", error)
        except Exception as error:
            # A sink keeps its own faults to itself; what comes here is our bug, and costs this output only.
            self._fail(error)
            log.exception("output %s failed and is closed; the run goes on", self.sink.name)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._results.close()


def drain(outlets: Sequence[Outlet], timeout_s: float) -> None:
    """Let all sinks finish what they have at the same time, so that one that hangs takes nothing from the others."""
    for outlet in outlets:
        outlet.finish()
    deadline_s = time.monotonic() + timeout_s
    for outlet in outlets:
        outlet.drain(max(deadline_s - time.monotonic(), 0))


def open_outlets(sinks: list[Sink], *, paced: bool) -> list[Outlet]:
    """Open every sink; one that cannot work is left out with a warning while another works.

    Raises:
        UnavailableError: none of them can work.
    """
    outlets: list[Outlet] = []
    failures: list[UnavailableError] = []
    for sink in sinks:
        try:
            sink.open()
        except UnavailableError as error:
            failures.append(error)
        else:
            outlets.append(Outlet(sink, waits=sink.lossless and not paced))
    if failures and not outlets:
        raise UnavailableError("; ".join(str(failure) for failure in failures))
    for failure in failures:
        log.warning("%s; this output is left out", failure)
    return outlets
