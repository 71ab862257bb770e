"""`edge-pose models`: list, fetch, verify, show, build, derive, export.

Each imports what it needs: `models list` must not wait for OpenCV.
"""

# ruff: noqa: PLC0415, T201 - see above; print writes the commands' output

import argparse
import os
import sys
from pathlib import Path

from edge.host.process import Signals

__all__ = [
    "models_build",
    "models_derive",
    "models_export",
    "models_fetch",
    "models_list",
    "models_show",
    "models_verify",
]

RECIPE = "multipose-int8.recipe"
"""In the package, as the manifest names it."""


def models_build(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Build a TFLite file of MoveNet as it was published."""
    from edge.graph.heads_file import build_file
    from edge.models.places import places

    recipe = places(os.environ).package / RECIPE
    for line in build_file(_source(options.source), options.output, options.size, options.quantize, recipe):
        print(line)
    return 0


def _source(source: str) -> Path:
    """Return the file or folder that a command starts from, which may be a model's name."""
    from edge.download.progress import ConsoleProgress
    from edge.models.fetch import Fetcher
    from edge.models.files import is_path
    from edge.models.mirror import known_models
    from edge.models.places import places

    if is_path(source) or Path(source).exists():
        return Path(source)
    where = places(os.environ)
    entry = known_models(where).entry(source)
    return Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch(entry)


def models_derive(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Derive a multi-person model from a singlepose one."""
    from edge.download.progress import ConsoleProgress
    from edge.models.derive_file import derive_file
    from edge.models.fetch import Fetcher
    from edge.models.files import is_path, resolve, resolve_file
    from edge.models.mirror import known_models
    from edge.models.places import places

    if is_path(options.source):
        source = resolve_file(Path(options.source))
    else:
        where = places(os.environ)
        fetch = Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch
        source = resolve(options.source, known_models(where), where, fetch=fetch)
    for line in derive_file(source.path, options.output, options.size):
        print(line)
    return 0


def models_export(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Write a mirror folder."""
    from edge.commands.export import export_mirror
    from edge.download.progress import ConsoleProgress
    from edge.models.fetch import Fetcher
    from edge.models.manifest import load_manifest
    from edge.models.places import places
    from edge.tflite.edgetpu_compiler import find_compiler

    where = places(os.environ, offline=options.offline)
    compiler = find_compiler() if options.edgetpu else None
    default = load_manifest().entry()
    if options.source:
        source = _source(options.source)
    else:
        source = Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch_source(default)
    for line in export_mirror(
        options.folder,
        default,
        source,
        where.package / RECIPE,
        sizes=options.size or [],
        precisions=options.quantize or ["int8"],
        compiler=compiler,
    ):
        print(line, flush=True)
    print(f"to use it: EDGE_POSE_MODEL_MIRROR={options.folder.resolve()}, or the address that serves it")
    return 0


def models_fetch(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every handler has this signature
    """Download models into the cache."""
    from edge.download.progress import ConsoleProgress
    from edge.errors import UnavailableError
    from edge.models.fetch import Fetcher
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ, offline=options.offline)
    fetcher = Fetcher(where, on_progress=ConsoleProgress(sys.stderr))
    rows = fetcher.fetch_all(options.names, known_models(where), everything=options.all, accept=options.accept_digest)
    problems = []
    for row in rows:
        nothing = ", in the package: nothing to fetch" if row.entry.bundled and row.path else ""
        print(f"{row.entry.name}: {row.state}{nothing}{f' ({row.path})' if row.path else ''}", flush=True)
        problems += [row.problem] if row.problem else []
    if problems:
        raise UnavailableError("\n".join(problems))
    return 0


def models_list(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001 - every handler has this signature
    """List the models of the manifest."""
    from edge.models.files import model_rows
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ)
    for row in model_rows(known_models(where), where):
        size = "" if row.size_bytes is None else f"{row.size_bytes / 1e6:.1f} MB"
        mark = "*" if row.is_default else " "
        place = {"package": "in the package", None: ""}.get(row.source, row.source)
        print(f"{mark} {row.entry.name:42} {row.entry.kind:11} {row.state:12} {place:14} {size:>8}")
    print("\n* the default; searched for files:", where.mirror or where.mirror_url or "(no mirror)", where.cache)
    return 0


def models_verify(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Compare model files with their digests."""
    from edge.errors import UnavailableError
    from edge.models.files import model_row, model_rows
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ)
    manifest = known_models(where)
    rows = [model_row(name, manifest, where) for name in options.names] or model_rows(manifest, where)
    for row in rows:
        print(f"{row.entry.name}: {row.state}{f' ({row.path})' if row.path else ''}")
    fine = ("ok",) if options.names else ("ok", "missing")
    bad = [row.entry for row in rows if row.state not in fine]
    if bad:
        fetched = [entry.name for entry in bad if not entry.bundled]
        fixes = [f"edge-pose models fetch {' '.join(fetched)}"] if fetched else []
        fixes += ["reinstall edge-pose"] if any(entry.bundled for entry in bad) else []
        raise UnavailableError(f"not usable: {', '.join(entry.name for entry in bad)}: {'; '.join(fixes)}")
    return 0


def models_show(options: argparse.Namespace, signals: Signals) -> int:  # noqa: ARG001
    """Print the facts about a model."""
    from edge.models.files import model_row
    from edge.models.mirror import known_models
    from edge.models.places import places

    where = places(os.environ)
    row = model_row(options.name, known_models(where), where)
    facts = {
        "name": row.entry.name + (" (default)" if row.is_default else ""),
        "kind": row.entry.kind,
        "file": row.entry.file,
        "state": row.state,
        "path": str(row.path or ""),
        "bytes": "" if row.size_bytes is None else str(row.size_bytes),
        "digest": row.digest or "not known",
        "url": row.entry.url,
        "member": row.entry.member,
        "delegate": row.entry.delegate,
        "cpu twin": row.entry.cpu_twin,
        "package": f"{row.entry.package}@{row.entry.version}" if row.entry.package else "",
        "made of": row.entry.derived_from or " or ".join(row.entry.built_from),
        "recipe": row.entry.recipe,
        "comes": "with the program" if row.entry.bundled else "",
        "size": row.entry.size,
        "licence": row.entry.licence,
    }
    for key, value in facts.items():
        if value:
            print(f"{key:9} {value}")
    return 0
