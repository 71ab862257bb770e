"""Heads are identified by the notes or by the tensors' names, and refused if neither does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.engine.litert import LiteRtEngine
from edge.errors import ModelError
from edge.poses.decode import Decoder
from edge.poses.head_maps import HEADS
from edge.poses.letterbox import fit
from edge.tflite.notes import Affine, Notes, Source, encode_notes
from head_maps import HEIGHT, PEOPLE, WIDTH, head_maps, whole_graph
from tiny_models import heads_model

SOURCE = Source(name="made_up", digest=f"sha256:{'0' * 64}")
Map = tuple[NDArray[Any], tuple[float, int] | None]


def named_maps(*, names: tuple[str, ...] = HEADS) -> dict[str, Map]:
    return {name: (values, None) for name, values in zip(names, head_maps(*PEOPLE), strict=True)}


def rows_of(path: Path) -> NDArray[np.float32]:
    """What the engine and the decoder make of a file, laid out like the whole graph's rows, best person first."""
    engine = LiteRtEngine(path, name="heads")
    spec = engine.size_for((1280, 720))
    assert spec.kind == "heads"
    outputs = engine.run(np.zeros((1, 4 * HEIGHT, 4 * WIDTH, 3), np.uint8))
    poses = Decoder().decode(spec, outputs, fit((4 * WIDTH, 4 * HEIGHT), (4 * WIDTH, 4 * HEIGHT)), min_score=0.2)
    rows = [
        np.concatenate([pose.keypoints[:, [1, 0, 2]].ravel(), pose.box_xyxy[[1, 0, 3, 2]], [pose.score]])
        for pose in poses
    ]
    return np.array(rows, np.float32)


def expected_rows() -> NDArray[np.float32]:
    rows = whole_graph(head_maps(*PEOPLE))[: len(PEOPLE)]
    return rows[np.argsort(-rows[:, 55])]


def notes(*heads: str, affine: dict[str, Affine] | None = None) -> bytes:
    return encode_notes(
        Notes(kind="heads", heads=heads, affine=affine or {}, quantization="none", source=SOURCE, tool="test")
    )


def shuffled(maps: dict[str, Map]) -> dict[str, Map]:
    return {name: maps[name] for name in sorted(maps, reverse=True)}


