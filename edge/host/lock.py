"""A lock between processes: one fetches a model, the others wait for it."""

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

__all__ = ["locked"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: Path, name: str) -> Iterator[None]:
    """Hold a lock that the system lets go of when the process dies; its file stays, empty.

    Args:
        path: of the lock's file.
        name: of the model, for the log.

    Raises:
        OSError: the file cannot be made.
    """
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("model %s: another process is fetching it: waiting for that", name)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
