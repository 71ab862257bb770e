"""A trainer learns, goes on where it was, and stops where there is nothing to go on with."""

from dataclasses import replace

import pytest
import torch

from edge.errors import ModelError
from tools.train.data.batch import SoftMaps
from tools.train.model.network import NetworkShape
from tools.train.run.checkpoint import Checkpoint
from tools.train.run.loop import DivergedError
from training.small import SHAPE, batches, trainer


def weights(checkpoint: Checkpoint) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in checkpoint.weights.values()])


def test_the_loss_falls_on_pictures_seen_again_and_again() -> None:
    made = batches()
    batch = made.make(0)
    made.close()
    learner = trainer(60, rate=0.01)
    lost = [learner.learn(batch)["loss"] for _ in range(60)]
    assert lost[-1] < 0.6 * lost[0]
    assert learner.step == 60


def test_a_resumed_training_ends_as_if_nothing_had_been() -> None:
    made = batches()
    these = [made.make(number) for number in range(6)]
    made.close()
    whole, first, second = trainer(6), trainer(6), trainer(6)
    for batch in these:
        whole.learn(batch)
    for batch in these[:3]:
        first.learn(batch)
    second.resume(first.checkpoint())
    assert second.step == 3
    assert second.rate == first.rate
    for batch in these[3:]:
        second.learn(batch)
    assert torch.equal(weights(second.checkpoint()), weights(whole.checkpoint()))
    assert all(
        torch.equal(value, whole.average.state_dict()[name]) for name, value in second.average.state_dict().items()
    )


def test_the_rate_rises_and_falls_as_half_a_cosine() -> None:
    learner = trainer(100, rate=1.0, warmup=10)
    rates = []
    for step in range(100):
        learner.step = step
        rates.append(learner.rate)
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.01


def test_the_average_follows_the_network() -> None:
    learner = trainer(30)
    made = batches()
    batch = made.make(0)
    made.close()
    for _ in range(5):
        learner.learn(batch)
    average, network = learner.average.stem[2], learner.network.stem[2]  # the normalization
    assert not torch.equal(average.running_mean, network.running_mean)
    assert torch.dist(average.running_mean, network.running_mean) < torch.dist(
        torch.zeros_like(network.running_mean), network.running_mean
    )


def test_a_loss_that_is_no_number_names_the_batch_and_changes_no_weight() -> None:
    learner = trainer()
    made = batches()
    good, bad = made.make(0), made.make(1)
    made.close()
    learner.learn(good)
    before = [value.detach().clone() for value in learner.network.parameters()]
    bad.seeds[0, 0] = float("nan")
    with pytest.raises(
        DivergedError, match=r"^batch 1: the loss or its gradient is no number \(center .*regression nan"
    ):
        learner.learn(bad)
    assert learner.step == 1
    assert all(torch.equal(one, other) for one, other in zip(before, learner.network.parameters(), strict=True))


def test_the_pictures_of_a_bad_batch_come_with_the_error() -> None:
    learner = trainer()
    made = batches()
    bad = made.make(0)
    made.close()
    bad.seeds[:] = float("inf")
    with pytest.raises(DivergedError) as caught:
        learner.learn(bad)
    assert caught.value.names == bad.names
    assert caught.value.exit_code == 70


def test_a_checkpoint_of_another_network_is_refused_naming_both() -> None:
    other = replace(trainer().checkpoint(), shape=NetworkShape(pyramid=99))
    with pytest.raises(ModelError, match=f"of another network .*pyramid 99.* than the requested one .{SHAPE}"):
        trainer().resume(other)


def test_a_checkpoint_with_weights_missing_is_refused() -> None:
    whole = trainer().checkpoint()
    with pytest.raises(ModelError, match="damaged"):
        trainer().resume(replace(whole, weights={}))


def test_soft_targets_are_learned_when_they_count() -> None:
    made = batches()
    plain = made.make(0)
    made.close()
    maps = SoftMaps(
        torch.full((2, 1, 16, 16), 0.9),
        torch.full((2, 17, 16, 16), 0.01),
        torch.ones(2, 34, 16, 16),
        torch.zeros(2, 34, 16, 16),
    )
    learner = trainer(soft=2.0)
    lost = learner.learn(replace(plain, soft=maps))
    assert lost["loss"] == pytest.approx(
        lost["center"] + lost["heatmap"] + 20 * lost["regression"] + lost["offset"] + 2 * lost["soft"], rel=1e-4
    )
    for _ in range(25):
        last = learner.learn(replace(plain, soft=maps))
    assert last["soft"] < lost["soft"]
    assert "soft" not in learner.learn(plain)


def test_a_gradient_that_is_no_number_changes_no_weight_though_the_loss_is_one() -> None:
    learner = trainer()
    made = batches()
    batch = made.make(0)
    made.close()
    parameters = list(learner.network.parameters())
    before = [value.detach().clone() for value in parameters]
    parameters[0].register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(DivergedError):
        learner.learn(batch)
    assert all(torch.equal(one, other) for one, other in zip(before, parameters, strict=True))
