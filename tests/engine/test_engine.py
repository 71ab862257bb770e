import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import Padding

from data import MIRROR_VARIABLE, model, needs_models
from edge.engine.contract import inspect
from edge.engine.litert import LiteRtEngine
from edge.errors import ConfigError, InputError, ModelError, UnavailableError
from edge.frame import Frame
from edge.poses.model_input import InputMaker
from tiny_models import echo_model
from tiny_pose_nets import tiny_float_heads


def fed(path: Path, image: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the real values that a model of `echo_model` was given for an image, in reading order."""
    engine = LiteRtEngine(path, name="echo")
    spec = engine.size_for(image.size)
    made = InputMaker(spec.input_size, spec.input_dtype, spec.input_codes).make(image)
    values = engine.run(made.tensor)[0].ravel()
    engine.close()
    return np.asarray(values, np.float32)


def ramp() -> Frame:
    """A 64x32 image with every value from 0 to 255 in its first rows."""
    pixels = (np.arange(32 * 64 * 3) % 256).astype(np.uint8)
    return Frame(pixels.reshape(32, 64, 3), 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("dtype", "quantization", "scale", "offset"),
    [
        ("uint8", None, 1, 0),
        ("int32", None, 1, 0),
        ("float32", None, 1, 0),
        ("int8", (1.0, -128), 1, 0),
        ("uint8", (1.0, 0), 1, 0),
        ("int8", (1 / 127.5, 0), 1 / 127.5, -1),
        ("uint8", (1 / 255, 0), 1 / 255, 0),
    ],
)
def test_every_input_dtype_gets_the_real_values_that_the_graph_expects(
    tmp_path: Path, dtype: str, quantization: tuple[float, int] | None, scale: float, offset: float
) -> None:
    path = echo_model(tmp_path / "m.tflite", dtype=dtype, quantization=quantization)
    expected = ramp().image.ravel()[:336] * scale + offset
    tolerance = 0 if quantization is None else quantization[0] * 1.01
    np.testing.assert_allclose(fed(path, ramp()), expected, atol=tolerance)


@pytest.mark.parametrize("quantization", [None, (1.0, 0), (1 / 127.5, 127), (1 / 127.5, 128)])
def test_pixels_go_in_as_they_are_where_no_code_is_nearer(
    tmp_path: Path, quantization: tuple[float, int] | None
) -> None:
    engine = LiteRtEngine(echo_model(tmp_path / "m.tflite", quantization=quantization), name="m")
    assert engine.spec.input_codes is None


def test_an_int8_input_without_scale_keeps_all_values_apart(tmp_path: Path) -> None:
    path = echo_model(tmp_path / "m.tflite", dtype="int8")
    np.testing.assert_array_equal(fed(path, ramp()), ramp().image.ravel()[:336].astype(int) - 128)


def test_a_quantized_input_of_a_strange_range_is_refused(tmp_path: Path) -> None:
    path = echo_model(tmp_path / "m.tflite", dtype="int8", quantization=(0.1, 0))
    with pytest.raises(ModelError, match=r"stands for -12\.8\.\.12\.7"):
        LiteRtEngine(path, name="m")


@pytest.mark.parametrize("shape", [(1, 6, 55), (2, 6, 56), (6, 56), (1, 17, 3)])
def test_outputs_of_another_shape_are_refused_by_naming_them(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = echo_model(tmp_path / "m.tflite", output_shape=shape)
    with pytest.raises(ModelError) as caught:
        LiteRtEngine(path, name="m")
    assert f"float32 {list(shape)}" in str(caught.value)
    assert "[1, 6, 56]" in str(caught.value)


def test_the_kind_is_known_by_the_shape_of_the_output(tmp_path: Path) -> None:
    single = echo_model(tmp_path / "m.tflite", output_shape=(1, 1, 17, 3))
    assert LiteRtEngine(single, name="m").spec.kind == "singlepose"


def test_a_size_that_a_fixed_model_does_not_have_is_a_mistake_in_the_config(tmp_path: Path) -> None:
    path = echo_model(tmp_path / "m.tflite")
    with pytest.raises(ConfigError, match="fixed at 32x64"):
        LiteRtEngine(path, name="m", input_size=(256, 256))
    assert LiteRtEngine(path, name="m", input_size=(64, 32)).spec.input_size == (64, 32)


def test_a_missing_file_and_one_that_is_no_model_are_wrong_input(tmp_path: Path) -> None:
    for content, words in ((None, "no such model file"), (b"", "not a TFLite"), (b"hello " * 99, "not a TFLite")):
        path = tmp_path / "m.tflite"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            LiteRtEngine(path, name="m")
    with pytest.raises(InputError, match="Is a directory"):
        LiteRtEngine(tmp_path, name="m")


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_a_truncated_model_is_refused(tmp_path: Path, part: float) -> None:
    whole = echo_model(tmp_path / "whole.tflite").read_bytes()
    path = tmp_path / "m.tflite"
    path.write_bytes(whole[: max(int(len(whole) * part), 16)])
    with pytest.raises(ModelError, match="damaged or truncated"):
        LiteRtEngine(path, name="m")


@needs_models
def test_a_model_of_another_kind_is_refused_by_naming_what_was_found() -> None:
    with pytest.raises(ModelError, match=r"uint8 \[1, 23, 31, 17\]"):
        LiteRtEngine(model("posenet_wrong_model.tflite"), name="m")


@needs_models
def test_a_model_for_the_edge_tpu_says_that_there_is_none() -> None:
    with pytest.raises(UnavailableError, match="compiled for the Edge TPU"):
        LiteRtEngine(model("movenet_singlepose_lightning_int8_edgetpu.tflite"), name="m")


@pytest.fixture(params=["graph", "heads"])
def sizeable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model whose input takes any size: a graph that does, or heads, whose file is changed."""
    if request.param == "heads":
        return tiny_float_heads(tmp_path / "heads.tflite")
    if MIRROR_VARIABLE not in os.environ:
        pytest.skip(f"{MIRROR_VARIABLE} is not set")
    return model("multipose_standin_f16.tflite")


def outputs_for(engine: LiteRtEngine, image_size: tuple[int, int]) -> list[np.ndarray[Any, Any]]:
    """Run noise of the size that the engine takes for an image of `image_size`."""
    width, height = engine.size_for(image_size).input_size
    tensor = np.random.default_rng(3).integers(0, 256, (1, height, width, 3)).astype(np.uint8)
    return [output.copy() for output in engine.run(tensor)]


def test_each_shape_of_image_has_its_size_and_the_same_results_every_time(sizeable: Path) -> None:
    engine = LiteRtEngine(sizeable, name="m")
    assert engine.is_dynamic
    images = [(1280, 720), (640, 480), (480, 640), (500, 500), (720, 1280)]
    first = [outputs_for(engine, size) for size in images]
    again = [outputs_for(engine, size) for size in reversed(images)][::-1]
    for one, other in zip(first, again, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    alone = outputs_for(LiteRtEngine(sizeable, name="m"), (500, 500))
    np.testing.assert_array_equal(alone[0], first[3][0])
    assert engine.size_for((640, 480)) is engine.size_for((1280, 960))


def test_a_level_is_a_smaller_size_of_the_same_shape(sizeable: Path) -> None:
    engine = LiteRtEngine(sizeable, name="m")
    assert engine.size_for((640, 480)).input_size == (384, 288)
    assert engine.choices == ((384, 288), (288, 224), (224, 160))
    for level, size in enumerate(engine.choices):
        engine.level = level
        assert engine.size_for((640, 480)).input_size == size
        assert outputs_for(engine, (640, 480))[0].ndim > 2
    engine.level = 0
    assert engine.size_for((720, 1280)).input_size == (224, 384)


def test_a_chosen_size_wins_over_the_image(sizeable: Path) -> None:
    engine = LiteRtEngine(sizeable, name="m", input_size=(448, 256))
    assert engine.size_for((640, 480)).input_size == (448, 256)
    assert engine.choices == ((448, 256),)
    assert outputs_for(engine, (640, 480))[0].size > 0


def test_heads_whose_file_is_of_the_right_size_are_not_changed(tmp_path: Path) -> None:
    path = tiny_float_heads(tmp_path / "heads.tflite", height=288, width=384)
    engine = LiteRtEngine(path, name="m")
    before = outputs_for(engine, (640, 480))
    outputs_for(engine, (1280, 720))
    path.unlink()  # kept: neither read nor made again
    np.testing.assert_array_equal(outputs_for(engine, (640, 480))[0], before[0])


def test_heads_that_do_not_scale_have_one_size_and_say_why(tmp_path: Path) -> None:
    path = tiny_float_heads(tmp_path / "heads.tflite", padding=Padding.VALID)
    engine = LiteRtEngine(path, name="m")
    assert not engine.is_dynamic
    assert engine.size_for((640, 480)).input_size == (96, 64)
    with pytest.raises(ConfigError, match=r"fixed at 64x96 \(HxW\); leave it 'auto' \(.*without SAME padding\)"):
        LiteRtEngine(path, name="m", input_size=(160, 96))


@pytest.mark.parametrize(("height", "width"), [(20_000, 20_000), (2049, 32), (32, 65_535)])
def test_an_input_that_no_memory_holds_is_refused_before_it_is_allocated(height: int, width: int) -> None:
    image = {"name": "image", "index": 0, "shape": [1, height, width, 3], "dtype": np.uint8, "quantization": (0.0, 0)}
    poses = {"name": "poses", "index": 1, "shape": [1, 6, 56], "dtype": np.float32, "quantization": (0.0, 0)}
    with pytest.raises(ModelError, match=rf"m\.tflite: its input is {height}x{width} \(HxW\); at most 2048 a side"):
        inspect("m.tflite", [image], [poses])
