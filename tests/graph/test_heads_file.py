"""Published graphs become heads files: the same from either format, and every damage is one line."""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from command import run
from data import data, model, needs_data, needs_models
from edge.engine.litert import LiteRtEngine
from edge.errors import EdgeError, InputError, ModelError
from edge.graph.heads_file import read_published, write_heads
from edge.models.manifest import load_manifest
from edge.poses.head_maps import HEADS
from edge.poses.heads import HeadsDecoder
from edge.tflite.notes import read_notes

pytestmark = needs_models

SIZE = (96, 64)
GRAPH = "graph_models/movenet-multipose.json"
WHOLE = "movenet_multipose_f16_rebuilt.tflite"
FP16_256X448 = "2f5cefc14b075d94bd632daedacb641687c1fa21444a7d3770ff2c3933fd31e3"
Tree = dict[str, Any]


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return a picture, RGB (H, W, 3)."""
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB), np.uint8)


@pytest.fixture
def graph_model(tmp_path: Path) -> Path:
    """A copy of the published graph model, to be damaged."""
    for suffix in (".json", ".bin"):
        shutil.copyfile(model(GRAPH).with_suffix(suffix), tmp_path / f"movenet-multipose{suffix}")
    return tmp_path / "movenet-multipose.json"


def changed(path: Path, change: Callable[[Tree], object]) -> Path:
    """Change the JSON of a graph model."""
    tree = json.loads(path.read_bytes())
    change(tree)
    path.write_text(json.dumps(tree))
    return path


def node(tree: Tree, op: str, number: int = 0) -> Tree:
    found: Tree = [each for each in tree["modelTopology"]["node"] if each["op"] == op][number]
    return found


def test_both_formats_of_the_weights_give_the_same_bytes() -> None:
    made = [write_heads(read_published(model(name), (448, 256)), "fp16") for name in (GRAPH, WHOLE)]
    assert made[0] == made[1]
    assert hashlib.sha256(made[0]).hexdigest() == FP16_256X448


def test_a_folder_with_one_graph_model_is_taken_as_that(graph_model: Path) -> None:
    assert read_published(graph_model.parent, SIZE).digest == read_published(model(GRAPH), SIZE).digest


def test_the_digest_is_of_the_weights_not_of_the_size() -> None:
    assert read_published(model(GRAPH), SIZE).digest == read_published(model(WHOLE), (64, 128)).digest


def test_constants_of_the_decode_are_read_from_the_graph_and_reach_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(write_heads(read_published(model(GRAPH), SIZE), "fp16"))
    notes = read_notes(path)
    assert notes is not None
    assert notes.decode
    assert notes.decode.gaussian == float(np.float16(0.3))
    assert notes.decode.min_keypoint_score == float(np.float16(0.127))
    spec = LiteRtEngine(path, name="m").spec
    assert spec.heads is not None
    assert spec.heads.constants.min_keypoint_score == notes.decode.min_keypoint_score


@needs_data
@pytest.mark.parametrize("kind", ["none", "fp16"])
def test_the_decode_of_the_heads_gives_the_rows_of_the_whole_graph(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(write_heads(read_published(model(GRAPH), (256, 192)), kind))
    heads, whole = LiteRtEngine(path, name="h"), LiteRtEngine(model(WHOLE), name="w", input_size=(256, 192))
    assert heads.spec.heads is not None
    decoder = HeadsDecoder(heads.spec.heads)
    pictures = sorted(data("coco_dev/images").glob("*.jpg"))[:4]
    assert len(pictures) == 4
    for picture in pictures:
        image = cv2.resize(read_image(picture), (256, 192))[None]
        rows = decoder.rows(heads.run(image))
        np.testing.assert_allclose(rows, whole.run(image)[0], atol=2e-5)


def test_float32_and_fp16_files_have_the_same_maps_and_half_the_size(tmp_path: Path) -> None:
    published = read_published(model(GRAPH), SIZE)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    maps, sizes = [], []
    for kind in ("none", "fp16"):
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(write_heads(published, kind))
        sizes.append(path.stat().st_size)
        maps.append([each.copy() for each in LiteRtEngine(path, name=kind).run(pixels)])
    assert maps[0][0].shape == (1, 16, 24, 1)
    assert len(maps[0]) == len(HEADS)
    for wide, half in zip(*maps, strict=True):
        np.testing.assert_array_equal(wide, half)  # the published weights are float16
    assert sizes[1] < 0.55 * sizes[0]


def test_models_build_writes_a_file_that_runs(tmp_path: Path) -> None:
    output = tmp_path / "m.tflite"
    done = run("models", "build", model(GRAPH), "--size", "64x96", "--output", output)
    assert done.code == 0, done.err
    assert "64x96 (HxW), fp16" in done.out
    assert hashlib.sha256(output.read_bytes()).hexdigest() in done.out
    engine = LiteRtEngine(output, name="m")
    assert engine.spec.input_size == SIZE


def test_models_build_leaves_no_file_after_an_error(graph_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "m.tflite"
    output.parent.mkdir()
    graph_model.with_suffix(".bin").unlink()
    done = run("models", "build", graph_model, "--output", output)
    assert done.code == 66
    assert done.err.count("\n") == 1
    assert list(output.parent.iterdir()) == []
    assert run("models", "build", model(GRAPH), "--output", model(GRAPH)).code == 64


@pytest.mark.parametrize("size", [(100, 64), (64, 0), (4096, 64)])
def test_a_size_that_the_network_does_not_have_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match="multiples of 32"):
        read_published(model(GRAPH), size)


def test_weights_that_are_missing_short_or_long_are_refused(graph_model: Path) -> None:
    weights = graph_model.with_suffix(".bin")
    content = weights.read_bytes()
    for wrong, words in ((content[:-2], "truncated"), (content + b"\0\0", "bytes"), (b"", "truncated")):
        weights.write_bytes(wrong)
        with pytest.raises(ModelError, match=words):
            read_published(graph_model, SIZE)
    weights.unlink()
    with pytest.raises(InputError, match="no such file"):
        read_published(graph_model, SIZE)


def test_weights_of_the_other_byte_order_and_those_that_are_no_numbers_are_refused(graph_model: Path) -> None:
    weights = graph_model.with_suffix(".bin")
    content = np.frombuffer(weights.read_bytes(), np.uint16)
    for wrong in (content.byteswap(), np.where(np.arange(len(content)) > 4_000_000, 0x7C00, content)):
        weights.write_bytes(wrong.astype(np.uint16).tobytes())
        with pytest.raises(ModelError, match="finite"):
            read_published(graph_model, SIZE)


def _drop_weights(tree: Tree) -> None:
    tree["weightsManifest"][0]["weights"].pop(40)


CHANGES: dict[str, Callable[[Tree], object]] = {
    "another operation": lambda tree: node(tree, "AddV2").update(op="Tanh"),
    "another first operation": lambda tree: node(tree, "Sub").update(op="Sigmoid"),
    "weights that are not listed": _drop_weights,
    "an input that is not there": lambda tree: node(tree, "_FusedConv2D", 3).update(input=["a", "b", "c"]),
    "a loop": lambda tree: node(tree, "AddV2").update(input=[node(tree, "AddV2")["name"]] * 2),
    "a long loop": lambda tree: node(tree, "Sub").update(input=[node(tree, "Sub", 1)["name"], "x"][:1] * 2),
    "a fused operation that is not known": lambda tree: node(tree, "_FusedConv2D")["attr"]["fused_ops"]["list"].update(
        s=[base64.b64encode(each).decode() for each in (b"BiasAdd", b"Elu")]
    ),
    "dilated": lambda tree: node(tree, "_FusedConv2D")["attr"].update(dilations={"list": {"i": ["1", "2", "2", "1"]}}),
    "strides that are words": lambda tree: node(tree, "_FusedConv2D")["attr"]["strides"]["list"].update(i=["a"] * 4),
    "strides of 0": lambda tree: node(tree, "_FusedConv2D")["attr"]["strides"]["list"].update(i=["0"] * 4),
    "another shape": lambda tree: tree["weightsManifest"][0]["weights"][2]["shape"].reverse(),
    "a shape below 0": lambda tree: tree["weightsManifest"][0]["weights"][2].update(shape=[-1, 1, 24, 96]),
    "a huge shape": lambda tree: tree["weightsManifest"][0]["weights"][2].update(shape=[1 << 40, 1 << 40]),
    "another dtype": lambda tree: tree["weightsManifest"][0]["weights"][2].update(quantization={"dtype": "uint8"}),
    "weights elsewhere": lambda tree: tree["weightsManifest"][0].update(paths=["../../etc/passwd"]),
    "no peaks": lambda tree: node(tree, "MaxPool").update(op="AvgPool"),
    "no decode": lambda tree: node(tree, "Exp").update(op="Log"),
    "nodes that are numbers": lambda tree: tree["modelTopology"].update(node=[1, 2]),
    "attributes that are lists": lambda tree: node(tree, "_FusedConv2D").update(attr=[]),
    "no attributes": lambda tree: node(tree, "_FusedConv2D").pop("attr"),
    "too many nodes": lambda tree: tree["modelTopology"].update(node=tree["modelTopology"]["node"] * 20),
}


@pytest.mark.parametrize("damage", CHANGES)
def test_a_changed_graph_is_refused_in_one_line(damage: str, graph_model: Path) -> None:
    changed(graph_model, CHANGES[damage])
    with pytest.raises(EdgeError) as caught:
        read_published(graph_model, SIZE)
    assert str(graph_model.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"modelTopology": {"node": []}, "weightsManifest": []}',
    ],
)
def test_other_json_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises((InputError, ModelError), match=r"m\.json"):
        read_published(path, SIZE)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="longer than"):
        read_published(path, SIZE)


@pytest.mark.parametrize("name", ["posenet_wrong_model.tflite", "movenet_singlepose_lightning_int8.tflite"])
def test_another_network_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="not MoveNet"):
        read_published(model(name), SIZE)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(model(WHOLE).read_bytes()[:200_000])
    with pytest.raises(ModelError, match="damaged"):
        read_published(path, SIZE)


def test_a_folder_without_or_with_two_graph_models_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        read_published(tmp_path, SIZE)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=r"a\.json, b\.json"):
        read_published(tmp_path, SIZE)
    with pytest.raises(InputError, match="no such file"):
        read_published(tmp_path / "missing", SIZE)


def test_models_build_applies_the_recipe_of_the_package(tmp_path: Path) -> None:
    output = tmp_path / "m.tflite"
    done = run("models", "build", model(GRAPH), "--quantize", "int8", "--output", output)
    assert done.code == 0, done.err
    wanted = load_manifest().entries["movenet-multipose"].digest
    assert f"sha256:{hashlib.sha256(output.read_bytes()).hexdigest()}" == wanted
