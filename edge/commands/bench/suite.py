"""`edge-pose bench`: how fast the models at hand are on this machine, alone and in the whole flow.

Each figure comes from a process of its own, the two sides of a ratio take turns, and every figure is the median of
its rounds. On a shared or hot machine times mean little; the ratios hold.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from edge import __version__
from edge.commands.bench.job import Job
from edge.commands.bench.measure import Plan, do, measure, prefixed, thread_counts
from edge.commands.bench.table import format_table
from edge.errors import EdgeError, UnavailableError
from edge.host.board import describe_machine, heat
from edge.models.files import Places, is_path, model_rows, places, resolve, resolve_file
from edge.models.manifest import SOURCE_KIND, ModelEntry, load_manifest
from edge.payload import utc

__all__ = ["BenchOptions", "format_table", "run_bench"]

DYNAMIC_SIZE = [256, 256]
"""Width and height of the input of models that leave them open: the same everywhere, to be compared."""

Figures = dict[str, Any]
Tell = Callable[[str], None]
Fetch = Callable[[ModelEntry], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What to measure.

    Attributes:
        model: name or file; None for every model of the manifest whose file is here.
        video: file; None for the built-in scene, which is drawn into a temporary file first.
        quick: one short round: a glance, not a figure to quote.
        rounds: how often each figure is taken; None for 3, or 1 when quick.
        threads: numbers of inference threads; None for 1, 2, 4 as far as there are cores.
    """

    model: str | None = None
    video: Path | None = None
    quick: bool = False
    rounds: int | None = None
    threads: tuple[int, ...] | None = None


def run_bench(
    options: BenchOptions,
    *,
    tell: Tell | None = None,
    fetch: Fetch | None = None,
    environ: Mapping[str, str] | None = None,
) -> Figures:
    """Measure, and return what fits into JSON; `format_table` shows it.

    Args:
        options: what to measure.
        tell: takes a line of progress now and then; None: to stderr.
        fetch: see `model_files.resolve`; asked for the model by name.
        environ: names the folders of models; None: this process's environment.

    Raises:
        UnavailableError: no model is here, or none of those that are can be loaded.
        EdgeError: what was asked for by name or path cannot be used, as a run would say.
    """
    tell = tell or _to_stderr
    machine = describe_machine()  # its load is that of the others, before ours begins
    found = _models(options.model, places(os.environ if environ is None else environ), fetch, tell)
    with tempfile.TemporaryDirectory(prefix="edge-pose-bench-") as folder:
        base = Job(task="", folder=folder, frames=50 if options.quick else 175)
        usable, left_out = _loadable(found, base, must=options.model is not None)
        base = replace(base, video=_video(options, base, tell))
        video = {"name": options.video.name if options.video else "scene", **do(base, "video")}
        plan = _plan(options, base.frames, video["fps"])
        before = heat()
        models = [_measured(facts, path, base, plan, tell) for facts, path in usable]
        libraries = do(base, "libraries")
    return {
        "version": __version__,
        "time": utc(time.time()),
        "quick": options.quick,
        "rounds": plan.rounds,
        "machine": machine,
        "libraries": libraries,
        "heat": {"before": before, "after": heat()},
        "video": video,
        "models": models,
        "left_out": left_out,
    }


def _models(model: str | None, where: Places, fetch: Fetch | None, tell: Tell) -> list[tuple[str, Path]]:
    """Return (name, file) of what was asked for, else of every model that is here; say where the default is not."""
    if model is not None and is_path(model):
        found = resolve_file(Path(model))
        return [(found.name, found.path)]
    manifest = load_manifest(where.mirror)
    rows = [] if model is not None else model_rows(manifest, where)
    usable = [row for row in rows if row.state == "ok" and row.entry.kind != SOURCE_KIND]
    here = [(row.entry.name, row.path) for row in usable if row.path is not None]
    if here:
        if manifest.default not in dict(here):
            tell(f"the default, {manifest.default}, is not here: edge-pose models fetch {manifest.default}")
        return here
    found = resolve(model, manifest, where, fetch=fetch)
    return [(found.name, found.path)]


def _loadable(
    found: Sequence[tuple[str, Path]], base: Job, *, must: bool
) -> tuple[list[tuple[Figures, Path]], list[Figures]]:
    """Return the models that can be loaded, with what they are, and who is left out and why."""
    usable: list[tuple[Figures, Path]] = []
    left_out: list[Figures] = []
    for name, path in found:
        try:
            facts = {"name": name, **do(replace(base, model=str(path.absolute())), "model")}
        except EdgeError as error:
            if must:
                raise
            left_out.append({"name": name, "reason": str(error).removeprefix(f"{path.absolute()}: ")})
            continue
        usable.append((facts | {"input_size": DYNAMIC_SIZE} if facts["dynamic"] else facts, path))
    if not usable:
        raise UnavailableError("; ".join(f"{each['name']}: {each['reason']}" for each in left_out))
    return usable, left_out


def _video(options: BenchOptions, base: Job, tell: Tell) -> str:
    if options.video is not None:
        return str(options.video.absolute())
    tell("drawing the scene into a video")
    video = str(Path(base.folder) / "scene.mp4")
    do(replace(base, video=video), "render")
    return video


def _plan(options: BenchOptions, frames: int, fps: float) -> Plan:
    return Plan(
        rounds=options.rounds or (1 if options.quick else 3),
        threads=options.threads or thread_counts(),
        engine_s=0.5 if options.quick else 2.0,
        flow_s=2.0 if options.quick else 7.0,
        frames=frames,
        fps=fps,
    )


def _measured(facts: Figures, path: Path, base: Job, plan: Plan, tell: Tell) -> Figures:
    size = tuple(facts["input_size"]) if facts["dynamic"] else None
    job = replace(base, model=str(path.absolute()), input_size=size)
    return {**facts, **measure(job, plan, prefixed(tell, facts["name"]))}


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()
