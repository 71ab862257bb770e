"""File lock between processes: one fetches a model, the others wait."""

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

__all__ = ["locked"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: Path, name: str) -> Iterator[None]:
    """Hold an exclusive flock(2) on a file.

    The kernel releases it when the process dies; the empty file stays.

    Args:
        path: of the lock file.
        name: of the model, for the log.

    Raises:
        OSError: the file cannot be created.
    """
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("model %s: another process is fetching it: waiting", name)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
