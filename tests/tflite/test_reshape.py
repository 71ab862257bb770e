"""A file of a fully convolutional network serves every input size, changed in memory, to the byte."""

import contextlib
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from data import model, needs_models
from edge.errors import InputError, ModelError
from edge.models.derive import derive
from edge.tflite.file import TfliteModel, load
from edge.tflite.reshape import find_maps
from tiny_models import echo_model
from tiny_pose_nets import tiny_float_heads, tiny_singlepose

STARTER = Path(__file__).parents[2] / "models" / "starter.tflite"
LIGHTNING = "movenet_singlepose_lightning_int8.tflite"
SIZES = [(96, 64), (32, 160), (320, 192), (224, 288)]


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    path = tmp_path / "heads.tflite"
    derive(tiny_singlepose(tmp_path / "net.tflite")).model.save(path)
    return path


def run(content: bytes, size: tuple[int, int]) -> list[NDArray[Any]]:
    """Run a file on noise and return its maps."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    image = np.random.default_rng(5).integers(0, 256, (1, size[1], size[0], 3)).astype(np.uint8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


@pytest.mark.parametrize("size", SIZES)
def test_the_bytes_are_those_of_a_file_made_for_that_size(heads: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    content = find_maps(heads).content_for(size)
    assert content == derive(tmp_path / "net.tflite", size).model.encode()


@pytest.mark.parametrize("size", SIZES)
def test_there_and_back_gives_the_file_itself(heads: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    found = find_maps(heads)
    assert found.size == (96, 64)
    assert found.content_for(found.size) == heads.read_bytes()
    other = tmp_path / "other.tflite"
    other.write_bytes(found.content_for(size))
    assert find_maps(other).content_for(found.size) == heads.read_bytes()


@needs_models
@pytest.mark.parametrize("size", [(448, 256), (192, 320)])
def test_a_derived_lightning_runs_at_another_size_as_if_derived_for_it(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "heads.tflite"
    derive(model(LIGHTNING), (256, 256)).model.save(path)
    maps = run(find_maps(path).content_for(size), size)
    expected = run(derive(model(LIGHTNING), size).model.encode(), size)
    for mine, theirs in zip(maps, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("size", [(256, 256), (160, 224)])
def test_the_starter_runs_at_other_sizes(size: tuple[int, int]) -> None:
    maps = run(find_maps(STARTER).content_for(size), size)
    assert {each.shape[1:3] for each in maps} == {(size[1] // 4, size[0] // 4)}


def test_float_heads_with_weights_of_float16_run_as_those_made_for_a_size(tmp_path: Path) -> None:
    content = find_maps(tiny_float_heads(tmp_path / "small.tflite")).content_for((160, 96))
    large = tiny_float_heads(tmp_path / "large.tflite", height=96, width=160)
    for mine, theirs in zip(run(content, (160, 96)), run(large.read_bytes(), (160, 96)), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_size_that_gives_a_map_no_whole_sides_is_refused(heads: Path) -> None:
    with pytest.raises(ModelError, match=r"a map of 8x12 does not fit an input of 36x96 \(HxW\)"):
        find_maps(heads).content_for((96, 36))


def test_a_file_that_is_gone_by_then_is_refused(heads: Path) -> None:
    found = find_maps(heads)
    heads.write_bytes(b"short")
    with pytest.raises(ModelError, match="has been changed"):
        found.content_for((160, 96))


# What cannot be scaled


def _valid(net: TfliteModel) -> None:
    convolution = next(op for op in net.graph.operators if net.op_name(op) == "CONV_2D")
    convolution.builtinOptions.padding = tfl.Padding.VALID


def _stride(net: TfliteModel) -> None:
    convolution = next(op for op in net.graph.operators if net.op_name(op) == "CONV_2D")
    convolution.builtinOptions.strideW = 3


def _constant_map(net: TfliteModel) -> None:
    add = next(op for op in net.graph.operators if net.op_name(op) == "ADD")
    net.graph.tensors.append(copy(net.graph.tensors[int(add.inputs[1])]))
    add.inputs = np.array([add.inputs[0], len(net.graph.tensors) - 1], np.int32)
    net.set_constant(int(add.inputs[1]), np.ones(net.shape(int(add.inputs[0])), np.int8))


def _computed_size(net: TfliteModel) -> None:
    resize = next(op for op in net.graph.operators if net.op_name(op) == "RESIZE_BILINEAR")
    net.graph.tensors[int(resize.inputs[1])].buffer = 0


def _shared_size(net: TfliteModel) -> None:
    resize = next(op for op in net.graph.operators if net.op_name(op) == "RESIZE_BILINEAR")
    convolution = next(op for op in net.graph.operators if net.op_name(op) == "CONV_2D")
    net.graph.tensors[int(convolution.inputs[2])].buffer = net.graph.tensors[int(resize.inputs[1])].buffer


def _flat_output(net: TfliteModel) -> None:
    net.graph.tensors[int(net.graph.outputs[0])].shape = np.array([1, 384], np.int32)


def _two_graphs(net: TfliteModel) -> None:
    net.tree.subgraphs.append(net.graph)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_valid, "without SAME padding"),
        (_stride, "not a multiple of its convolution's stride"),
        (_constant_map, "adds a constant map"),
        (_computed_size, "a size that is not a constant"),
        (_shared_size, "uses the size of a resize for something else"),
        (_flat_output, "a tensor of 2 dimensions"),
        (_two_graphs, "has 2 graphs"),
    ],
)
def test_what_does_not_scale_exactly_is_refused_with_the_reason(
    heads: Path, change: Callable[[TfliteModel], None], reason: str
) -> None:
    net = load(heads)
    change(net)
    net.save(heads)
    with pytest.raises(ModelError, match=f"its size cannot be changed: .*{reason}"):
        find_maps(heads)


def test_a_graph_with_a_decode_in_it_is_refused(tmp_path: Path) -> None:
    for path in (tiny_singlepose(tmp_path / "single.tflite"), echo_model(tmp_path / "echo.tflite")):
        with pytest.raises(ModelError, match="its size cannot be changed"):
            find_maps(path)


def test_what_is_no_model_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "text.tflite").write_text("no model")
    for name in ("none.tflite", "text.tflite"):
        with pytest.raises(InputError):
            find_maps(tmp_path / name)


def test_a_file_cut_off_anywhere_is_refused_or_complete(heads: Path, tmp_path: Path) -> None:
    whole, cut = heads.read_bytes(), tmp_path / "cut.tflite"
    refused = 0
    for end in range(8, len(whole), 7):
        cut.write_bytes(whole[:end])
        try:
            find_maps(cut)
        except ModelError:
            refused += 1
    assert refused > 100


def test_damage_anywhere_ends_in_a_model_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "heads.tflite"
    derive(tiny_singlepose(folder / "net.tflite")).model.save(path)
    whole = path.read_bytes()

    @given(st.lists(st.tuples(st.integers(8, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=8))
    def damage(changes: list[tuple[int, int]]) -> None:
        content = bytearray(whole)
        for place, value in changes:
            content[place] = value
        path.write_bytes(content)
        with contextlib.suppress(ModelError):
            assert len(find_maps(path).content_for((160, 96))) == len(whole)

    damage()
