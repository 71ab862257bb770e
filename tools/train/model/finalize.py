"""What was learned becomes a network whose scores mean something."""

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence

from tools.train.data.batch import Batch
from tools.train.data.batches import Batches, Share
from tools.train.data.synthetic import SceneSource
from tools.train.model.network import PoseNetwork
from tools.train.model.score_calibration import calibrate_scores

__all__ = ["with_calibrated_scores"]

BATCHES, SIZE = 30, 16
"""Enough pictures for two numbers per head."""

Progress = Callable[[int, int, str], None]


def with_calibrated_scores(
    network: PoseNetwork, shares: Sequence[Share], *, side: int, seed: int, on_progress: Progress
) -> PoseNetwork:
    """Return a copy on the CPU whose scores are probabilities.

    See `train.model.score_calibration`.

    They are those of photographs, where there are any: in the synthetic scene people are found too surely.

    Args:
        network: what was learned; it stays as it is.
        shares: what it learned from.
        side: of the square input in pixels.
        seed: of the training, whose views of the pictures are not shown again.
        on_progress: called with (done, total, label).
    """
    made: PoseNetwork = copy.deepcopy(network).to("cpu")
    photographs = [share for share in shares if share.source.name != SceneSource.name]
    batches = Batches(photographs or shares, size=SIZE, side=side, seed=seed + 1)
    with contextlib.closing(batches):
        calibrate_scores(made, _counted(batches, on_progress))
    return made


def _counted(batches: Batches, on_progress: Progress) -> Iterator[Batch]:
    for number, batch in enumerate(itertools.islice(batches, BATCHES), 1):
        yield batch
        on_progress(number, BATCHES, "scores")
