"""The figures for people."""

from collections.abc import Mapping
from typing import Any

__all__ = ["table"]

COCO = ("AP", "AP50", "AP75", "APm", "APl", "AR")


def table(figures: Mapping[str, Any]) -> str:
    """Lay out the figures of `evaluate`."""
    lines = [f"{figures['model']}, {_where(figures)}"]
    if "AP" in figures:
        lines += ["", *_coco(figures), "", *_heights(figures)]
    if "scene" in figures:
        lines += ["", *_scene(figures["scene"])]
    return "\n".join(lines)


def _where(figures: Mapping[str, Any]) -> str:
    """Describe the device: for an Edge TPU model possibly its CPU twin."""
    ran = figures["ran"]
    where = "on the Edge TPU" if ran["accelerator"] == "edgetpu" else _count(figures["threads"], "thread")
    return where if ran["model"] == figures["model"] else f"run as {ran['model']} on the CPU, {where}"


def _coco(figures: Mapping[str, Any]) -> list[str]:
    ms = figures["ms_per_frame"]
    return [
        f"{_count(figures['images'], 'image')}, {figures['people']} people, input {figures['size']} (HxW), "
        + ("no image could be read" if ms is None else f"{ms:.1f} ms per frame"),
        "".join(f"{name:>8}" for name in COCO),
        "".join(f"{_share(figures[name]):>8}" for name in COCO),
        _reported(figures),
    ]


def _reported(figures: Mapping[str, Any]) -> str:
    return (
        f"from score {figures['reported_min_score']:g} on, as reported: {_share(figures['reported'])} of the people "
        f"found, {figures['false_per_image']:.2f} false poses per image"
    )


def _heights(figures: Mapping[str, Any]) -> list[str]:
    rows = [f"{'height in the input':20}{'people':>8}{'found':>8}{'reported':>10}"]
    for row in figures["by_height"]:
        span = f"{row['from_px']} px and more" if row["to_px"] is None else f"{row['from_px']} to {row['to_px']} px"
        rows.append(f"{span:20}{row['people']:>8}{_share(row['found']):>8}{_share(row['reported']):>10}")
    return rows


def _scene(scene: Mapping[str, Any]) -> list[str]:
    names = [name for name in scene if name.startswith("PCK")]
    head = f"scene, {_count(scene['frames'], 'frame')}, input {scene['size']} (HxW)"
    rows = [f"{head:44}{'people':>8}" + "".join(f"{name:>9}" for name in names)]
    for label, row in (("everybody", scene), ("the largest person of every image", scene["largest"])):
        rows.append(f"{label:44}{row['people']:>8}" + "".join(f"{_share(row[name]):>9}" for name in names))
    return rows


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
