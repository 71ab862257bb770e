"""Files that are built of graph models give what the graph models give in TensorFlow."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from command import run
from data import data, model, needs_data, needs_models
from edge.engine.litert import LiteRtEngine
from edge.graph.graph_model import read_graph_model
from edge.graph.heads_file import read_published, write_heads
from edge.graph.nodes import find_heads
from edge.graph.published import cut_published
from edge.poses.head_maps import HEAD_CHANNELS, HeadsSpec, MapSpec
from edge.poses.heads import HeadsDecoder
from edge.tflite.notes import read_notes
from workstation.conversion import complaint, convert
from workstation.graph_model import reference

pytestmark = [needs_data, needs_models]


def pictures(size: tuple[int, int], count: int) -> list[NDArray[np.uint8]]:
    """Return pictures of people as pixels (1, H, W, 3)."""
    found = []
    for path in sorted(data("coco_dev/images").glob("*.jpg"))[:count]:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        assert image is not None
        found.append(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)[None])
    assert len(found) == count
    return found


@pytest.mark.parametrize(("name", "side"), [("lightning", 192), ("thunder", 256)])
@pytest.mark.parametrize("kind", ["none", "fp16"])
def test_singlepose_files_give_the_poses_of_the_graph_model(name: str, side: int, kind: str, tmp_path: Path) -> None:
    source = model(f"graph_models/movenet-{name}.json")
    done = run("models", "build", source, "--quantize", kind, "--output", tmp_path / "m.tflite")
    assert done.code == 0, done.err
    engine, wanted = LiteRtEngine(tmp_path / "m.tflite", name=name), reference(source)
    assert (engine.spec.kind, engine.spec.input_size, engine.spec.input_dtype) == ("singlepose", (side, side), "uint8")
    for pixels in pictures((side, side), 12):
        np.testing.assert_allclose(engine.run(pixels)[0], wanted(pixels)[0], atol=5e-5)


def test_decoded_heads_give_the_rows_of_the_graph_model(tmp_path: Path) -> None:
    source = model("graph_models/movenet-multipose.json")
    (tmp_path / "m.tflite").write_bytes(write_heads(read_published(source, (256, 192)), "fp16"))
    engine, wanted = LiteRtEngine(tmp_path / "m.tflite", name="m"), reference(source)
    assert engine.spec.heads is not None
    decoder = HeadsDecoder(engine.spec.heads)
    for pixels in pictures((256, 192), 12):
        np.testing.assert_allclose(decoder.rows(engine.run(pixels)), wanted(pixels)[0], atol=1e-5)


def test_the_decode_is_the_graphs_own_with_the_constants_that_the_graph_has() -> None:
    source = model("graph_models/movenet-multipose.json")
    graph = read_graph_model(source)
    wanted = reference(source, *find_heads(graph).values())
    floats = [MapSpec("float32", np.ones(each, np.float32), np.zeros(each, np.float32)) for each in HEAD_CHANNELS]
    constants = cut_published(graph, (256, 192)).constants
    exact = HeadsDecoder(HeadsSpec((64, 48), tuple(floats), constants=constants))
    rounded = HeadsDecoder(HeadsSpec((64, 48), tuple(floats)))
    differences = []
    for pixels in pictures((256, 192), 12):
        rows, *maps = wanted(pixels)
        np.testing.assert_allclose(exact.rows(maps), rows, atol=3e-7)
        differences.append(np.abs(rounded.rows(maps) - rows).max())
    assert max(differences) > 1e-5


def test_a_calibration_of_ones_own_makes_int8_of_a_graph_model(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for path in sorted(data("coco_dev/images").glob("*.jpg"))[:20]:
        (tmp_path / "pictures" / path.name).symlink_to(path)
    output = tmp_path / "m.tflite"
    words = ("--heads", "--quantize", "int8", "--size", "96x128", "--calibration", tmp_path / "pictures")
    done = convert(model("graph_models/movenet-multipose.json"), *words, "--output", output)
    assert done.code == 0, done.err
    assert "4 to 5 GB of memory" in done.err
    notes = read_notes(output)
    assert notes is not None
    assert notes.quantization == "int8"
    assert notes.affine
    assert notes.decode
    assert notes.decode.gaussian == float(np.float16(0.3))


@pytest.mark.parametrize("form", ["whole", "heads"])
def test_tensorflow_makes_files_of_open_size_that_give_the_rows_of_the_graph_model(form: str, tmp_path: Path) -> None:
    source, output = model("graph_models/movenet-multipose.json"), tmp_path / "m.tflite"
    words = ["--heads"] if form == "heads" else []
    words += ["--size", "dynamic", "--quantize", "fp16", "--max-images", "12"]
    done = convert(source, *words, "--images", data("coco_dev/images"), "--output", output)
    assert done.code == 0, done.err
    assert "of the whole graph" in done.out
    engine, wanted = LiteRtEngine(output, name="m", input_size=(256, 192)), reference(source)
    decode = HeadsDecoder(engine.spec.heads).rows if engine.spec.heads else lambda outputs: outputs[0]
    for pixels in pictures((256, 192), 6):
        np.testing.assert_allclose(decode(engine.run(pixels)), wanted(pixels)[0], atol=1e-5)


def test_tensorflow_makes_heads_with_int8_weights(tmp_path: Path) -> None:
    source, output = model("graph_models/movenet-multipose.json"), tmp_path / "m.tflite"
    words = ("--heads", "--quantize", "dynamic", "--size", "192x256", "--images", data("coco_dev/images"))
    done = convert(source, *words, "--max-images", "12", "--output", output)
    assert done.code == 0, done.err
    notes = read_notes(output)
    assert notes is not None
    assert notes.quantization == "dynamic"
    assert notes.decode
    assert notes.source.digest == read_published(source, (256, 192)).digest


def test_a_graph_that_tensorflow_does_not_know_is_refused_in_one_line(tmp_path: Path) -> None:
    source = model("graph_models/movenet-multipose.json")
    tree = json.loads(source.read_bytes())
    nodes = tree["modelTopology"]["node"]
    next(each for each in nodes if each["op"] == "TopKV2").update(op="TopKV7")
    (tmp_path / "m.json").write_text(json.dumps(tree))
    (tmp_path / "movenet-multipose.bin").symlink_to(source.with_suffix(".bin"))
    done = convert(tmp_path / "m.json", "--quantize", "fp16", "--output", tmp_path / "m.tflite")
    assert done.code == 78
    assert "TensorFlow cannot read the graph model" in complaint(done)
    assert not (tmp_path / "m.tflite").exists()
