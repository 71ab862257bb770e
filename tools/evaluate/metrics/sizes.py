"""Detection rate by people's height in the model's input."""

import itertools
from typing import Any

from tools.evaluate.annotations import Annotations
from tools.evaluate.metrics.coco import Outcome
from tools.evaluate.prediction import Prediction

__all__ = ["HEIGHTS_PX", "by_height"]

HEIGHTS_PX = (0, 16, 32, 48, 64, 96, 128, 192, 1_000_000)


def by_height(
    annotations: Annotations, prediction: Prediction, found: Outcome, reported: Outcome
) -> list[dict[str, Any]]:
    """Return people and detection rate per height range in the input.

    Args:
        annotations: the people.
        prediction: has the size of the input.
        found: who is found by poses of any score.
        reported: who is found by those that the product would report.

    Returns:
        rows of `from_px`, `to_px` (exclusive, None for the last), `people`, and `found` and `reported` (0..1); ranges
        without people are left out.
    """
    people = [
        (prediction.height_px(image, person["bbox"][3]), person["id"])
        for image in annotations.images
        for person in image.wanted
    ]
    rows = []
    for low, high in itertools.pairwise(HEIGHTS_PX):
        inside = [person for height, person in people if low <= height < high]
        if inside:
            rows.append(
                {
                    "from_px": low,
                    "to_px": None if high == HEIGHTS_PX[-1] else high,
                    "people": len(inside),
                    "found": _share(inside, found),
                    "reported": _share(inside, reported),
                }
            )
    return rows


def _share(people: list[int], outcome: Outcome) -> float:
    return round(sum(person in outcome.found for person in people) / len(people), 4)
