"""Fetches the default model while a service runs on the starter.

A stop never waits for it: a partial download is resumed by the next run.
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
"""How many different reasons are logged as warnings; more come only from servers that put random text into them."""
DOWNLOAD_LOGGERS = ("edge.models.", "edge.download.")

log = logging.getLogger(__name__)


class ModelWatch:
    """Retries, on its own thread, until the default is in the cache and usable.

    Args:
        config: of the run; it names no model.
        on_available: called once, on this thread, when the next start will take the default.
        reason: why the start could not get it; after an error that is not transient it is seldom tried.
        environ: names mirror and cache.
        policy: when to try.
        wait: waits for a number of seconds; returns True if the watch was stopped. None: real time.
    """

    def __init__(
        self,
        config: ModelConfig,
        on_available: Callable[[], None],
        *,
        reason: UnavailableError,
        environ: Mapping[str, str] = os.environ,
        policy: RetryPolicy = RETRY_POLICY,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._on_available = on_available
        self._environ = environ
        self._policy = policy
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._reason = reason
        self._reasons = {_kind(str(reason))}

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self.work, name="model-watch", daemon=True).start()

    def stop(self) -> None:
        """Try no more and make no call; does not wait for a running try."""
        self._stopping.set()

    def work(self) -> None:
        """Try until the default is in the cache, or until `stop`."""
        backoff = Backoff(min_s=self._policy.first_s, max_s=self._policy.max_s, growth=2, draw=None)
        pause_s = self._pause_s(self._reason, backoff.next_s())
        while not self._wait(pause_s):
            growing_s = backoff.next_s()
            try:
                with quiet_downloads():
                    choice = self._fetch_and_find()
            except Exception as error:  # noqa: BLE001 - a bug must not end the retries
                pause_s = self._pause_s(error, growing_s)
                self._log_failure(error, pause_s)
                continue
            if self._is_usable(choice) and not self._stopping.is_set():
                self._on_available()
            return

    def _pause_s(self, error: Exception, growing_s: float) -> float:
        """Return how long to wait after a failure."""
        can_pass = isinstance(error, UnavailableError) and is_transient(error, self._environ)
        return growing_s if can_pass else self._policy.permanent_error_s

    def _fetch_and_find(self) -> Choice:
        """Fetch the default, then find it as the next start will, without fetching. Raises EdgeError."""
        find_requested(self._config, self._environ, fetch=_fetch_silently)
        return find_requested(self._config, self._environ, fetch=None)

    def _is_usable(self, choice: Choice) -> bool:
        """Return whether the default loads, else log why not; the run goes on with the starter."""
        try:
            _check(choice, self._config)
        except EdgeError as error:
            text = "the default model is here and cannot be used, the service stays with the starter: %s"
            log.error(text, error)  # noqa: TRY400
            return False
        return True

    def _log_failure(self, error: Exception, pause_s: float) -> None:
        """Log a new reason as a warning; the others for debugging, as the same one repeats during an outage."""
        kind = _kind(str(error))
        is_new = kind not in self._reasons and len(self._reasons) < MAX_REASONS
        self._reasons |= {kind} if is_new else set()
        level = logging.WARNING if is_new else logging.DEBUG
        log.log(level, "still no default model, next try in %g s: %s", pause_s, error)


def _check(choice: Choice, config: ModelConfig) -> None:
    """Load the model as a start does, and release it. Raises EdgeError."""
    model = choice.model
    if model.entry is not None and model.entry.delegate == "edgetpu":
        return  # only a separate process may load it; a start that fails takes the starter again, and keeps it
    from edge.engine.litert import LiteRtEngine  # noqa: PLC0415 - a vendor's library

    engine = LiteRtEngine(model.path, name=model.name, threads=config.threads)
    is_dynamic = engine.is_dynamic
    engine.close()
    if not is_dynamic:  # a dynamic model takes every size, and making one here would hold up the flow
        size = parse_size(config.size)
        LiteRtEngine(model.path, name=model.name, threads=config.threads, input_size=size).close()


def _fetch_silently(entry: ModelEntry, where: Places) -> Path:
    return Fetcher(where).fetch(entry)


def _kind(reason: str) -> str:
    """Return a reason without its numbers, as the progress of a download differs every time."""
    return re.sub(r"\d+", "", reason)


class _DebugOnly(logging.Filter):
    """Drops the records of one thread unless debugging is on."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged; called on the thread that logs it."""
        return record.thread != self._thread or log.isEnabledFor(logging.DEBUG)


@contextmanager
def quiet_downloads() -> Iterator[None]:
    """Drop the downloader's log records of this thread unless debugging is on.

    The caller logs the reason of a failure itself, and how often.
    """
    debug_only = _DebugOnly()
    known = list(logging.Logger.manager.loggerDict.items())  # each gets the filter: filters are not inherited
    chosen = [logger for name, logger in known if name.startswith(DOWNLOAD_LOGGERS)]
    loggers = [logger for logger in chosen if isinstance(logger, logging.Logger)]
    for logger in loggers:
        logger.addFilter(debug_only)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(debug_only)
