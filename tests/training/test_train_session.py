"""A run keeps what it has learned, whatever ends it."""

import io
import itertools
import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge.errors import InputError, UnavailableError
from tools.train.data.batch import Batch
from tools.train.data.coco import read_image
from tools.train.run.checkpoint import load_checkpoint
from tools.train.run.folder import TrainingFolder
from tools.train.run.history import History
from tools.train.run.loop import DivergedError, Trainer
from tools.train.run.session import Feed, Session
from tools.train.run.signals import Signals, Stopped
from training.small import batches, trainer


class Line:
    """The same batch again and again; `events` happen before the batch of their number."""

    def __init__(self, events: dict[int, Callable[[], object]] | None = None) -> None:
        made = batches()
        self._batch = made.make(0)
        made.close()
        self._events = events or {}
        self.is_closed = False

    def __iter__(self) -> Iterator[Batch]:
        for number in itertools.count():
            self._events.get(number, lambda: None)()
            yield self._batch

    def close(self) -> None:
        self.is_closed = True


def session(learner: Trainer, feed: Feed, path: Path, signals: Signals | None = None, every_s: float = 1e9) -> Session:
    ticks = itertools.count(0.0, 1.0)
    return Session(
        learner,
        feed,
        TrainingFolder(path),
        signals or Signals(),
        stream=io.StringIO(),
        every_s=every_s,
        size=2,
        clock=lambda: next(ticks),
    )


def fail(error: Exception) -> Callable[[], object]:
    def raise_it() -> None:
        raise error

    return raise_it


def test_a_run_to_the_end_leaves_checkpoint_log_and_curve(tmp_path: Path) -> None:
    learner, feed = trainer(7), Line()
    session(learner, feed, tmp_path).run()
    assert feed.is_closed
    assert load_checkpoint(tmp_path / "checkpoint.pt").step == 7
    rows = History(tmp_path / "log.jsonl", 99).rows
    assert [row["step"] for row in rows] == list(range(1, 8))
    assert set(rows[0]) >= {"loss", "center", "heatmap", "regression", "offset", "rate", "pictures_per_s"}
    assert read_image(tmp_path / "curve.png").shape[:2] == (360, 640)  # of 540 x 960, as all large pictures


def test_a_signal_ends_it_after_the_step_and_all_is_kept(tmp_path: Path) -> None:
    with Signals() as signals:
        feed = Line({3: lambda: os.kill(os.getpid(), signal.SIGTERM)})
        with pytest.raises(Stopped) as caught:
            session(trainer(50), feed, tmp_path, signals).run()
    assert caught.value.code == 143
    assert load_checkpoint(tmp_path / "checkpoint.pt").step == 4
    assert feed.is_closed


def test_checkpoints_come_as_time_goes_by(tmp_path: Path) -> None:
    seen: list[int] = []

    def look() -> None:
        path = tmp_path / "checkpoint.pt"
        seen.append(load_checkpoint(path).step if path.exists() else 0)

    session(trainer(12), Line(dict.fromkeys(range(12), look)), tmp_path, every_s=5.0).run()
    assert seen[0] == 0
    assert len(set(seen)) > 3
    assert all(step - kept <= 4 for step, kept in enumerate(seen))


def test_when_the_pictures_are_gone_what_was_learned_is_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the share is gone"):
        session(trainer(50), Line({5: fail(InputError("the share is gone"))}), tmp_path).run()
    assert load_checkpoint(tmp_path / "checkpoint.pt").step == 5


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    feed = Line()
    bad = replace(feed._batch, seeds=torch.full_like(feed._batch.seeds, float("nan")))

    class Spoiled(Line):
        def __iter__(self) -> Iterator[Batch]:
            yield from itertools.islice(super().__iter__(), 6)
            yield bad

    with pytest.raises(DivergedError) as caught:
        session(trainer(50), Spoiled(), tmp_path, every_s=5.0).run()
    message = str(caught.value)
    assert message.startswith("batch 6: the loss or its gradient is no number (")
    assert f"its 2 pictures are in {tmp_path / 'diverged.txt'} ({'; '.join(bad.names)})" in message
    assert (tmp_path / "diverged.txt").read_text().splitlines() == list(bad.names)
    kept = load_checkpoint(tmp_path / "checkpoint.pt")
    assert 3 <= kept.step < 6
    assert f"the checkpoint is that of step {kept.step}" in message
    assert all(torch.isfinite(value).all() for value in kept.weights.values())


def test_a_full_disk_is_told_once_and_the_training_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.mkdir()  # nothing can be written there
    with caplog.at_level(logging.WARNING):
        session(trainer(30), Line({20: checkpoint.rmdir}), tmp_path, every_s=5.0).run()
    assert load_checkpoint(checkpoint).step == 30
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert told[0].endswith("the training goes on, the checkpoint is that of step 0")


def test_a_disk_that_is_still_full_at_the_end_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").mkdir()
    with pytest.raises(UnavailableError):
        session(trainer(3), Line(), tmp_path).run()


def test_the_log_goes_on_where_the_checkpoint_is(tmp_path: Path) -> None:
    session(trainer(4), Line(), tmp_path).run()
    again = trainer(6)
    again.resume(load_checkpoint(tmp_path / "checkpoint.pt"))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "loss": 99.0}\n{"step"')  # learned, and lost with a kill
    session(again, Line(), tmp_path).run()
    rows = History(tmp_path / "log.jsonl", 99).rows
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[4]["loss"] < 99
