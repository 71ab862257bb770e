"""COCO's keypoint figures: AP and AR by OKS (pycocotools).

See cocodataset.org, "keypoints-eval".

`average_precision(detections, annotations)`; detections come from `evaluate.prediction`.
"""

import contextlib
import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.errors import UnavailableError
from edge.poses.pose import Pose
from tools.evaluate.annotations import CATEGORY, Annotations

__all__ = ["FIGURES", "Detection", "Outcome", "average_precision", "detections_of", "match_detections"]

FIGURES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
"""COCO's ten, in pycocotools' order: over OKS 0.50 to 0.95; at 0.50; at 0.75; medium (32^2 to 96^2 px); large."""

Detection = dict[str, Any]
"""One pose in COCO's results format: image_id, category_id, keypoints (51 values, pixels), score."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who was found at OKS 0.50.

    Attributes:
        found: ids of the annotations on which a detection lies.
        false: indices of the detections matched with no annotation, crowds and people without keypoints included.
    """

    found: frozenset[int]
    false: tuple[int, ...]


def detections_of(image_id: int, poses: Iterable[Pose], size: tuple[int, int]) -> list[Detection]:
    """Return poses in COCO's results format.

    `size` is the image's (width, height) in pixels.
    """
    found = []
    for pose in poses:
        xy_px = pose.keypoints[:, :2].astype(np.float64) * size
        # COCO's third value of a keypoint is not looked at in results.
        keypoints = np.concatenate([xy_px, np.ones((len(xy_px), 1))], axis=1).ravel().tolist()
        found.append(
            {"image_id": image_id, "category_id": CATEGORY, "keypoints": keypoints, "score": float(pose.score)}
        )
    return found


def average_precision(detections: Sequence[Detection], annotations: Annotations) -> dict[str, float | None]:
    """Return COCO's ten FIGURES, 0..1.

    None where the annotations have no person of that size.

    Raises:
        UnavailableError: pycocotools is not installed.
    """
    evaluation = _evaluate(detections, annotations)
    with _quiet():
        evaluation.accumulate()
        evaluation.summarize()
    return {name: None if value < 0 else float(value) for name, value in zip(FIGURES, evaluation.stats, strict=True)}


def match_detections(detections: Sequence[Detection], annotations: Annotations) -> Outcome:
    """Match detections with people at OKS 0.50, as COCO does.

    Raises:
        UnavailableError: pycocotools is not installed.
    """
    evaluation = _evaluate(detections, annotations)
    found: set[int] = set()
    false: list[int] = []
    for image in evaluation.evalImgs[: len(annotations.images)]:  # the first block is that of all sizes
        if image is None:
            continue
        found.update(int(at) for at, match in zip(image["gtIds"], image["gtMatches"][0], strict=True) if match)
        # What lies on a crowd is paired with it too, and so not false.
        pairs = zip(image["dtIds"], image["dtMatches"][0], strict=True)
        false += [int(at) - 1 for at, match in pairs if not match]
    return Outcome(frozenset(found), tuple(sorted(false)))


def _evaluate(detections: Sequence[Detection], annotations: Annotations) -> Any:
    """Return pycocotools' COCOeval with every image matched.

    Detection number i has id i + 1.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pycocotools is not ours to mend
            from pycocotools.coco import COCO  # noqa: PLC0415  (an extra, reported in one line where it is missing)
            from pycocotools.cocoeval import COCOeval  # noqa: PLC0415  (likewise)
    except ImportError as error:
        raise UnavailableError("COCO's figures need pycocotools: pip install 'edge-pose[evaluate]'") from error
    with _quiet():
        truth, results = COCO(), COCO()
        truth.dataset = annotations.dataset()
        truth.createIndex()
        if detections:
            results = truth.loadRes([dict(each) for each in detections])
        else:  # loadRes cannot take an empty list
            results.dataset = truth.dataset | {"annotations": []}
            results.createIndex()
        evaluation = COCOeval(truth, results, "keypoints")
        evaluation.evaluate()
    return evaluation


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep pycocotools' report from stdout."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
