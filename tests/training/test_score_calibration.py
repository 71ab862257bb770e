"""After the calibration a score is the share of those that are right."""

import numpy as np
import torch

from tools.train.data.batch import Batch
from tools.train.data.batches import Batches, Share
from tools.train.data.picture import Picture
from tools.train.data.synthetic import SceneSource
from tools.train.model.network import NetworkShape, PoseNetwork, normalize
from tools.train.model.score_calibration import Evidence, PlattScaling, calibrate_scores, fit_scaling, gather

SHAPE = NetworkShape(channels=(8, 12, 16, 16, 24), blocks=(1, 1, 1, 1), kernels=(3, 3, 3, 3), pyramid=12, head=12)


def evidence(*, gain: float, shift: float, count: int = 20000) -> Evidence:
    """Return logits that are right as often as sigmoid(gain * logit + shift) says."""
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(count, generator=generator) * 2 - 2
    right = torch.rand(count, generator=generator) < torch.sigmoid(gain * logits + shift)
    return Evidence(logits, right)


def batches(count: int) -> list[Batch]:
    source = Batches([Share(SceneSource(frames=24), 1)], size=4, side=96, seed=5)
    source.close()
    return [source.make(number) for number in range(count)]


def test_the_scaling_that_made_the_evidence_is_found_again() -> None:
    found = fit_scaling(evidence(gain=1.7, shift=0.8))
    assert abs(found.gain - 1.7) < 0.1
    assert abs(found.shift - 0.8) < 0.1


def test_what_is_right_by_its_score_already_stays_as_it_is() -> None:
    found = fit_scaling(evidence(gain=1, shift=0))
    assert abs(found.gain - 1) < 0.05
    assert abs(found.shift) < 0.1


def test_logits_that_say_nothing_do_not_turn_round() -> None:
    turned = evidence(gain=1, shift=0)
    assert fit_scaling(Evidence(-turned.logits, turned.right)).gain > 0


def test_the_network_itself_gives_the_new_scores() -> None:
    torch.manual_seed(1)
    network = PoseNetwork(SHAPE)
    for name in ("center", "heatmap"):  # so that there are peaks to be right or wrong
        torch.nn.init.normal_(network.heads[name][-1].weight, std=0.5)
    pixels = normalize(torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), dtype=np.uint8)))
    seen = batches(6)
    network.eval()
    before = network(pixels)
    done = calibrate_scores(network, seen, min_evidence=3)
    after = network(pixels)
    assert set(done) == {"center", "heatmap"}
    for head, values in before.items():
        scaling = done.get(head, PlattScaling(1, 0))
        assert torch.allclose(after[head], scaling.gain * values + scaling.shift, atol=1e-3)
    again = {head: fit_scaling(found) for head, found in gather(network, seen).items()}
    assert abs(again["heatmap"].shift) < 0.05


def test_too_little_evidence_changes_nothing() -> None:
    network = PoseNetwork(SHAPE)
    boxes = np.zeros((0, 4), np.float32)
    empty = Picture(np.zeros((96, 96, 3), np.uint8), np.zeros((0, 17, 3), np.float32), boxes, boxes, "")

    class Empty:
        name = "empty"

        def picture(self, _rng: np.random.Generator) -> Picture:
            return empty

    source = Batches([Share(Empty(), 1)], size=2, side=96)
    made = [source.make(0)]
    source.close()
    assert calibrate_scores(network, made) == {}
