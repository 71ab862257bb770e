"""The folder of a training, locked by one training at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from edge.errors import UnavailableError

__all__ = ["TrainingFolder"]


class TrainingFolder:
    """A folder for a training's files.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.log = path / "log.jsonl"
        self.curve = path / "curve.png"
        self.diverged = path / "diverged.txt"

    def labels(self, number: int) -> Path:
        """Return the file for a teacher's labels of source `number` (1, 2, ...)."""
        return self.path / f"labels_{number}.json"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep others from training in it.

        Raises:
            UnavailableError: there can be no such folder, or another training is at work there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            why = "is no folder" if self.path.exists() and not self.path.is_dir() else f"{error.strerror}"
            raise UnavailableError(f"--output {self.path}: {why}: name another folder") from error
        try:
            self._lock(handle)
            self._clear()
            yield
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(
                f"--output {self.path}: another training is at work there: wait for it, or name another folder"
            ) from None
        except OSError:
            return  # a file system without locks

    def _clear(self) -> None:
        """Remove partial files of a killed training.

        See `edge.host.atomic_write.write_whole`.
        """
        for part in self.path.glob(".*.new"):
            with contextlib.suppress(OSError):
                part.unlink()
