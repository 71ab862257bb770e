"""Tries for the default model while a service runs on the starter, on a thread of its own.

It costs next to nothing while there is nothing to fetch, and a stop never waits for it: what has arrived of a download
stays for the next one.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge.backoff import Backoff
from edge.config.input_size import parse_size
from edge.config.schema import ModelConfig
from edge.errors import EdgeError, UnavailableError
from edge.models.entry import ModelEntry
from edge.models.fetch import Fetcher
from edge.models.places import Places
from edge.models.selection import RETRY_POLICY, Choice, RetryPolicy, find_requested, is_transient

__all__ = ["ModelWatch"]

MAX_REASONS = 20
"""So many different reasons are logged; whoever finds more has servers that invent them."""
TALKERS = ("edge.models.", "edge.download.")

log = logging.getLogger(__name__)


class ModelWatch:
    """Tries again and again until the default is on this machine, and one can be sure that the next start takes it.

    Args:
        config: of the run; it names no model.
        on_here: called once, on the watch's thread, when the default is here.
        reason: why it could not be had at the start; where no network mends that, it is seldom tried for.
        environ: names mirror and cache.
        policy: when to try.
        wait: lets so many seconds pass; True when the watch was stopped meanwhile. None: real time.
    """

    def __init__(
        self,
        config: ModelConfig,
        on_here: Callable[[], None],
        *,
        reason: UnavailableError,
        environ: Mapping[str, str] = os.environ,
        policy: RetryPolicy = RETRY_POLICY,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._on_here = on_here
        self._environ = environ
        self._policy = policy
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._reason = reason
        self._reasons = {_kind(str(reason))}

    def start(self) -> None:
        """Begin in the background."""
        threading.Thread(target=self.work, name="model-watch", daemon=True).start()

    def stop(self) -> None:
        """Try no more, and call nobody; a try that is under way is not waited for."""
        self._stopping.set()

    def work(self) -> None:
        """Try until the default is here, until it cannot be used, or until `stop`."""
        backoff = Backoff(min_s=self._policy.first_s, max_s=self._policy.max_s, growth=2, draw=None)
        pause_s = self._pause_s(self._reason, backoff.next_s())
        while not self._wait(pause_s):
            growing_s = backoff.next_s()
            try:
                with _hushed():
                    choice = self._bring()
            except Exception as error:  # noqa: BLE001 - a bug of ours must not end the trying for good
                pause_s = self._pause_s(error, growing_s)
                self._tell(error, pause_s)
                continue
            if self._is_usable(choice) and not self._stopping.is_set():
                self._on_here()
            return

    def _pause_s(self, error: Exception, growing_s: float) -> float:
        """Return how long to wait after a failure."""
        may_help = isinstance(error, UnavailableError) and is_transient(error, self._environ)
        return growing_s if may_help else self._policy.hopeless_s

    def _bring(self) -> Choice:
        """Bring the default, then find it as the next start will, without fetching. Raises EdgeError."""
        find_requested(self._config, self._environ, fetch=_fetch_silently)
        return find_requested(self._config, self._environ, fetch=None)

    def _is_usable(self, choice: Choice) -> bool:
        """Return whether the default loads, else say what is wrong: a run on the starter is better than none."""
        try:
            _check(choice, self._config)
        except EdgeError as error:
            text = "the default model is here and cannot be used, the service stays with the starter: %s"
            log.error(text, error)  # noqa: TRY400
            return False
        return True

    def _tell(self, error: Exception, pause_s: float) -> None:
        """Log a reason that is new; the same one comes again and again for as long as a network is away."""
        kind = _kind(str(error))
        is_new = kind not in self._reasons and len(self._reasons) < MAX_REASONS
        self._reasons |= {kind} if is_new else set()
        level = logging.WARNING if is_new else logging.DEBUG
        log.log(level, "still no default model, next try in %g s: %s", pause_s, error)


def _check(choice: Choice, config: ModelConfig) -> None:
    """Load the model as a start does, and let go of it. Raises EdgeError."""
    model = choice.model
    if model.entry is not None and model.entry.delegate == "edgetpu":
        return  # only a process of its own may load it; a start that cannot takes the starter again, and stays with it
    from edge.engine.litert import LiteRtEngine  # noqa: PLC0415 - a vendor's library

    engine = LiteRtEngine(model.path, name=model.name, threads=config.threads)
    is_dynamic = engine.is_dynamic
    engine.close()
    if not is_dynamic:  # else every size will do, and the flow had to wait while this one is made
        size = parse_size(config.size)
        LiteRtEngine(model.path, name=model.name, threads=config.threads, input_size=size).close()


def _fetch_silently(entry: ModelEntry, where: Places) -> Path:
    return Fetcher(where).fetch(entry)


def _kind(reason: str) -> str:
    """Return a reason without its numbers: how far a download came is different every time."""
    return re.sub(r"\d+", "", reason)


class _Hush(logging.Filter):
    """Keeps what one thread logs for debugging only."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to let a record through; called on the thread that logs it."""
        return record.thread != self._thread or log.isEnabledFor(logging.DEBUG)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep fetching from telling on this thread what it tells whoever fetches once; the reason of a failure is told."""
    hush = _Hush()
    known = list(logging.Logger.manager.loggerDict.items())  # filters are not inherited
    loggers = [logger for name, logger in known if name.startswith(TALKERS) and isinstance(logger, logging.Logger)]
    for logger in loggers:
        logger.addFilter(hush)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(hush)
