"""All figures of a model: AP, people found, false poses, by size."""

import statistics
from collections import Counter
from typing import Any

from tools.evaluate.annotations import Annotations
from tools.evaluate.metrics.coco import average_precision, match_detections
from tools.evaluate.metrics.sizes import by_height
from tools.evaluate.prediction import Prediction

__all__ = ["figures_of"]


def figures_of(annotations: Annotations, prediction: Prediction, *, reported_min_score: float) -> dict[str, Any]:
    """Return all figures of poses on annotated images. Raises UnavailableError."""
    detections = prediction.detections(annotations)
    found = match_detections(detections, annotations)
    reported = match_detections(prediction.detections(annotations, min_score=reported_min_score), annotations)
    return {
        **average_precision(detections, annotations),
        "images": len(annotations.images),
        "people": annotations.people,
        "unreadable": len(prediction.unreadable),
        "size": _sizes(prediction),
        "ms_per_frame": round(statistics.median(prediction.times_ms), 2) if prediction.times_ms else None,
        "reported_min_score": reported_min_score,
        "reported": round(len(reported.found) / annotations.people, 4) if annotations.people else None,
        "false_per_image": round(len(reported.false) / len(annotations.images), 4),
        "by_height": by_height(annotations, prediction, found, reported),
    }


def _sizes(prediction: Prediction) -> str:
    """Return the sizes of the model's input, HxW, the most frequent first."""
    counted = Counter(prediction.input_sizes.values()).most_common()
    return ", ".join(f"{height}x{width}" for (width, height), _ in counted)
