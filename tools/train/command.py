"""The `train` command, from the command line to the exit code."""

import contextlib
import itertools
import sys
from collections.abc import Sequence
from typing import Any

from edge.errors import ModelError
from edge.models.files import ResolvedModel
from tools.command_line import exit_code
from tools.progress import ProgressBar
from tools.train.arguments import parse
from tools.train.options import Options
from tools.train.pytorch import default_workers, load_torch, pick_device, pick_precision
from tools.train.run.folder import TrainingFolder
from tools.train.run.signals import Signals, Stopped

__all__ = ["main"]

WARMUP_SHARE = 10
"""A short training has no time for a long warm-up."""
BATCHES, SIZE = 8, 16
"""Pictures whose statistics unfold the normalization of a model to begin with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with Signals() as signals:
            return exit_code("train", lambda: _run(parse(words), signals), debug="--debug" in words)
    except Stopped as stopped:
        _say("stopped; what was done so far is kept: the same command goes on from there")
        return stopped.code


def _run(options: Options, signals: Signals) -> None:
    # PyTorch, OpenCV and the rest take seconds to import, which `--help` and a wrong flag need not wait for.
    torch = load_torch()
    import cv2  # noqa: PLC0415

    cv2.setNumThreads(1)  # the workers are the threads
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = TrainingFolder(options.output)
    with folder.held():
        trainer = _trainer(options, folder)
        if trainer.step >= options.steps:
            _say(f"{trainer.step} steps of {options.steps} are done: nothing is left to learn")
        if trainer.step >= options.steps and not options.exports:
            return
        beginning = _beginning(options, trainer)
        teacher = _teacher(options)
        shares = _shares(options, folder, teacher, signals)
        if beginning is not None:
            _begin(options, trainer, beginning, shares)
        if trainer.step < options.steps:
            _learn(options, folder, trainer, _batches(options, shares, teacher, trainer.step), signals)
        if options.exports:
            _export(options, folder, trainer, shares)


def _trainer(options: Options, folder: TrainingFolder) -> Any:
    """Return the trainer, resumed from a checkpoint if any. Raises EdgeError."""
    from tools.train.model.network import NETWORKS  # noqa: PLC0415
    from tools.train.run.checkpoint import load_checkpoint  # noqa: PLC0415
    from tools.train.run.loop import MAX_WARMUP, Recipe, Trainer  # noqa: PLC0415

    device = pick_device(options.device)
    recipe = Recipe(
        steps=options.steps,
        rate=options.rate,
        warmup=min(MAX_WARMUP, options.steps // WARMUP_SHARE),
        soft=options.soft,
        bfloat16=pick_precision(options.precision, device),
        inputs=options.inputs,
    )
    load_torch().manual_seed(options.seed)
    trainer = Trainer(NETWORKS[options.network], recipe, device)
    if folder.checkpoint.exists():
        try:
            checkpoint = load_checkpoint(folder.checkpoint)
            trainer.resume(checkpoint)
        except ModelError as error:
            text = str(error).removeprefix(f"{folder.checkpoint}: ")
            raise ModelError(
                f"{folder.checkpoint}: {text}: name another --output, or remove it to start over"
            ) from error
        _say(f"{folder.checkpoint}: goes on from step {trainer.step} of {options.steps}")
        for change in recipe.changes(checkpoint.recipe) if trainer.step < options.steps else ():
            _say(f"from here on it learns otherwise: {change}")
    return trainer


def _beginning(options: Options, trainer: Any) -> Any | None:
    """Return the network that a new training begins with; None for random weights. Raises EdgeError."""
    from tools.train.model.begin import read_weights  # noqa: PLC0415
    from tools.train.model.network import PoseNetwork  # noqa: PLC0415

    if options.begin_with is None or trainer.step:
        return None
    network = PoseNetwork(trainer.network.shape)
    read_weights(options.begin_with, network)
    return network


def _begin(options: Options, trainer: Any, network: Any, shares: Sequence[Any]) -> None:
    """Give the trainer a model's weights. Raises EdgeError."""
    from tools.train.data.batches import Batches  # noqa: PLC0415
    from tools.train.model.begin import unfold_normalization  # noqa: PLC0415

    with contextlib.closing(Batches(shares, size=SIZE, side=options.side, seed=options.seed + 2)) as batches:
        unfold_normalization(network, itertools.islice(batches, BATCHES))
    trainer.begin(network)
    _say(f"begins with the weights of {options.begin_with}")


def _teacher(options: Options) -> ResolvedModel | None:
    """Return the teacher, checked before hours of labelling. Raises EdgeError."""
    from tools.train.teacher.heads_model import find_model, load_heads  # noqa: PLC0415

    if options.teacher is None:
        return None
    teacher = find_model(options.teacher)
    load_heads(teacher, side=options.side if options.soft else None)
    return teacher


def _shares(options: Options, folder: TrainingFolder, teacher: ResolvedModel | None, signals: Signals) -> Sequence[Any]:
    """Open what is learned from. Raises EdgeError and Stopped."""
    from tools.train.sources import open_shares  # noqa: PLC0415

    bar = ProgressBar()

    def progress(done: int, total: int, what: str) -> None:
        signals.check()
        bar(done, total, what)

    with signals.deferred():  # a picture is labelled whole, or not at all
        return open_shares(options, folder, teacher, progress)


def _batches(options: Options, shares: Sequence[Any], teacher: ResolvedModel | None, first: int) -> Any:
    """Return the batches from number `first` on."""
    from tools.train.data.batches import Batches  # noqa: PLC0415
    from tools.train.teacher.distillation import SoftTeacher  # noqa: PLC0415
    from tools.train.teacher.heads_model import load_heads  # noqa: PLC0415

    return Batches(
        shares,
        size=options.batch,
        side=options.side,
        seed=options.seed,
        first=first,
        workers=options.workers or default_workers(),
        mapper=SoftTeacher(lambda: load_heads(teacher, side=options.side)) if teacher and options.soft else None,
    )


def _learn(options: Options, folder: TrainingFolder, trainer: Any, batches: Any, signals: Signals) -> None:
    """Train to the last step. Raises EdgeError and Stopped."""
    from tools.train.run.session import Session  # noqa: PLC0415

    Session(trainer, batches, folder, signals, stream=sys.stderr, every_s=options.every_s, size=options.batch).run()


def _export(options: Options, folder: TrainingFolder, trainer: Any, shares: Sequence[Any]) -> None:
    """Make the TFLite files of what was learned. Raises EdgeError."""
    from tools.train.model.export import export_models  # noqa: PLC0415
    from tools.train.model.finalize import with_calibrated_scores  # noqa: PLC0415

    progress = ProgressBar()
    network = with_calibrated_scores(
        trainer.average, shares, side=options.side, seed=options.seed, on_progress=progress
    )
    made = export_models(
        network,
        folder.path,
        size=options.size,
        calibration=options.calibration,
        name=options.name,
        origin=f"tools/train, {trainer.step} steps",
        on_progress=progress,
    )
    print(f"{made.float_file}\n{made.int8_file}", flush=True)


def _say(text: str) -> None:
    print(f"train: {text}", file=sys.stderr, flush=True)
