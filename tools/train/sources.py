"""Opens the sources of a training, as the command line names them."""

import hashlib
from collections.abc import Callable, Sequence

from edge.models.files import ResolvedModel
from tools.train.data.batches import Share
from tools.train.data.coco import CocoSource
from tools.train.data.synthetic import MAX_FRAMES, SceneSource
from tools.train.options import Options
from tools.train.run.folder import TrainingFolder
from tools.train.teacher.heads_model import load_heads
from tools.train.teacher.labelling import Unlabelled, label_pictures
from tools.train.teacher.teacher import Teacher

__all__ = ["open_shares"]

MIN_FRAMES, VIEWS = 60, 10

Progress = Callable[[int, int, str], None]


def open_shares(
    options: Options, folder: TrainingFolder, teacher: ResolvedModel | None, on_progress: Progress
) -> Sequence[Share]:
    """Open all sources; pictures without labels are labelled first.

    The labels are kept in the training's folder.

    Args:
        options: the command line.
        folder: of the training.
        teacher: model that labels; needed where there are unlabelled pictures.
        on_progress: called with (done, total, label).

    Raises:
        EdgeError: a source, or the teacher, cannot be used.
    """
    shares = [
        Share(CocoSource(each.annotations, each.folder, by_model=each.by_model), each.weight)
        for each in options.annotated
    ]
    for number, each in enumerate(options.unlabelled, 1):
        assert teacher is not None
        labels = folder.labels(number)
        digest = hashlib.sha256(teacher.path.read_bytes()).hexdigest()
        pictures = Unlabelled(each.folder, each.boxes)
        label_pictures(pictures, Teacher(load_heads(teacher)), labels, digest, on_progress)
        shares.append(Share(CocoSource(labels, each.folder), each.weight))
    if options.scene:
        # A short training sees few of its frames twice, and need not wait for all to be drawn.
        wanted = max(MIN_FRAMES, options.steps * options.batch // VIEWS)
        shares.append(Share(SceneSource(frames=min(MAX_FRAMES, wanted)), options.scene))
    return shares
