"""Formats the figures of `edge-pose bench` in at most 80 columns."""

import textwrap
from collections.abc import Iterator
from typing import Any

__all__ = ["format_table"]

COLUMNS = 80
LABEL = 16
BUSY = 0.5
"""Load per core from which other processes disturb the measurement."""

Figures = dict[str, Any]


def format_table(figures: Figures) -> str:
    """Format the figures of `run_bench`, machine and version first."""
    lines = [*_head(figures)]
    for model in figures["models"]:
        lines += ["", *_model(model)]
    lines += [f"left out: {each['name']}: {each['reason']}" for each in figures["left_out"]]
    return "\n".join(wrapped for line in lines for wrapped in (_wrap(line) or [""]))


def _head(figures: Figures) -> Iterator[str]:
    machine, video = figures["machine"], figures["video"]
    yield f"edge-pose {figures['version']} on {machine['board'] or machine['cpu']}, {machine['cores']} cores"
    yield f"{machine['os']}, {machine['memory_mb']} MB, Python {machine['python']}" + (
        f", {machine['cpu']}" if machine["board"] else ""
    )
    yield ", ".join(f"{name} {version}" for name, version in figures["libraries"].items())
    width, height = video["size"]
    rounds = "one round" if figures["rounds"] == 1 else f"medians of {figures['rounds']} rounds"
    yield f"video: {video['name']}, {width}x{height}, {video['fps']:g} fps; {rounds}"
    if machine["load"] > BUSY * machine["cores"]:
        yield f"busy: a load of {machine['load']:.1f} before the start; times mean little, ratios less than usual"
    before, after = figures["heat"]["before"], figures["heat"]["after"]
    if before["temperature_c"] is not None:
        yield f"temperature: {before['temperature_c']} -> {after['temperature_c']} degrees Celsius"
    if before["throttled"] is not None:
        yield f"slowed down by heat or weak power: {_yes(before['throttled'])} -> {_yes(after['throttled'])}"


def _model(model: Figures) -> Iterator[str]:
    width, height = model["input_size"]
    yield f"{model['name']} ({model['kind']}, {model['dtype']}, input {height}x{width})"
    by_threads = model["threads"]
    yield _row("threads", [str(each["threads"]) for each in by_threads], "")
    yield _row("bare model", [f"{each['engine_ms']:.1f}" for each in by_threads], "ms per inference")
    yield _row("whole flow", [f"{each['flow_ms']:.1f}" for each in by_threads], "ms per frame")
    yield _row("", [f"{1e3 / each['flow_ms']:.1f}" for each in by_threads], "frames per second")
    yield _row("flow / bare", [f"{each['throughput_ratio']:.2f}" for each in by_threads], "throughput")
    stages = "  ".join(f"{name} {ms:.2f}" for name, ms in model["stages_ms"].items() if name != "inference")
    yield _row("stages, ms", [], stages)
    yield _row(
        "added latency", [], f"p50 {model['added_p50_ms']:.1f} ms, p95 {model['added_p95_ms']:.1f} ms, beside inference"
    )
    yield _row("first pose", [], f"{model['first_pose_ms'] / 1e3:.2f} s after the start of the process")
    bare = f"{model['rss_ratio']:.2f} of a bare read-and-infer loop"
    yield _row("peak memory", [], f"{model['flow_rss_mb']:.0f} MB, {bare}")


def _row(label: str, cells: list[str], text: str) -> str:
    return f"  {label:{LABEL - 2}}{''.join(f'{cell:>8}' for cell in cells)}{'  ' if cells else ''}{text}".rstrip()


def _wrap(line: str) -> list[str]:
    indent = " " * LABEL if line.startswith("  ") else "  "
    return textwrap.wrap(line, COLUMNS, subsequent_indent=indent, break_on_hyphens=False)


def _yes(fact: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[fact]
