"""Runs a model over annotated images, as the product does."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.camera.images import ImagesCamera
from edge.errors import InputError
from edge.estimator import Estimator
from edge.frame import Frame
from edge.ports import Engine
from edge.poses.letterbox import fit
from edge.poses.pose import Pose
from tools.evaluate.annotations import AnnotatedImage, Annotations
from tools.evaluate.crop import cut_frame
from tools.evaluate.metrics.coco import Detection, detections_of

__all__ = ["Prediction", "predict", "read_image"]

log = logging.getLogger(__name__)

SHAPE_TOLERANCE = 0.03


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's poses of the images, in their order.

    Attributes:
        poses: per image; none for one that cannot be read.
        times_ms: inference and decoding, per image that was read.
        unreadable: file names of images that cannot be read.
        input_sizes: (width, height) of the model's input, by the id of the image.
    """

    poses: tuple[tuple[Pose, ...], ...]
    times_ms: tuple[float, ...]
    unreadable: tuple[str, ...]
    input_sizes: Mapping[int, tuple[int, int]]

    def detections(self, annotations: Annotations, *, min_score: float = 0.0) -> list[Detection]:
        """Return the poses from `min_score` on in COCO's results format."""
        return [
            detection
            for image, poses in zip(annotations.images, self.poses, strict=True)
            for detection in detections_of(image.id, (pose for pose in poses if pose.score >= min_score), image.size)
        ]

    def height_px(self, image: AnnotatedImage, height: float) -> float:
        """Return the height in the model's input of `height` image pixels; that itself for an unreadable image."""
        input_size = self.input_sizes.get(image.id)
        return height if input_size is None else height * fit(image.size, input_size).inner_size[1] / image.size[1]


def predict(
    engine: Engine,
    annotations: Annotations,
    folder: Path,
    *,
    min_score: float = 0.0,
    max_people: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Run a model over all annotated images.

    Args:
        engine: fits its input to each image, unless its size is fixed.
        annotations: names the images.
        folder: has them.
        min_score: people below this score are left out.
        max_people: per image, the best; None for all.
        on_progress: called with (images done, all images).

    Raises:
        InputError: an image has another shape than its annotations.
    """
    estimator = Estimator(engine, min_score=min_score, max_people=max_people)
    poses: list[tuple[Pose, ...]] = []
    times_ms: list[float] = []
    unreadable: list[str] = []
    input_sizes: dict[int, tuple[int, int]] = {}
    for done, image in enumerate(annotations.images, 1):
        frame = read_image(folder / image.file_name)
        if frame is None:
            unreadable.append(image.file_name)
            poses.append(())
        else:
            _require_shape(frame, image, folder)
            made = estimator.input_of(cut_frame(frame, image))
            input_sizes[image.id] = made.letterbox.input_size
            start_s = time.perf_counter()
            poses.append(estimator.estimate(made).poses)
            times_ms.append((time.perf_counter() - start_s) * 1e3)
        if on_progress:
            on_progress(done, len(annotations.images))
    return Prediction(tuple(poses), tuple(times_ms), tuple(unreadable), input_sizes)


def read_image(path: Path) -> Frame | None:
    """Read a picture as the product does; None and a warning if unreadable."""
    camera = ImagesCamera(path, paced=False)
    try:
        camera.open()
    except InputError as error:
        log.warning("%s, skipped", error)
        return None
    return camera.read()


def _require_shape(frame: Frame, image: AnnotatedImage, folder: Path) -> None:
    """Refuse an image of another shape than its annotations.

    A smaller copy is fine; a turned or cut one would be scored at wrong places.
    """
    (width, height), (true_width, true_height) = frame.size, image.whole_size
    if abs(width * true_height - height * true_width) > SHAPE_TOLERANCE * width * true_height:
        raise InputError(
            f"{folder / image.file_name}: {width}x{height} pixels, the annotations are for {true_width}x{true_height} "
            "(width x height): another image, or one turned by its EXIF data"
        )
