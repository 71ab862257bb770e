"""`edge-pose bench`: speed of the installed models on this machine.

Each figure is measured in a separate process, alone and in the whole pipeline, and is the median of its rounds. The
two sides of a ratio are measured one after the other: on a shared or hot machine times mean little, ratios hold.
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
from edge.commands.bench.measure import Plan, Report, do, measure, prefixed, thread_counts
from edge.errors import EdgeError, UnavailableError
from edge.host.board import describe_machine, heat
from edge.models.entry import SOURCE_KINDS, ModelEntry
from edge.models.files import is_path, model_rows, resolve, resolve_file
from edge.models.manifest import load_manifest
from edge.models.places import Places, places
from edge.payload import utc

__all__ = ["BenchOptions", "run_bench"]

Figures = dict[str, Any]
Fetch = Callable[[ModelEntry], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Options of a benchmark.

    Attributes:
        model: name or file; None for every model of the manifest with a file here.
        video: file; None for the built-in scene, which is drawn into a temporary file first.
        quick: one short round, for a rough impression.
        rounds: measurements of each figure; None for 3, or 1 if quick.
        threads: numbers of inference threads; None for 1, 2, 4, up to the number of cores.
    """

    model: str | None = None
    video: Path | None = None
    quick: bool = False
    rounds: int | None = None
    threads: tuple[int, ...] | None = None


def run_bench(
    options: BenchOptions,
    *,
    report: Report | None = None,
    fetch: Fetch | None = None,
    environ: Mapping[str, str] | None = None,
) -> Figures:
    """Measure and return figures for JSON; `format_table` formats them.

    Args:
        options: what to measure.
        report: takes lines of progress; None: to stderr.
        fetch: see `models.files.resolve`; for a model given by name.
        environ: names the folders of models; None: this process's environment.

    Raises:
        UnavailableError: no model is here, or none of them can be loaded.
        EdgeError: the model given by name or path cannot be used; the same error as of a run.
    """
    report = report or _to_stderr
    machine = describe_machine()  # before the benchmark adds its own load
    found = _models(options.model, places(os.environ if environ is None else environ), fetch, report)
    with tempfile.TemporaryDirectory(prefix="edge-pose-bench-") as folder:
        base = Job(task="", folder=folder, frames=50 if options.quick else 175)
        usable, left_out = _loadable(found, base, must=options.model is not None)
        base = replace(base, video=_video(options, base, report))
        video = {"name": options.video.name if options.video else "scene", **do(base, "video")}
        plan = _plan(options, base.frames, video["fps"])
        before = heat()
        models = [_measured(facts, path, base, plan, report) for facts, path in usable]
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


def _models(model: str | None, where: Places, fetch: Fetch | None, report: Report) -> list[tuple[str, Path]]:
    """Return (name, file) of the requested model, else of every model that is here.

    Reports a default that is not here.
    """
    if model is not None and is_path(model):
        found = resolve_file(Path(model))
        return [(found.name, found.path)]
    manifest = load_manifest(where.mirror)
    rows = [] if model is not None else model_rows(manifest, where)
    usable = [row for row in rows if row.state == "ok" and row.entry.kind not in SOURCE_KINDS]
    here = [(row.entry.name, row.path) for row in usable if row.path is not None]
    if here:
        if manifest.default not in dict(here):
            report(f"the default, {manifest.default}, is not here: edge-pose models fetch {manifest.default}")
        return here
    found = resolve(model, manifest, where, fetch=fetch)
    return [(found.name, found.path)]


def _loadable(
    found: Sequence[tuple[str, Path]], base: Job, *, must: bool
) -> tuple[list[tuple[Figures, Path]], list[Figures]]:
    """Return the loadable models with their facts, and the others with the reason."""
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
        usable.append((facts, path))
    if not usable:
        raise UnavailableError("; ".join(f"{each['name']}: {each['reason']}" for each in left_out))
    return usable, left_out


def _video(options: BenchOptions, base: Job, report: Report) -> str:
    if options.video is not None:
        return str(options.video.absolute())
    report("drawing the scene into a video")
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


def _measured(facts: Figures, path: Path, base: Job, plan: Plan, report: Report) -> Figures:
    size = tuple(facts["input_size"]) if facts["dynamic"] else None
    job = replace(base, model=str(path.absolute()), input_size=size)
    return {**facts, **measure(job, plan, prefixed(report, facts["name"]))}


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()
