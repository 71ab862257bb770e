"""SinglePose graph models become files that the engine runs; what is no such graph is refused in one line."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import run
from data import model, needs_models
from edge.engine.litert import LiteRtEngine
from edge.errors import ModelError
from edge.graph.heads_file import read_published
from edge.tflite.file import load
from edge.tflite.notes import read_notes

pytestmark = needs_models

LIGHTNING = "graph_models/movenet-lightning.json"
DIGESTS = {
    ("lightning", "fp16"): "cdb4ce5fa4966c4779d119cd939b7dfe25a3026e719a5385d0f700a670e5c915",
    ("lightning", "none"): "baea4c7593bd2a51b0e106217d20acd81a5a51ccd228cf00b3280406f3a99490",
    ("thunder", "fp16"): "12aa54e053907771d18cfb8b353cc273b91251a78031c704b653d6a700526ef8",
}
Tree = dict[str, Any]


@pytest.mark.parametrize(("name", "kind"), DIGESTS)
def test_a_graph_model_of_one_person_becomes_a_file_of_its_kind(name: str, kind: str, tmp_path: Path) -> None:
    output = tmp_path / "m.tflite"
    done = run("models", "build", model(f"graph_models/movenet-{name}.json"), "--quantize", kind, "--output", output)
    assert done.code == 0, done.err
    assert "singlepose of" in done.out
    assert hashlib.sha256(output.read_bytes()).hexdigest() == DIGESTS[name, kind]
    notes, engine = read_notes(output), LiteRtEngine(output, name=name)
    assert notes is not None
    assert (notes.kind, notes.quantization) == ("singlepose", kind)
    width, height = engine.spec.input_size
    (poses,) = engine.run(np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8))
    assert poses.shape == (1, 1, 17, 3)
    assert np.isfinite(poses).all()
    assert (poses[..., 2] >= 0).all()


def test_half_the_weights_are_the_same_weights(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 192, 192, 3), np.uint8)
    poses = []
    for kind in ("none", "fp16"):
        path = tmp_path / f"{kind}.tflite"
        assert run("models", "build", model(LIGHTNING), "--quantize", kind, "--output", path).code == 0
        poses.append(LiteRtEngine(path, name=kind).run(pixels)[0].copy())
        assert ("DEQUANTIZE" in load(path).op_names()) == (kind == "fp16")
    np.testing.assert_array_equal(poses[0], poses[1])


def test_its_size_is_its_own_and_int8_is_not_made(tmp_path: Path) -> None:
    output = tmp_path / "m.tflite"
    for flags, words in ((["--size", "256x256"], "192x192"), (["--quantize", "int8"], "fp16")):
        done = run("models", "build", model(LIGHTNING), *flags, "--output", output)
        assert done.code == 64
        assert words in done.err
        assert done.err.count("\n") == 1
    assert run("models", "build", model(LIGHTNING), "--size", "192x192", "--output", output).code == 0


def test_it_has_no_heads_of_multipose() -> None:
    with pytest.raises(ModelError, match="SinglePose, which has no boxes"):
        read_published(model(LIGHTNING), (192, 192))


def test_a_tflite_file_of_one_person_is_no_source(tmp_path: Path) -> None:
    source = model("movenet_singlepose_lightning_int8.tflite")
    done = run("models", "build", source, "--output", tmp_path / "m.tflite")
    assert done.code == 78
    assert "which runs as it is (--model FILE)" in done.err


def node(tree: Tree, name: str) -> Tree:
    found: Tree = next(each for each in tree["modelTopology"]["node"] if each["name"].endswith(f"/{name}"))
    return found


def weights(tree: Tree, name: str) -> Tree:
    found: Tree = next(each for each in tree["weightsManifest"][0]["weights"] if each["name"].endswith(f"/{name}"))
    return found


CHANGES: dict[str, Callable[[Tree], object]] = {
    "an operation that is not known": lambda tree: node(tree, "Sqrt_1").update(op="Tanh"),
    "a cast to whole numbers": lambda tree: node(tree, "Cast_4")["attr"].update(DstT={"type": "DT_INT64"}),
    "another output": lambda tree: node(tree, "concat_1").update(input=node(tree, "concat_1")["input"][1:]),
    "two outputs": lambda tree: tree["modelTopology"]["node"].append(
        {"name": "more", "op": "Sqrt", "input": [node(tree, "Sqrt_1")["name"]]}
    ),
    "a loop in the decode": lambda tree: node(tree, "add_5").update(input=[node(tree, "truediv_3")["name"]] * 2),
    "an axis that is not there": lambda tree: node(tree, "stack_2")["attr"].update(axis={"i": "9"}),
    "too few inputs": lambda tree: node(tree, "ArgMax").update(input=node(tree, "ArgMax")["input"][:1]),
    "pixels taken apart elsewhere": lambda tree: node(tree, "unstack")["attr"].update(axis={"i": "3"}),
    "an input of any size": lambda tree: tree["modelTopology"]["node"][_input(tree)].update(attr={}),
    "an input of words": lambda tree: tree["modelTopology"]["node"][_input(tree)]["attr"].update(shape="large"),
    "maps of another size": lambda tree: tree["modelTopology"]["node"][_input(tree)]["attr"]["shape"]["shape"].update(
        dim=[{"size": each} for each in ("1", "256", "256", "3")]
    ),
    "maps that fill the memory": lambda tree: [
        weights(tree, each).update(shape=shape)
        for each, shape in (("strided_slice_3", [2304, 1, 1, 1, 1]), ("strided_slice_4", [1, 2304, 1, 1, 1]))
    ],
}


def _input(tree: Tree) -> int:
    return next(place for place, each in enumerate(tree["modelTopology"]["node"]) if each["op"] == "Placeholder")


@pytest.mark.parametrize("damage", CHANGES)
def test_a_changed_graph_of_one_person_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    tree = json.loads(model(LIGHTNING).read_bytes())
    CHANGES[damage](tree)
    (tmp_path / "movenet-lightning.json").write_text(json.dumps(tree))
    shutil.copyfile(model(LIGHTNING).with_suffix(".bin"), tmp_path / "movenet-lightning.bin")
    done = run("models", "build", tmp_path, "--output", tmp_path / "m.tflite")
    assert done.code == 78, done.err
    assert done.err.count("\n") == 1
    assert str(tmp_path) in done.err
    assert not (tmp_path / "m.tflite").exists()
