"""Heads of a graph model are converted without TensorFlow: the files of `models build`, checked."""

import os
import shutil
from pathlib import Path

import pytest

from command import Outcome, use_tool
from data import data, model, needs_data, needs_models
from edge.graph.heads_file import FloatKind, build_int8, read_published, write_heads

pytestmark = needs_models

GRAPH = "graph_models/movenet-multipose.json"
RECIPE = Path(__file__).parent.parent.parent / "models" / "multipose-int8.recipe"
SIZE, SHOWN = (128, 96), "96x128"
QUICK = ("--heads", "--size", SHOWN, "--max-images", "2")


@pytest.fixture
def no_tensorflow(tmp_path: Path) -> dict[str, str | None]:
    """An environment in which nothing may import TensorFlow."""
    package = tmp_path / "path/tensorflow/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")])}


def complaint(outcome: Outcome) -> str:
    """Return the one line that tells why it failed, after those about what it is doing."""
    lines = [line.removeprefix("convert: ") for line in outcome.err.splitlines()]
    (told,) = (line for line in lines if line and not line.startswith(("reading ", "converting ")))
    return told


@pytest.mark.parametrize("kind", ["none", "fp16"])
def test_float_heads_are_those_of_models_build(
    kind: FloatKind, tmp_path: Path, no_tensorflow: dict[str, str | None]
) -> None:
    output = tmp_path / "m.tflite"
    done = use_tool("convert", model(GRAPH), *QUICK, "--quantize", kind, "--output", output, env=no_tensorflow)
    assert done.code == 0, done.err
    assert output.read_bytes() == write_heads(read_published(model(GRAPH), SIZE), kind)
    assert "of the heads in fp16" in done.out


def test_int8_of_a_name_is_made_by_the_recipe_and_compared_with_the_float_heads(
    tmp_path: Path, no_tensorflow: dict[str, str | None]
) -> None:
    words = ("movenet-multipose-graph", *QUICK, "--quantize", "int8", "--output", tmp_path / "m.tflite")
    done = use_tool("convert", *words, env=no_tensorflow)
    assert done.code == 0, done.err
    assert (tmp_path / "m.tflite").read_bytes() == build_int8(model(GRAPH), SIZE, RECIPE)
    assert "of the heads in float" in done.out
    assert "96 of 96 operators" in done.out


def test_several_sizes_of_a_folder_go_into_a_folder(tmp_path: Path, no_tensorflow: dict[str, str | None]) -> None:
    (tmp_path / "source").mkdir()
    for suffix in (".json", ".bin"):
        (tmp_path / "source" / f"movenet-multipose{suffix}").symlink_to(model(GRAPH).with_suffix(suffix))
    words = (tmp_path / "source", *QUICK, "--size", "64x64", "--output", tmp_path / "made")
    done = use_tool("convert", *words, env=no_tensorflow)
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "source_heads_fp16_64x64.tflite", f"source_heads_fp16_{SHOWN}.tflite",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words", [["--quantize", "fp16"], ["--heads", "--quantize", "dynamic"], ["--heads", "--size", "dynamic"]]
)
def test_the_rest_needs_tensorflow(words: list[str], tmp_path: Path, no_tensorflow: dict[str, str | None]) -> None:
    done = use_tool("convert", model(GRAPH), *words, "--output", tmp_path / "m.tflite", env=no_tensorflow)
    assert done.code == 69
    assert "TensorFlow is not installed" in complaint(done)


@needs_data
def test_a_calibration_of_ones_own_needs_tensorflow(tmp_path: Path, no_tensorflow: dict[str, str | None]) -> None:
    words = ("--heads", "--quantize", "int8", "--calibration", data("coco_dev/images"))
    done = use_tool("convert", model(GRAPH), *words, "--output", tmp_path / "m.tflite", env=no_tensorflow)
    assert done.code == 69
    assert "TensorFlow is not installed" in complaint(done)


def test_what_is_wrong_with_a_graph_model_is_told_in_one_line(tmp_path: Path) -> None:
    shutil.copyfile(model(GRAPH), tmp_path / "m.json")
    single = model("graph_models/movenet-lightning.json")
    for source, code, words in (
        (tmp_path / "m.json", 66, "movenet-multipose.bin: no such file"),
        (tmp_path / "none.json", 66, "no such file"),
        (single, 78, "not MoveNet MultiPose but SinglePose"),
    ):
        done = use_tool("convert", source, *QUICK, "--output", tmp_path / "m.tflite")
        assert done.code == code
        assert words in complaint(done)
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize("output", ["m.json", "m.bin"])
def test_a_graph_model_is_no_output(output: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{}")
    (tmp_path / "m.bin").write_bytes(b"weights")
    before = (tmp_path / output).read_bytes()
    done = use_tool("convert", tmp_path / "m.json", *QUICK, "--output", tmp_path / output)
    assert done.code == 64
    assert "is the source itself" in complaint(done)
    assert (tmp_path / output).read_bytes() == before
