"""Table of a file's figures, and the bars it must pass."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ModelError
from tools.convert.checks.parity import MIN_PUBLISHED_SCORE, MIN_WITHIN, TOLERANCE, Parity
from tools.convert.checks.speed import Speed

__all__ = ["Findings", "format_table", "require_accuracy"]

SHOWN_OPS = 6
FEW_POSES = 10
MAX_LOST, MAX_FALSE = 0.25, 0.5
"""Shares of the graph's people: good calibrations stay far below, grey pictures lose more than half."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Results of the checks of one file.

    Attributes:
        output: the file.
        size_bytes: of the file.
        input: dtype and size of the input.
        ops: name of every operator, in the order of execution.
        pictures: where the pictures came from.
        same: likeness with the whole graph in the same precision: what converting and cutting changed; None where
            no such graph exists.
        rounding: likeness with the whole graph in float: what quantization changed; None without quantization.
        ap: average precision (COCO, OKS 0.50 to 0.95), 0..100; None without annotations.
        speed: how long it takes.
        oks_required: the command line names `min_oks`: it must not pass because there was nothing to compare.
        min_oks: least mean OKS that is accepted.
        reference: what it was compared with.
        is_int8: whether its activations are int8, which a calibration may ruin.
    """

    output: Path
    size_bytes: int
    input: str
    ops: tuple[str, ...]
    pictures: str
    same: Parity | None
    rounding: Parity | None
    ap: float | None
    speed: Speed
    oks_required: bool
    min_oks: float
    reference: str = "the whole graph"
    is_int8: bool = False


def require_accuracy(found: Findings) -> None:
    """Refuse a file that lost too much. Raises ModelError."""
    if found.same and found.same.within < MIN_WITHIN:
        raise ModelError(
            f"{found.output}: not written: only {found.same.within:.1%} of {found.same.keypoints} keypoints are within "
            f"{TOLERANCE:g} of the whole graph's; {MIN_WITHIN:.0%} are needed"
        )
    if found.rounding and not found.rounding.published and found.oks_required and found.min_oks:
        raise ModelError(
            f"{found.output}: not written: no pose of {MIN_PUBLISHED_SCORE:g} or more in {found.rounding.pictures} "
            "pictures, so --min-oks cannot be checked: give --images with people"
        )
    if found.rounding and found.is_int8 and found.min_oks:
        _require_proof(found, found.rounding)
    if found.rounding and found.rounding.mean_oks < found.min_oks:
        raise ModelError(
            f"{found.output}: not written: the mean OKS with the float graph is {found.rounding.mean_oks:.3f}; "
            f"{found.min_oks:g} is needed (--min-oks); more, and more varied, pictures for --calibration help int8"
        )


def _require_proof(found: Findings, rounding: Parity) -> None:
    """Refuse int8 that nothing was seen of, or that finds other people than the graph. Raises ModelError."""
    anyway = "(--min-oks 0 writes it all the same)"
    if not rounding.published:
        raise ModelError(
            f"{found.output}: not written: no pose of {MIN_PUBLISHED_SCORE:g} or more in {rounding.pictures} pictures, "
            f"so nothing proves that int8 works: give --images with people {anyway}"
        )
    if rounding.published < FEW_POSES:
        return
    if rounding.lost > MAX_LOST * rounding.published or rounding.false > MAX_FALSE * rounding.published:
        raise ModelError(
            f"{found.output}: not written: of {rounding.published} people {rounding.lost} are lost, and "
            f"{rounding.false} are found who are none: calibrate with photographs of people at every size and place "
            f"{anyway}"
        )


def format_table(found: Findings) -> str:
    """Return the findings as lines for people."""
    counts = Counter(found.ops).most_common()
    shown = ", ".join(f"{count} {name}" for name, count in counts[:SHOWN_OPS])
    rest = f", {len(counts) - SHOWN_OPS} other kinds" if len(counts) > SHOWN_OPS else ""
    rows = {
        "size": f"{found.size_bytes / 1e6:.2f} MB",
        "input": found.input,
        "operators": f"{len(found.ops)}: {shown}{rest}",
        "checked on": found.pictures,
        "parity": found.same and _parity(found.same, f"{found.reference} in the same precision"),
        "rounding": found.rounding and _parity(found.rounding, f"{found.reference} in float") + _oks(found.rounding),
        "AP": None if found.ap is None else f"{found.ap:.2f} (COCO keypoints)",
        "time": f"{found.speed.ms:.2f} ms with decoding, one thread; {found.speed.ratio:.2f} of {found.reference} in "
        f"fp16 ({found.speed.whole_ms:.2f} ms)",
    }
    lines = [f"  {name:11}{text}" for name, text in rows.items() if text]
    return "\n".join([str(found.output), *lines])


def _parity(parity: Parity, other: str) -> str:
    if not parity.poses:
        return f"not one pose in {parity.pictures} pictures, so nothing is proven: try --images with people"
    few = " (few: --images with more people says more)" if parity.poses < FEW_POSES else ""
    share = f"{parity.within:.2%} of {parity.keypoints} keypoints of {parity.poses} poses{few}"
    return f"{share} within {TOLERANCE:g} of {other}"


def _oks(parity: Parity) -> str:
    if not parity.published:
        return f"; no pose of {MIN_PUBLISHED_SCORE:g} or more, so the mean OKS is not checked"
    return f"; mean OKS {parity.mean_oks:.3f} over {parity.published} poses, {parity.lost} lost, {parity.false} false"
