"""Batch n is batch n, whoever makes it."""

import itertools

import numpy as np
import pytest
import torch

from edge.errors import InputError
from tools.train.data.augment import Variety
from tools.train.data.batch import Batch, SoftMaps
from tools.train.data.batches import Batches, Share
from tools.train.data.picture import Picture
from training.small import Pictures, batches, few, person, picture


def take(made: Batches, count: int) -> list[Batch]:
    try:
        return list(itertools.islice(made, count))
    finally:
        made.close()


def alike(one: Batch, other: Batch) -> bool:
    return one.names == other.names and all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("pixels", "center", "heat", "seeds", "offsets")
    )


def test_the_batches_are_the_same_whatever_the_number_of_workers() -> None:
    alone, several = take(batches(workers=1), 7), take(batches(workers=3), 7)
    assert all(alike(one, other) for one, other in zip(alone, several, strict=True))
    assert not alike(alone[0], alone[1])


def test_a_training_that_goes_on_gets_the_batches_it_would_have_got() -> None:
    whole, rest = take(batches(), 5), take(batches(first=3, workers=2), 2)
    assert alike(whole[3], rest[0])
    assert alike(whole[4], rest[1])


def test_another_seed_gives_other_batches() -> None:
    assert not alike(take(batches(seed=1), 1)[0], take(batches(seed=2), 1)[0])


def test_sources_are_used_by_their_weights() -> None:
    often = Share(Pictures(picture(person(), name="often")), 3.0)
    seldom = Share(Pictures(picture(person(), name="seldom")), 1.0)
    made = Batches([often, seldom], size=200, side=64)
    names = [name for whole in take(made, 1)[0].names for name in whole.split(", ")]
    assert 0.68 < names.count("often") / len(names) < 0.82


def test_people_in_a_mosaic_are_no_larger_than_their_part_of_it() -> None:
    batch = take(Batches([Share(Pictures(picture(person())), 1.0)], size=200, side=192, variety=Variety(close=0.0)), 1)[
        0
    ]
    mosaics = torch.tensor(["," in name for name in batch.names])
    assert 0.05 < mosaics.float().mean() < 0.15
    of_mosaics = mosaics[batch.seed_cells[:, 0]]
    known = (batch.seed_weights[of_mosaics] > 0).float().mean()
    assert known > 0.95


def test_targets_carry_the_number_of_their_picture() -> None:
    batch = take(batches(size=5), 1)[0]
    assert batch.pixels.shape == (5, 64, 64, 3)
    assert batch.pixels.dtype == torch.uint8
    assert batch.center.shape == (5, 16, 16)
    assert batch.seed_cells.shape[1] == 3
    assert batch.offset_cells.shape[1] == 4
    for number, y, x in batch.seed_cells.tolist():
        assert batch.center[number, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max() > 0.99


def test_a_batch_moves_to_a_device_whole() -> None:
    batch = take(batches(), 1)[0].to(torch.device("cpu"))
    assert batch.names
    assert batch.soft is None


class Broken:
    """A source that gives out."""

    name = "broken"

    def __init__(self, good: int) -> None:
        self._left = good

    def picture(self, rng: np.random.Generator) -> Picture:
        self._left -= 1
        if self._left < 0:
            raise InputError("the share is gone")
        return picture(person(float(rng.uniform(10, 20))))


def test_what_goes_wrong_in_a_worker_is_told_where_its_batch_is_asked_for() -> None:
    made = batches(Share(Broken(40), 1.0))
    try:
        with pytest.raises(InputError, match="the share is gone"):
            list(itertools.islice(made, 100))
    finally:
        made.close()


class Level:
    """A teacher whose center score is the mean brightness of the picture."""

    def maps(self, pictures: list[Picture]) -> SoftMaps:
        means = torch.tensor([float(each.image.mean()) for each in pictures])
        nothing = torch.zeros(len(pictures), 34, 16, 16)
        return SoftMaps(means[:, None, None, None], nothing[:, :17], nothing, nothing)


def test_a_teacher_is_shown_the_very_pictures_that_are_learned_from() -> None:
    made = Batches([few()], size=3, side=64, mapper=Level())  # type: ignore[arg-type]
    batch = take(made, 1)[0].to(torch.device("cpu"))
    assert batch.soft is not None
    assert torch.allclose(batch.soft.center.flatten(), batch.pixels.float().mean(dim=(1, 2, 3)), rtol=1e-4)
