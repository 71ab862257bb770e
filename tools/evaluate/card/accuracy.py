"""Accuracy on annotated images and on the synthetic scene."""

from pathlib import Path
from typing import Any

from tools.evaluate.annotations import Annotations
from tools.evaluate.candidates import Candidate
from tools.evaluate.metrics.figures import figures_of
from tools.evaluate.metrics.pck import pck_on_images, pck_on_scene
from tools.evaluate.metrics.scene import score_scene
from tools.evaluate.prediction import predict
from tools.progress import ProgressBar

__all__ = ["accuracy"]

THREADS = 2


def accuracy(
    model: Candidate, annotations: Annotations, folder: Path, *, frames: int, min_score: float
) -> dict[str, Any]:
    """Measure a model on the images and the scene. Raises EdgeError.

    Args:
        model: its file and size.
        annotations: the people of the images.
        folder: has the images.
        frames: of the scene.
        min_score: from which on the product reports a person.

    Returns:
        `size` (HxW); `images`: see `figures_of`, and `largest` (see `pck_on_images`); `pck`: see
        `pck_on_scene`; `scene`: see `score_scene`. Without times, which mean nothing while others compute.
    """
    engine = model.engine(THREADS)
    width, height = size = engine.spec.input_size
    prediction = predict(engine, annotations, folder, on_progress=ProgressBar(f"{model.name}, images"))
    images = figures_of(annotations, prediction, reported_min_score=min_score)
    del images["ms_per_frame"]
    images["largest"] = pck_on_images(annotations, prediction, min_score=min_score)
    show = ProgressBar(f"{model.name}, scene")
    pck = pck_on_scene(engine, frames=frames, min_score=min_score, on_progress=show)
    engine.close()
    scene = score_scene(model.path, size, frames=frames, min_score=min_score)
    return {"size": f"{height}x{width}", "images": images, "pck": pck, "scene": scene}
