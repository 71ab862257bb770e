"""What `tools/train` does, from the command line to the exit code."""

import sys
from collections.abc import Sequence
from typing import Any

from edge.errors import ModelError
from edge.models.files import ResolvedModel
from tools.command_line import exit_code
from tools.train.arguments import parse
from tools.train.asked import Asked
from tools.train.pytorch import default_workers, load_torch, pick_device, pick_precision
from tools.train.run.folder import TrainingFolder
from tools.train.run.stops import Stopped, Stops

__all__ = ["main"]

WARMUP_SHARE = 10
"""A short training has no time for a long warm-up."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with Stops() as stops:
            return exit_code("train", lambda: _run(parse(words), stops), debug="--debug" in words)
    except Stopped as stopped:
        _say("stopped; what was done so far is kept: the same command goes on from there")
        return stopped.code


def _run(asked: Asked, stops: Stops) -> None:
    # PyTorch, OpenCV and the rest take seconds to import, which `--help` and a wrong flag need not wait for.
    torch = load_torch()
    import cv2  # noqa: PLC0415

    cv2.setNumThreads(1)  # the workers are the threads
    if asked.threads:
        torch.set_num_threads(asked.threads)
    folder = TrainingFolder(asked.output)
    with folder.held():
        trainer = _trainer(asked, folder)
        if trainer.step >= asked.steps:
            _say(f"{trainer.step} steps of {asked.steps} are done: nothing is left to learn")
        if trainer.step >= asked.steps and not asked.exports:
            return
        teacher = _teacher(asked)
        shares = _shares(asked, folder, teacher, stops)
        if trainer.step < asked.steps:
            _learn(asked, folder, trainer, _batches(asked, shares, teacher, trainer.step), stops)
        if asked.exports:
            _export(asked, folder, trainer, shares)


def _trainer(asked: Asked, folder: TrainingFolder) -> Any:
    """Return the trainer, resumed where there is a checkpoint. Raises EdgeError."""
    from tools.train.model.network import NETWORKS  # noqa: PLC0415
    from tools.train.run.checkpoint import load_checkpoint  # noqa: PLC0415
    from tools.train.run.loop import MAX_WARMUP, Recipe, Trainer  # noqa: PLC0415

    device = pick_device(asked.device)
    recipe = Recipe(
        steps=asked.steps,
        rate=asked.rate,
        warmup=min(MAX_WARMUP, asked.steps // WARMUP_SHARE),
        soft=asked.soft,
        bfloat16=pick_precision(asked.precision, device),
        inputs=asked.inputs,
    )
    load_torch().manual_seed(asked.seed)
    trainer = Trainer(NETWORKS[asked.network], recipe, device)
    if folder.checkpoint.exists():
        try:
            checkpoint = load_checkpoint(folder.checkpoint)
            trainer.resume(checkpoint)
        except ModelError as error:
            text = str(error).removeprefix(f"{folder.checkpoint}: ")
            raise ModelError(
                f"{folder.checkpoint}: {text}: name another --output, or remove it to begin anew"
            ) from error
        _say(f"{folder.checkpoint}: goes on from step {trainer.step} of {asked.steps}")
        for change in recipe.changes(checkpoint.recipe) if trainer.step < asked.steps else ():
            _say(f"from here on it learns otherwise: {change}")
    return trainer


def _teacher(asked: Asked) -> ResolvedModel | None:
    """Return the model to learn from; what is wrong with it shows before hours of labelling. Raises EdgeError."""
    from tools.train.teacher.heads_model import find_model, load_heads  # noqa: PLC0415

    if asked.teacher is None:
        return None
    teacher = find_model(asked.teacher)
    load_heads(teacher, side=asked.side if asked.soft else None)
    return teacher


def _shares(asked: Asked, folder: TrainingFolder, teacher: ResolvedModel | None, stops: Stops) -> Sequence[Any]:
    """Open what is learned from. Raises EdgeError and Stopped."""
    from tools.train.sources import open_shares  # noqa: PLC0415

    def progress(done: int, total: int, what: str) -> None:
        stops.check()
        _progress(done, total, what)

    with stops.postponed():  # a picture is labelled whole, or not at all
        return open_shares(asked, folder, teacher, progress)


def _batches(asked: Asked, shares: Sequence[Any], teacher: ResolvedModel | None, first: int) -> Any:
    """Return the batches from number `first` on."""
    from tools.train.data.batches import Batches  # noqa: PLC0415
    from tools.train.teacher.heads_model import load_heads  # noqa: PLC0415
    from tools.train.teacher.soft import SoftTeacher  # noqa: PLC0415

    return Batches(
        shares,
        size=asked.batch,
        side=asked.side,
        seed=asked.seed,
        first=first,
        workers=asked.workers or default_workers(),
        mapper=SoftTeacher(lambda: load_heads(teacher, side=asked.side)) if teacher and asked.soft else None,
    )


def _learn(asked: Asked, folder: TrainingFolder, trainer: Any, batches: Any, stops: Stops) -> None:
    """Take the trainer to the last step. Raises EdgeError and Stopped."""
    from tools.train.run.session import Session  # noqa: PLC0415

    Session(trainer, batches, folder, stops, stream=sys.stderr, every_s=asked.every_s, size=asked.batch).run()


def _export(asked: Asked, folder: TrainingFolder, trainer: Any, shares: Sequence[Any]) -> None:
    """Make the TFLite files of what was learned. Raises EdgeError."""
    from tools.train.model.export import export_models  # noqa: PLC0415
    from tools.train.model.finish import with_true_scores  # noqa: PLC0415

    network = with_true_scores(trainer.average, shares, side=asked.side, seed=asked.seed, on_progress=_progress)
    made = export_models(
        network,
        folder.path,
        size=asked.size,
        calibration=asked.calibration,
        name=asked.name,
        origin=f"tools/train, {trainer.step} steps",
        on_progress=_progress,
    )
    print(f"{made.float_file}\n{made.int8_file}", flush=True)


def _say(text: str) -> None:
    print(f"train: {text}", file=sys.stderr, flush=True)


def _progress(done: int, total: int, what: str) -> None:
    from tools.command_line import show_progress  # noqa: PLC0415

    show_progress(done, total, what)
