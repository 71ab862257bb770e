"""A soak's figures as table, one line, CSV and JSON."""

import csv
import dataclasses
import io
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.errors import UnavailableError
from tools.soak.record import Record, settled
from tools.soak.sampler import Sample
from tools.soak.verdict import COUNTS, MIN_FAULTS, findings, leak_bytes_per_s, median_recovery_s, rss_slope

__all__ = ["require_writable", "samples_csv", "summary", "table", "to_json", "write"]


def table(record: Record) -> str:
    """Lay out what was measured."""
    return "\n".join([record.setting, "", *_recoveries(record), "", *_holdings(record)])


def summary(record: Record) -> str:
    """Return the result in one line."""
    wrong = findings(record)
    if wrong:
        return "failed: " + "; ".join(wrong)
    slowest_s = max((fault.recovery_s or 0.0 for fault in record.faults), default=0.0)
    minutes = record.plan.duration_s / 60
    return (
        f"passed: {minutes:g} minutes, {len(record.faults)} faults, 0 crashes, poses back within {slowest_s:.2f} s, "
        f"memory {rss_slope(record) * 60 / 1e6:+.3f} MB per minute, threads and descriptors constant"
    )


def samples_csv(samples: Sequence[Sample]) -> str:
    """Return the samples, one per line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Sample))
    for sample in samples:
        row = dataclasses.astuple(sample)
        writer.writerow(round(value, 3) if isinstance(value, float) else value for value in row)
    return out.getvalue()


def to_json(record: Record) -> str:
    """Return everything but the samples."""
    figures = dataclasses.asdict(record)
    del figures["samples"]
    return json.dumps(
        {
            "findings": findings(record),
            "rss_slope_bytes_per_s": rss_slope(record),
            "leak_bytes_per_s": leak_bytes_per_s(record),
            **figures,
        },
        indent=2,
    )


def require_writable(*paths: Path | None) -> None:
    """Check that these files can be written. Raises UnavailableError."""
    for path in paths:
        if path is None:
            continue
        folder = path.absolute().parent
        if path.is_dir() or not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise UnavailableError(f"{path}: cannot be written: no such folder, no permission, or a folder")


def write(path: Path, content: bytes) -> None:
    """Write a whole file or none. Raises OSError."""
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=".soak-") as folder:
        part = Path(folder, path.name)
        part.write_bytes(content)
        part.replace(path)


def _recoveries(record: Record) -> Iterator[str]:
    yield f"{'lost':10}{'times':>7}{'poses back, s: median':>24}{'slowest':>9}{'alone':>8}"
    for kind in record.kinds:
        faults = [fault for fault in record.faults if fault.kind == kind]
        slowest_s = max((fault.recovery_s or float("inf") for fault in faults), default=float("nan"))
        yield f"{kind:10}{len(faults):7}{median_recovery_s(faults):24.2f}{slowest_s:9.2f}{record.alone_s(kind):8.2f}"


def _holdings(record: Record) -> Iterator[str]:
    yield f"{'agent':18}{'warmed up':>11}{'at the end':>12}{'most':>8}"
    yield f"{'memory, MB':18}{_mb(record.before):11.1f}{_mb(record.after):12.1f}{_most_mb(record):8.1f}"
    for name in COUNTS:
        before, after = (settled(getattr(sample, name) for sample in part) for part in (record.before, record.after))
        most = max((getattr(sample, name) for sample in record.samples), default=0)
        yield f"{name:18}{before!s:>11}{after!s:>12}{most:8}"
    judged = f"a leak from {leak_bytes_per_s(record) * 60 / 1e6:.3f}"
    if record.plan.faults < MIN_FAULTS:
        judged = f"not judged with fewer than {MIN_FAULTS} faults"
    yield (
        f"memory {rss_slope(record) * 60 / 1e6:+.3f} MB per minute in the second half "
        f"({judged}); stopped within {record.stop_s:.2f} s; "
        f"{record.messages} messages, {record.people} people"
    )


def _mb(samples: Sequence[Sample]) -> float:
    return sum(sample.rss_bytes for sample in samples) / max(len(samples), 1) / 1e6


def _most_mb(record: Record) -> float:
    return max((sample.rss_bytes for sample in record.samples), default=0) / 1e6
