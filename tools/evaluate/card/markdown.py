"""The figures of a card as Markdown sections."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tools.evaluate.card.baselines import DEFAULT, DERIVED
from tools.evaluate.card.targets import loss_points, targets

__all__ = ["markdown"]

COCO = ("AP", "AP50", "AP75", "APm", "APl", "AR")
WORDS = {DEFAULT: "the default model", DERIVED: "Google's Lightning int8, derived for many people"}
Figures = Mapping[str, Any]


def markdown(figures: Figures) -> str:
    """Lay out the figures of `tools.evaluate.card.__main__.measure`."""
    parts = [
        _targets(figures),
        _photographs(figures),
        _heights(figures),
        _scene(figures),
        _speed(figures),
        _file(figures),
    ]
    return "\n\n".join(parts)


def _targets(figures: Figures) -> str:
    rows = [
        (target.what, target.wanted, target.reached or "not measured", _held(target.held, target.reached))
        for target in targets(figures)
    ]
    return _section("What it was to reach", "", ("", "wanted", "reached", "held"), rows)


def _held(held: bool, reached: str) -> str:
    return ("yes" if held else "**no**") if reached else "-"


def _photographs(figures: Figures) -> str:
    images = figures["int8"]["images"]
    unreadable = f" {images['unreadable']} of them cannot be read." if images["unreadable"] else ""
    about = (
        f"{images['images']} images of `{figures['annotations']}` with {images['people']} people, input "
        f"{figures['int8']['size']} (HxW).{unreadable} AP and AR are COCO's for keypoints, over poses of any score; "
        f"*reported* is the share of people found at OKS 0.50 by poses of at least {images['reported_min_score']:g}, "
        "which the product reports, and *false* how many of those per image lie on nobody. PCK is that of the largest "
        f"person of each image whose torso is labelled ({images['largest']['people']} people)."
    )
    head = ("", *COCO, "reported", "false", "PCK@0.1", "PCK@0.2")
    rows = [(label, *_photograph_row(each["images"])) for label, each in _versions(figures)]
    if figures["float"]:
        points = [loss_points(figures, name) for name in COCO]
        rows.append(("points lost", *(_number(each, 2) for each in points), "", "", "", ""))
    return _section("On photographs", about, head, rows)


def _photograph_row(images: Figures) -> list[str]:
    largest = images["largest"]
    shares = [*(images[name] for name in COCO), images["reported"]]
    return [
        *(_number(each) for each in shares),
        _number(images["false_per_image"], 2),
        _number(largest["PCK@0.1"]),
        _number(largest["PCK@0.2"]),
    ]


def _heights(figures: Figures) -> str:
    rows = [
        (
            f"{row['from_px']} px and more" if row["to_px"] is None else f"{row['from_px']} to {row['to_px']} px",
            str(row["people"]),
            _number(row["found"]),
            _number(row["reported"]),
        )
        for row in figures["int8"]["images"]["by_height"]
    ]
    about = (
        "The same people of the photographs, by how high they are in the model's input; *found*: by poses of any score."
    )
    return _section("Who is found, by height", about, ("height", "people", "found", "reported"), rows)


def _scene(figures: Figures) -> str:
    scene, pck = figures["int8"]["scene"], figures["int8"]["pck"]
    about = (
        f"{pck['frames']} frames of the synthetic scene with {scene['people']} people who can be seen and are higher "
        "than a fifth of the frame. *found*: a reported pose lies on them with OKS of at least 0.5; by their height as "
        "a part of the frame. PCK is in torsos, of keypoints that can be seen; those of people who are not found are "
        "wrong."
    )
    heights = list(scene["by_height"])
    head = ("", "found", *heights, "PCK@0.1", "PCK@0.2", "largest: PCK@0.1", "PCK@0.2")
    rows = [(label, *_scene_row(each, heights)) for label, each in _versions(figures)]
    return _section("On the synthetic scene", about, head, rows)


def _scene_row(version: Figures, heights: Sequence[str]) -> list[str]:
    scene, pck = version["scene"], version["pck"]
    shares = [scene["found"], *(scene["by_height"][each] for each in heights)]
    shares += [part[name] for part in (pck, pck["largest"]) for name in ("PCK@0.1", "PCK@0.2")]
    return [_number(each) for each in shares]


def _speed(figures: Figures) -> str:
    machine = figures["machine"]
    about = (
        f"Median per frame, from the model's input to poses, on {machine['cores']} cores of {machine['cpu']} with "
        f"{machine['runtime']} (load {machine['load']:.1f} before). All ran in every round, in changing order; the "
        "ratio is this model's time to the other's in the same round: below 1 this one is faster. Believe the ratios "
        "more than the times."
    )
    threads = list(figures["speed"][0]["ms"])
    head = ["model", "input"]
    head += [word for each in threads for word in (f"ms, {each} thread{'s'[: each != '1']}", "ratio")]
    rows = [_speed_row(row, threads) for row in figures["speed"]]
    left_out = "".join(
        f"\n\nNot compared with {WORDS[what]}: not at hand when this was measured." for what in figures["left_out"]
    )
    return _section("How fast", about, head, rows) + left_out


def _speed_row(row: Figures, threads: Iterable[str]) -> list[str]:
    words = f", {WORDS[row['what']]}" if row["what"] in WORDS else ""
    cells = [f"`{row['model']}`{words}", row["size"]]
    for each in threads:
        cells += [f"{row['ms'][each]:.1f}", f"{row['ratio'][each]:.2f}" if row["what"] else ""]
    return cells


def _file(figures: Figures) -> str:
    facts = figures["facts"]
    tpu, notes = facts["edgetpu"], facts["notes"]
    rows = [
        ("size", f"{facts['bytes']:,d} bytes, {tpu['weights_bytes']:,d} of them weights"),
        ("sha256", f"`{facts['sha256']}`"),
        ("kind", f"{notes['kind']}, {notes['quantization']}, by {notes['tool']}" if notes else "not in the file"),
        *(("input", _tensor(each)) for each in facts["inputs"]),
        *(("output", _tensor(each)) for each in facts["outputs"]),
        ("operators", f"{tpu['ops']}: " + ", ".join(f"{count} {name}" for name, count in facts["ops"].items())),
        ("Edge TPU, a forecast", f"{tpu['tpu_ops']} of {tpu['ops']} operators, {_pieces(tpu['partitions'])}"),
    ]
    return _section("The file", "", ("", f"`{facts['file']}`"), rows)


def _pieces(partitions: int) -> str:
    return f"in {partitions} partition" + ("" if partitions == 1 else "s")


def _tensor(tensor: Figures) -> str:
    return f"`{tensor['name']}` {tensor['dtype']} {tensor['shape']}"


def _versions(figures: Figures) -> list[tuple[str, Figures]]:
    float_file = [("float", figures["float"])] if figures["float"] else []
    return [("**int8**" if float_file else "this file", figures["int8"]), *float_file]


def _section(title: str, about: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)]
    return "\n\n".join(part for part in (f"### {title}", about, "\n".join(lines)) if part)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
