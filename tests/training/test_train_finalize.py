"""Scores of the finished network are set right on a copy, by photographs where there are any."""

import numpy as np
import pytest
import torch

from tools.train.data.batches import Share
from tools.train.data.picture import Picture
from tools.train.data.synthetic import SceneSource
from tools.train.model.finalize import with_calibrated_scores
from tools.train.model.network import PoseNetwork
from training.small import Pictures, few, person, picture, trainer


class Untouched(Pictures):
    """The scene, which must not be asked."""

    name = SceneSource.name

    def __init__(self) -> None:
        super().__init__(picture(person()), name=SceneSource.name)

    def picture(self, rng: np.random.Generator) -> Picture:
        raise AssertionError(rng)


def finish(network: PoseNetwork, *shares: Share) -> tuple[PoseNetwork, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    made = with_calibrated_scores(
        network, shares, side=64, seed=3, on_progress=lambda done, total, _what: told.append((done, total))
    )
    return made, told


def test_the_learned_network_stays_as_it_is_and_the_copy_has_other_scores() -> None:
    network = trainer().average
    before = {name: value.clone() for name, value in network.state_dict().items()}
    made, told = finish(network, few())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    changed = [name for name, value in made.state_dict().items() if not torch.equal(value, before[name])]
    assert changed
    assert all(name.startswith(("heads.center.", "heads.heatmap.")) for name in changed)
    assert told[-1] == (30, 30)


def test_photographs_are_asked_before_the_scene() -> None:
    finish(trainer().average, few(), Share(Untouched(), 5.0))
    with pytest.raises(AssertionError):
        finish(trainer().average, Share(Untouched(), 5.0))
