"""Losses are nothing where the heads say what is true, and do not look where nothing is known."""

from dataclasses import replace

import torch

from tools.train.data.batch import Batch, SoftMaps, collate
from tools.train.data.targets import make_targets
from tools.train.model.losses import focal, losses, soft_losses
from training.small import person, picture


def batch(*, ignored: bool = False) -> Batch:
    boxes = [(80, 30, 116, 86)] if ignored else []
    pictures = [picture(person()), picture(person(50, 12, 30, 60), ignored=boxes)]
    cut = [replace(each, image=each.image[:88]) for each in pictures]
    return collate(cut, [make_targets(each) for each in cut])


def perfect(truth: Batch) -> dict[str, torch.Tensor]:
    """Heads that say what the targets ask for."""
    count, height, width = truth.center.shape
    regression, offset = torch.zeros(count, 34, height, width), torch.zeros(count, 34, height, width)
    index, y, x = truth.seed_cells.unbind(1)
    regression[index, :, y, x] = truth.seeds
    index, which, y, x = truth.offset_cells.unbind(1)
    for place in (0, 1):
        offset[index, 2 * which + place, y, x] = truth.offsets[:, place]
    logit = torch.logit
    return {
        "center": logit(truth.center.clamp(1e-6, 1 - 1e-6))[:, None],
        "heatmap": logit(truth.heat.clamp(1e-6, 1 - 1e-6)),
        "regression": regression,
        "offset": offset,
    }


def test_heads_that_say_the_truth_lose_next_to_nothing() -> None:
    truth = batch()
    good = losses(perfect(truth), truth)
    assert float(good["regression"]) == 0
    assert float(good["offset"]) < 1e-6
    # Beside a peak the truth of a Gaussian is below 1, which a focal loss never calls right.
    empty = {name: torch.full_like(values, -6.0) for name, values in perfect(truth).items()}
    bad = losses(empty, truth)
    assert float(good["center"]) < 0.2 * float(bad["center"])
    assert float(good["heatmap"]) < 0.2 * float(bad["heatmap"])


def test_a_keypoint_that_is_wrong_by_a_tenth_of_the_person_loses_a_tenth() -> None:
    truth = batch()
    heads = perfect(truth)
    index, y, x = truth.seed_cells.unbind(1)
    extents = 1 / truth.seed_weights.max(dim=1).values
    heads["regression"][index, :, y, x] += 0.1 * extents[:, None]
    assert abs(float(losses(heads, truth)["regression"]) - 0.1) < 1e-4


def test_unknown_keypoints_do_not_make_the_others_count_less() -> None:
    truth = batch()
    truth = replace(truth, seed_weights=truth.seed_weights * (torch.arange(34) >= 10))
    heads = perfect(truth)
    index, y, x = truth.seed_cells.unbind(1)
    heads["regression"][index, :, y, x] += 0.1 / truth.seed_weights.max(dim=1, keepdim=True).values
    assert abs(float(losses(heads, truth)["regression"]) - 0.1) < 1e-4


def test_an_offset_that_is_wrong_by_half_a_cell_loses_half() -> None:
    truth = batch()
    heads = perfect(truth)
    heads["offset"] += 0.5
    assert abs(float(losses(heads, truth)["offset"]) - 0.5) < 1e-4


def test_what_is_said_where_nothing_is_known_costs_nothing() -> None:
    truth = batch(ignored=True)
    heads = perfect(truth)
    before = losses(heads, truth)
    heads["center"][1, 0][~truth.center_judged[1]] = 5.0
    heads["heatmap"][1][truth.heat_judged[1] == 0] = 5.0
    after = losses(heads, truth)
    assert float(after["center"]) == float(before["center"])
    assert float(after["heatmap"]) == float(before["heatmap"])
    heads["center"][1, 0, 0, 0] = 5.0  # where something is known
    assert float(losses(heads, truth)["center"]) > float(before["center"]) + 1


def test_a_batch_of_nobody_has_a_loss_that_is_a_number() -> None:
    empty = picture()
    cut = replace(empty, image=empty.image[:88])
    truth = collate([cut], [make_targets(cut)])
    parts = losses({name: torch.zeros_like(values) for name, values in perfect(truth).items()}, truth)
    assert all(torch.isfinite(part) for part in parts.values())
    assert float(parts["regression"]) == float(parts["offset"]) == 0


def test_a_focal_loss_counts_a_sure_mistake_more() -> None:
    truth, judged = torch.zeros(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    unsure, sure = focal(torch.full((1, 2, 2), -1.0), truth, judged), focal(torch.full((1, 2, 2), 3.0), truth, judged)
    assert float(sure) > 20 * float(unsure)


def soft(truth: Batch) -> tuple[dict[str, torch.Tensor], SoftMaps]:
    heads = perfect(truth)
    scores = {name: torch.sigmoid(heads[name]) for name in ("center", "heatmap")}
    return heads, SoftMaps(scores["center"], scores["heatmap"], heads["regression"].clone(), heads["offset"].clone())


def test_whoever_says_what_the_teacher_says_loses_nothing() -> None:
    heads, maps = soft(batch())
    assert all(abs(float(part)) < 1e-3 for part in soft_losses(heads, maps).values())


def test_a_teacher_is_believed_only_where_it_is_sure() -> None:
    heads, maps = soft(batch())
    unsure = maps.center[:, 0] < 0.3
    heads["regression"].permute(0, 2, 3, 1)[unsure] += 7.0
    heads["offset"] = torch.where(maps.heatmap.repeat_interleave(2, dim=1) < 0.3, heads["offset"] + 7, heads["offset"])
    parts = soft_losses(heads, maps)
    assert float(parts["regression"]) == 0
    assert float(parts["offset"]) == 0
    heads["regression"] += 1.0
    heads["offset"] += 1.0
    parts = soft_losses(heads, maps)
    assert 0 < float(parts["regression"]) < 1
    assert abs(float(parts["offset"]) - 1) < 1e-4


def test_a_score_that_is_not_the_teachers_costs() -> None:
    heads, maps = soft(batch())
    heads["center"] += 1.0
    parts = soft_losses(heads, maps)
    assert float(parts["center"]) > 0.05
    assert abs(float(parts["heatmap"])) < 1e-3
