"""Heads decoded on the host: the same people as the published graph finds, from floats and from codes."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.poses.heads import HEAD_CHANNELS, HeadsDecoder, HeadsSpec, MapSpec

Floats = NDArray[np.float32]
WIDTH, HEIGHT = 40, 24  # lopsided: a swapped axis shows
RNG_SEED = 7


def plain(channels: int) -> MapSpec:
    return MapSpec("float32", np.ones(channels, np.float32), np.zeros(channels, np.float32))


def float_spec(maps: int = 6) -> HeadsSpec:
    return HeadsSpec((WIDTH, HEIGHT), tuple(plain(channels) for channels in HEAD_CHANNELS[:maps]))


def head_maps(*people: tuple[int, int], logit: float = 2.0, seed: int = RNG_SEED) -> list[Floats]:
    """Maps with noise everywhere and one person at each (y, x) cell, keypoints spread lopsidedly around it."""
    rng = np.random.default_rng(seed)
    center = rng.uniform(-9, -6, (HEIGHT, WIDTH, 1))
    heatmap = rng.uniform(-8, -2, (HEIGHT, WIDTH, 17))
    regression = rng.uniform(-3, 3, (HEIGHT, WIDTH, 34))
    offset = rng.uniform(-0.5, 0.5, (HEIGHT, WIDTH, 34))
    box_scale = rng.uniform(4, 8, (HEIGHT, WIDTH, 2))
    box_offset = rng.uniform(-0.5, 0.5, (HEIGHT, WIDTH, 2))
    for number, (y, x) in enumerate(people):
        center[y, x] = logit - 0.5 * number
        box_scale[y, x] = 12 + number, 7 + number
        for keypoint in range(17):
            away = keypoint // 3 - 3, keypoint % 4 - 1
            regression[y, x, 2 * keypoint : 2 * keypoint + 2] = away[0] + 0.3, away[1] - 0.4
            inside = np.clip([y + away[0], x + away[1]], 0, [HEIGHT - 1, WIDTH - 1])
            heatmap[inside[0], inside[1], keypoint] = 3 - 0.2 * keypoint
    return [each.astype(np.float32)[None] for each in (center, heatmap, regression, offset, box_scale, box_offset)]


def whole_graph(maps: Sequence[Floats], people: int = 6) -> Floats:
    """The published decode, over whole maps and without a thought for speed: (people, 56)."""
    doubles: list[NDArray[np.float64]] = [each[0].astype(np.float64) for each in maps]
    center, heat = 1 / (1 + np.exp(-doubles[0])), 1 / (1 + np.exp(-doubles[1]))
    regression, offset, box_scale, box_offset = doubles[2:]
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    padded = np.pad(center[..., 0], 2, constant_values=-1)
    highest = np.max([padded[i : i + HEIGHT, j : j + WIDTH] for i in range(5) for j in range(5)], axis=0)
    peaks = np.where(np.abs(highest - center[..., 0]) < 1e-6, center[..., 0], 0).ravel()
    rows, weighted = [], []
    for cell in np.argsort(-peaks, kind="stable")[:people]:
        y, x = divmod(int(cell), WIDTH)
        half = np.maximum(box_scale[y, x], 0) / 2
        middle = np.array([y, x]) + box_offset[y, x]
        box = np.clip(np.concatenate([middle - half, middle + half]), 0, [HEIGHT, WIDTH, HEIGHT, WIDTH])
        seeds = np.array([y, x]) + regression[y, x].reshape(17, 2)
        inside = (ys >= box[0]) & (xs >= box[1]) & (ys < box[2]) & (xs < box[3])
        squared = (ys[..., None] - seeds[:, 0]) ** 2 + (xs[..., None] - seeds[:, 1]) ** 2
        weighted.append(heat * np.exp(-squared / (0.3 * min(HEIGHT, WIDTH))) * inside[..., None])
        rows.append((box, peaks[cell], weighted[-1].reshape(-1, 17).argmax(0)))
    best = np.max(weighted, axis=0)
    result = []
    for box, score, cells in rows:
        y, x = np.divmod(cells, WIDTH)
        keypoints = np.stack([y, x], -1) + offset.reshape(HEIGHT, WIDTH, 17, 2)[y, x, np.arange(17)]
        scores = best[y, x, np.arange(17)]
        counts = scores > 0.127
        person = score * scores[counts].sum() / max(counts.sum(), 1)
        trio = np.concatenate([keypoints / [HEIGHT, WIDTH], scores[:, None]], 1)
        result.append(np.concatenate([trio.ravel(), box / [HEIGHT, WIDTH, HEIGHT, WIDTH], [person]]))
    return np.array(result, np.float32)


def quantized(maps: Sequence[Floats], dtype: str = "int8") -> tuple[list[NDArray[np.generic]], HeadsSpec]:
    """Maps as codes, each with a scale and a zero point of its own, each channel with a gain and a shift."""
    codes: list[NDArray[np.generic]] = []
    specs: list[MapSpec] = []
    rng = np.random.default_rng(3)
    for each in maps:
        channels = each.shape[-1]
        gain, shift = rng.uniform(0.5, 2, channels), rng.uniform(-1, 1, channels)
        inner = np.asarray((each - shift) / gain, np.float64)
        scale = float(inner.max() - inner.min()) / 250
        zero = round(-float(inner.min()) / scale) + (-125 if dtype == "int8" else 3)
        codes.append(np.asarray(np.rint(inner / scale + zero), dtype))
        meant = np.asarray(gain * scale, np.float32)
        specs.append(MapSpec(dtype, meant, (shift - meant * zero).astype(np.float32)))
    return codes, HeadsSpec((WIDTH, HEIGHT), tuple(specs))


def as_floats(codes: Sequence[NDArray[np.generic]], spec: HeadsSpec) -> list[Floats]:
    return [
        (each.astype(np.float32) * meant.scale + meant.shift).astype(np.float32)
        for each, meant in zip(codes, spec.maps, strict=True)
    ]


PEOPLE = [(6, 8), (15, 30), (20, 4)]


@pytest.mark.parametrize("people", [PEOPLE, [(0, 0), (23, 39)], [(12, 20), (12, 22)]])
def test_the_rows_are_those_of_the_whole_graph(people: list[tuple[int, int]]) -> None:
    maps = head_maps(*people)
    np.testing.assert_allclose(HeadsDecoder(float_spec()).rows(maps)[0], whole_graph(maps), atol=2e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_codes_are_read_through_the_scale_and_shift_of_their_own_channel(dtype: str) -> None:
    codes, spec = quantized(head_maps(*PEOPLE), dtype)
    expected = whole_graph(as_floats(codes, spec))[: len(PEOPLE)]
    np.testing.assert_allclose(HeadsDecoder(spec).rows(codes)[0][: len(PEOPLE)], expected, atol=1e-4)


def test_neighbours_of_one_code_are_one_center() -> None:
    codes, spec = quantized(head_maps((6, 8), (15, 30)))
    codes[0][0, 6, 9] = codes[0][0, 7, 7] = codes[0][0, 6, 8]
    rows = HeadsDecoder(spec).rows(codes, min_score=0.3, max_people=30)[0]
    assert len(rows) == 2


def test_more_than_six_people_are_found_where_the_graph_stops() -> None:
    people = [(y, x) for y in (5, 18) for x in (4, 13, 22, 31)]
    rows = HeadsDecoder(float_spec()).rows(head_maps(*people, logit=4), min_score=0.2, max_people=30)[0]
    assert (rows[:, 55] >= 0.2).sum() == 8
    assert len(HeadsDecoder(float_spec()).rows(head_maps(*people, logit=4))[0]) == 6


def test_people_whose_center_is_too_weak_are_not_looked_for() -> None:
    maps = head_maps(*PEOPLE)
    rows = HeadsDecoder(float_spec()).rows(maps, min_score=0.2)[0]
    np.testing.assert_allclose(rows, whole_graph(maps)[: len(rows)], atol=2e-5)
    assert len(rows) == len(PEOPLE)


def test_a_person_with_an_empty_box_gets_the_first_cell_as_the_graph_has_it() -> None:
    maps = head_maps(*PEOPLE)
    maps[4][0, 6, 8] = -1
    np.testing.assert_allclose(HeadsDecoder(float_spec()).rows(maps)[0], whole_graph(maps), atol=2e-5)


def test_without_boxes_keypoints_are_searched_for_around_their_seeds() -> None:
    maps = head_maps(*PEOPLE)
    rows = HeadsDecoder(float_spec(4)).rows(maps[:4], min_score=0.2)[0]
    expected = whole_graph(maps)[: len(PEOPLE)]
    np.testing.assert_allclose(rows[:, :51], expected[:, :51], atol=2e-5)
    np.testing.assert_allclose(rows[:, 55], expected[:, 55], atol=2e-5)
    trio = rows[:, :51].reshape(-1, 17, 3)
    for box, keypoints in zip(rows[:, 51:55], trio, strict=True):
        trusted = keypoints[keypoints[:, 2] >= 0.2, :2]
        np.testing.assert_allclose(box, np.clip([*trusted.min(0), *trusted.max(0)], 0, 1), atol=1e-6)


def test_scores_after_the_sigmoid_are_taken_as_they_are() -> None:
    maps = head_maps(*PEOPLE)
    activated = [(1 / (1 + np.exp(-each))).astype(np.float32) for each in maps[:2]]
    spec = HeadsSpec((WIDTH, HEIGHT), float_spec().maps, logits=False)
    np.testing.assert_allclose(HeadsDecoder(spec).rows([*activated, *maps[2:]])[0], whole_graph(maps), atol=2e-5)


def test_an_empty_room_has_no_people() -> None:
    rows = HeadsDecoder(float_spec()).rows(head_maps(), min_score=0.2, max_people=30)
    assert rows.shape == (1, 0, 56)


def test_extreme_logits_are_scores_still() -> None:
    maps = head_maps((6, 8))
    maps[0][0, :3] = -3e4
    maps[1][0, 10:] = -3e4
    rows = HeadsDecoder(float_spec()).rows(maps)
    assert np.isfinite(rows).all()


def test_one_decoder_gives_the_same_rows_for_the_same_maps_whatever_came_between() -> None:
    decoder = HeadsDecoder(float_spec())
    first = decoder.rows(head_maps(*PEOPLE))
    decoder.rows(head_maps((2, 2), (20, 35), seed=11))
    np.testing.assert_array_equal(decoder.rows(head_maps(*PEOPLE)), first)