@pytest.mark.parametrize(
    "names",
    [
        HEADS,
        ("center_0", "kpt_heatmap_0", "kpt_regress_0", "kpt_offset_0", "box_scale_0", "box_offset_0"),
        tuple(f"StatefulPartitionedCall/{name}/conv2d_5/BiasAdd;{name}/bias" for name in HEADS),
    ],
)
def test_heads_are_known_by_their_names_in_any_order(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = heads_model(tmp_path / "heads.tflite", shuffled(named_maps(names=names)))
    np.testing.assert_allclose(rows_of(path), expected_rows(), atol=2e-5)


def test_the_notes_of_a_file_tell_more_than_its_names(tmp_path: Path) -> None:
    order = ("offset", "box_offset", "regression", "center", "box_scale", "heatmap")
    maps = named_maps()
    anonymous = {f"Identity_{number}": maps[name] for number, name in enumerate(order)}
    path = heads_model(tmp_path / "heads.tflite", anonymous, notes=notes(*order))
    np.testing.assert_allclose(rows_of(path), expected_rows(), atol=2e-5)


def test_notes_beside_a_file_that_lost_its_own_are_as_good(tmp_path: Path) -> None:
    maps = {f"Identity_{number}": each for number, each in enumerate(named_maps().values())}
    path = heads_model(tmp_path / "heads_edgetpu.tflite", maps)
    (tmp_path / "heads_edgetpu.tflite.json").write_bytes(notes(*HEADS))
    np.testing.assert_allclose(rows_of(path), expected_rows(), atol=2e-5)


def test_our_names_outweigh_the_order_of_the_notes(tmp_path: Path) -> None:
    path = heads_model(tmp_path / "heads_edgetpu.tflite", shuffled(named_maps()))
    (tmp_path / "heads_edgetpu.tflite.json").write_bytes(notes(*HEADS))
    np.testing.assert_allclose(rows_of(path), expected_rows(), atol=2e-5)


def test_scores_that_are_named_after_their_sigmoid_are_no_logits(tmp_path: Path) -> None:
    names = ("center_0/conv/Sigmoid", "kpt_heatmap_0/Sigmoid", *HEADS[2:])
    maps = named_maps(names=names)
    for name in names[:2]:
        maps[name] = (1 / (1 + np.exp(-maps[name][0])), None)
    np.testing.assert_allclose(rows_of(heads_model(tmp_path / "heads.tflite", maps)), expected_rows(), atol=2e-5)


def test_each_map_is_read_through_its_own_quantization(tmp_path: Path) -> None:
    maps = named_maps()
    for number, name in enumerate(("center", "regression", "box_scale")):
        values = maps[name][0]
        scale = float(np.abs(values).max()) / 120
        zero = 5 - number
        maps[name] = (np.round(values / scale + zero).clip(-128, 127).astype(np.int8), (scale, zero))
    found, expected = rows_of(heads_model(tmp_path / "heads.tflite", maps)), expected_rows()
    np.testing.assert_allclose(found[:, :51].reshape(-1, 3)[:, :2], expected[:, :51].reshape(-1, 3)[:, :2], atol=0.02)
    np.testing.assert_allclose(found[:, 51:], expected[:, 51:], atol=0.05)


def test_rescaled_channels_are_scaled_back_by_the_notes(tmp_path: Path) -> None:
    maps = named_maps(names=("center", "heatmap", "regression:scaled", "offset", "box_scale", "box_offset"))
    gain, shift = np.linspace(0.5, 3, 34), np.linspace(-2, 1, 34)
    maps["regression:scaled"] = (((maps["regression:scaled"][0] - shift) / gain).astype(np.float32), None)
    affine = {"regression": Affine(gain=tuple(gain.tolist()), shift=tuple(shift.tolist()))}
    path = heads_model(tmp_path / "heads.tflite", maps, notes=notes(*HEADS, affine=affine))
    np.testing.assert_allclose(rows_of(path), expected_rows(), atol=1e-4)


def test_rescaled_channels_without_their_notes_are_refused(tmp_path: Path) -> None:
    maps = named_maps(names=("center", "heatmap", "regression:scaled", "offset", "box_scale", "box_offset"))
    with pytest.raises(ModelError, match=r"notes of this model are lost.*heads\.tflite\.json"):
        LiteRtEngine(heads_model(tmp_path / "heads.tflite", maps), name="heads")


def test_maps_without_telling_names_are_refused(tmp_path: Path) -> None:
    maps = {f"Identity_{number}": each for number, each in enumerate(named_maps().values())}
    with pytest.raises(ModelError, match=r"which head is 'Identity_0'\?.*center.*tools/convert\.py"):
        LiteRtEngine(heads_model(tmp_path / "heads.tflite", maps), name="heads")


def test_a_name_on_a_map_of_another_shape_is_refused(tmp_path: Path) -> None:
    swapped = ("heatmap", "center", "regression", "offset", "box_scale", "box_offset")
    with pytest.raises(ModelError, match="needed is 'center' with 1 channels"):
        LiteRtEngine(heads_model(tmp_path / "heads.tflite", named_maps(names=swapped)), name="heads")


def test_two_maps_of_one_name_are_refused(tmp_path: Path) -> None:
    names = ("center", "heatmap", "offset", "kpt_offset_0", "box_scale", "box_offset")
    with pytest.raises(ModelError, match="needed is 'regression'"):
        LiteRtEngine(heads_model(tmp_path / "heads.tflite", named_maps(names=names)), name="heads")


def test_notes_that_promise_heads_where_none_are_is_refused(tmp_path: Path) -> None:
    path = heads_model(tmp_path / "one.tflite", {"t": (np.zeros((1, 6, 56), np.float32), None)}, notes=notes(*HEADS))
    with pytest.raises(ModelError, match=r"promise heads.*\[1, 6, 56\]"):
        LiteRtEngine(path, name="heads")


def test_a_gain_for_another_number_of_channels_is_refused(tmp_path: Path) -> None:
    affine = {"offset": Affine(gain=(1.0, 2.0), shift=(0.0, 0.0))}
    path = heads_model(tmp_path / "heads.tflite", named_maps(), notes=notes(*HEADS, affine=affine))
    with pytest.raises(ModelError, match="rescale 2 channels of offset, which has 34"):
        LiteRtEngine(path, name="heads")


def test_integers_that_nobody_gave_a_scale_are_refused(tmp_path: Path) -> None:
    maps = named_maps()
    maps["offset"] = (maps["offset"][0].astype(np.int8), None)
    with pytest.raises(ModelError, match="offset is int8 with a scale of 0"):
        LiteRtEngine(heads_model(tmp_path / "heads.tflite", maps), name="heads")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("gain", "shift"), [(1e38, 0.0), (1e308, 0.0), (-1e30, 1e30), (1.0, 1e7), (1.0, -1e308)])
def test_values_that_no_map_has_are_refused_when_the_model_is_loaded(
    tmp_path: Path, head: str, gain: float, shift: float
) -> None:
    maps = named_maps()
    channels = maps[head][0].shape[-1]
    affine = {head: Affine((gain,) * channels, (shift,) * channels)}
    path = heads_model(tmp_path / "heads.tflite", maps, notes=notes(*HEADS, affine=affine))
    with pytest.raises(ModelError, match=f"the values of {head} are scaled or shifted beyond 1e\\+06"):
        LiteRtEngine(path, name="heads")


@pytest.mark.parametrize("head", HEADS)
def test_maps_of_different_sizes_are_refused_when_the_model_is_loaded(tmp_path: Path, head: str) -> None:
    maps = named_maps()
    values, quantization = maps[head]
    maps[head] = np.ascontiguousarray(values[:, :, :-1]), quantization
    path = heads_model(tmp_path / "heads.tflite", maps)
    with pytest.raises(ModelError, match="the maps of its heads have different sizes: float32 "):
        LiteRtEngine(path, name="heads")
