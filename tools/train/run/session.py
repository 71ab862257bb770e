"""One run of a training, from its checkpoint to its last step."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

from edge.errors import EdgeError, UnavailableError
from edge.host.atomic_write import write_whole
from tools.plot import to_png
from tools.train.data.batch import Batch
from tools.train.run.checkpoint import save_checkpoint
from tools.train.run.curve import draw_curve
from tools.train.run.folder import TrainingFolder
from tools.train.run.history import History
from tools.train.run.loop import DivergedError, Trainer
from tools.train.run.progress import Bar
from tools.train.run.signals import Signals

__all__ = ["Feed", "Session"]

log = logging.getLogger(__name__)

MAX_ROW_STEPS = 50
ROWS = 40
"""Least number of rows in the log of a short training."""
NAMED = 4
"""Pictures of a bad batch named in the message; all are in a file."""


class Feed(Protocol):
    """Source of batches: `train.data.batches.Batches`."""

    def __iter__(self) -> Iterator[Batch]:
        """Yield one batch after the other, for ever."""
        ...

    def close(self) -> None:
        """Make no more."""
        ...


class Session:
    """Runs a trainer to its last step, keeping checkpoint, log and curve.

    Args:
        trainer: fresh, or resumed.
        batches: those from `trainer.step` on.
        folder: where things are kept.
        signals: end the training early.
        stream: for the progress.
        every_s: seconds from one checkpoint to the next.
        size: pictures in a batch.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        trainer: Trainer,
        batches: Feed,
        folder: TrainingFolder,
        signals: Signals,
        *,
        stream: TextIO,
        every_s: float,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trainer, self._batches, self._folder, self._signals = trainer, batches, folder, signals
        self._clock, self._every_s = clock, every_s
        self._history = History(folder.log, trainer.step)
        self._bar = Bar(stream, first=trainer.step, steps=trainer.recipe.steps, size=size, time_s=clock())
        self._row_steps = max(1, min(MAX_ROW_STEPS, trainer.recipe.steps // ROWS))
        self._kept_s = clock()
        self._kept_step = trainer.step
        self._is_full = False

    def run(self) -> None:
        """Learn until the last step, or a signal.

        Raises:
            Stopped: a signal came; all that was learned is kept.
            DivergedError: the loss is no number; the checkpoint is the last good one.
            UnavailableError: at the end, what was learned cannot be written.
            InputError: no picture can be read any more; all that was learned is kept.
        """
        with self._signals.deferred(), contextlib.closing(self._batches):
            try:
                self._learn_all()
            except DivergedError as error:
                raise self._with_advice(error) from error
            except EdgeError:
                self._save()
                raise
            finally:
                self._bar.end()
            self._save()

    def _learn_all(self) -> None:
        for batch in self._batches:
            self._learn(batch)
            if self._trainer.step >= self._trainer.recipe.steps or self._signals.received:
                return
            if self._clock() - self._kept_s >= self._every_s:
                self._save_or_warn()

    def _learn(self, batch: Batch) -> None:
        rate = self._trainer.rate
        losses = self._trainer.learn(batch)
        now_s, step = self._clock(), self._trainer.step
        self._bar.step(step, losses["loss"], now_s)
        self._history.add(losses)
        if step % self._row_steps == 0:
            self._history.end_row(step, rate=rate, pictures_per_s=self._bar.pictures_per_s(now_s))

    def _save_or_warn(self) -> None:
        """Write a checkpoint, or log a warning and continue.

        A disk that is full now may have room in a minute.
        """
        self._kept_s = self._clock()
        try:
            self._save()
        except UnavailableError as error:
            if not self._is_full:
                log.warning("%s; the training goes on, the checkpoint is that of step %d", error, self._kept_step)
            self._is_full = True
        else:
            self._is_full = False
        self._bar.line(self._clock())

    def _save(self) -> None:
        """Write checkpoint, log and curve, in this order.

        The log never lacks what the checkpoint has learned.
        """
        if not self._history.is_empty and self._trainer.step >= self._trainer.recipe.steps:
            self._history.end_row(self._trainer.step, rate=self._trainer.rate)
        save_checkpoint(self._folder.checkpoint, self._trainer.checkpoint())
        self._kept_step = self._trainer.step
        self._history.write()
        write_whole(self._folder.curve, to_png(draw_curve(self._history.rows)))

    def _with_advice(self, error: DivergedError) -> DivergedError:
        """Return the error with advice; its pictures' names go to a file."""
        with contextlib.suppress(UnavailableError):  # a full disk has its own warning
            write_whole(self._folder.diverged, "".join(f"{name}\n" for name in error.names).encode())
        shown = "; ".join(error.names[:NAMED]) + ("; …" if len(error.names) > NAMED else "")
        return DivergedError(
            f"{error}; its {len(error.names)} pictures are in {self._folder.diverged} ({shown}); "
            f"the checkpoint is that of step {self._kept_step}: look at them, or go on with a lower --rate",
            error.names,
        )
