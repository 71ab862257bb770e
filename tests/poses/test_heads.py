"""Heads decoded on the host: the same people as the published graph finds, from floats and from codes."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.poses.head_maps import HEAD_CHANNELS, HeadsSpec, MapSpec
from edge.poses.heads import HeadsDecoder
from head_maps import HEIGHT, PEOPLE, WIDTH, Floats, head_maps, whole_graph


def plain(channels: int) -> MapSpec:
    return MapSpec("float32", np.ones(channels, np.float32), np.zeros(channels, np.float32))


def float_spec(maps: int = 6) -> HeadsSpec:
    return HeadsSpec((WIDTH, HEIGHT), tuple(plain(channels) for channels in HEAD_CHANNELS[:maps]))


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
