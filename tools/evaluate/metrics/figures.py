"""All figures of a model: AP, people found, false poses, by size."""

import statistics
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
    width, height = prediction.input_size
    return {
        **average_precision(detections, annotations),
        "images": len(annotations.images),
        "people": annotations.people,
        "unreadable": len(prediction.unreadable),
        "size": f"{height}x{width}",
        "ms_per_frame": round(statistics.median(prediction.times_ms), 2) if prediction.times_ms else None,
        "reported_min_score": reported_min_score,
        "reported": round(len(reported.found) / annotations.people, 4) if annotations.people else None,
        "false_per_image": round(len(reported.false) / len(annotations.images), 4),
        "by_height": by_height(annotations, prediction, found, reported),
    }
