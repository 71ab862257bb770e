"""The int8 recipe: rewriting changes nothing, rounding changes little, and the file does what was computed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from data import data, model, needs_data, needs_models
from edge.errors import ModelError
from edge.graph.int8_file import write_int8
from edge.graph.network import Floats, Layer, Network, read_network
from edge.graph.rounded import Codes, Rounded
from edge.poses.head_maps import HEADS
from edge.tflite.file import load
from tools.convert.graph.cut import cut_heads
from tools.convert.graph.freeze import freeze
from tools.convert.graph.frozen import FrozenHeads
from tools.convert.int8.calibration import Calibration, calibrate
from tools.convert.int8.equalize import (
    center_channels,
    equalize_channels,
    fuse_trunk,
    rescale_heads,
    split_trunk,
    trunk,
)
from tools.convert.int8.execute import activate, compute, convolve, run_network
from tools.convert.int8.observe import head_ranges, relevant_cells, sigmoid, tensor_ranges
from tools.convert.int8.quantize import PLAIN, Int8Heads, _on_pixels, _read, quantize_int8
from tools.convert.int8.rounding import round_network, round_plainly
from workstation.small_network import TRUNK, small_network, some_images

PIXELS = Codes(1 / 127.5, 0)
SIZE = (128, 96)
EDGE_TPU_OPS = {"QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "RESIZE_BILINEAR"}


def furthest(maps: Mapping[str, Floats], others: Mapping[str, Floats]) -> float:
    """Return the greatest difference between two sets of maps, as a share of the head's reach."""
    return max(float(np.abs(maps[head] - others[head]).max() / np.abs(maps[head]).max()) for head in maps)


def all_codes(network: Network, images: Floats) -> dict[int, Codes]:
    """Return codes that hold everything the pictures bring about."""
    codes = {network.input: PIXELS}
    ranges = tensor_ranges(network, images, only_relevant=False)
    for layer in network.layers:
        reach = max(float(ranges[layer.output].reach.max()), 1e-3)
        codes[layer.output] = codes[layer.inputs[0]] if layer.kind == "resize" else Codes(reach / 127, 0)
    return codes


def run_file(content: bytes, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the int8 maps by head that LiteRT computes for one picture of codes (H, W, 3), -128..127."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], (codes[None] + 128).astype(np.uint8))
    interpreter.invoke()
    return {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}


def test_equalizing_leaves_the_maps_as_they_are_and_makes_every_channel_reach_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tools.convert.int8.equalize.LEAST_FACTOR", 1e-3)  # so that no channel stays behind
    network, images = small_network(), some_images()
    ranges = tensor_ranges(network, images, only_relevant=False)
    equal, expected = equalize_channels(network, ranges)
    assert furthest(run_network(network, images), run_network(equal, images)) < 1e-4
    lateral = trunk(equal)
    assert lateral is not None
    for tensor in (lateral.output, lateral.inputs[0]):
        before, after = ranges[tensor].reach, tensor_ranges(equal, images, only_relevant=False)[tensor].reach
        assert before.max() / before.min() > 3
        assert after.max() / after.min() < 1.01
        assert after == pytest.approx(expected[tensor].reach, rel=1e-3)


def test_centering_leaves_the_maps_as_they_are_and_makes_channels_reach_as_far_down_as_up() -> None:
    network, images = small_network(), some_images()
    ranges = tensor_ranges(network, images, only_relevant=False)
    centered, _ = center_channels(network, ranges)
    assert furthest(run_network(network, images), run_network(centered, images)) < 1e-4
    moved = [layer for layer in centered.layers if not np.array_equal(layer.bias, network.producer(layer.output).bias)]
    first = tensor_ranges(centered, images, only_relevant=False)[moved[0].output]
    assert first.low == pytest.approx(-first.high, abs=1e-3)


def test_fusing_saves_a_layer_and_leaves_the_maps_as_they_are_up_to_the_border() -> None:
    network, images = small_network(), some_images()
    fused = fuse_trunk(network)
    assert len(fused.layers) == len(network.layers) - 1
    assert furthest(run_network(network, images), run_network(fused, images)) < 1e-4


def test_splitting_doubles_the_trunk_and_leaves_the_maps_as_they_are() -> None:
    network, images = small_network(), some_images()
    split = split_trunk(network, tensor_ranges(network, images, only_relevant=False))
    end = trunk(network)
    assert end is not None
    assert run_network(split, images).keys() == set(HEADS)
    assert split.producer(end.output).weights.shape[0] == 2 * TRUNK
    assert split.producer(end.output).activation == "relu6"
    assert furthest(run_network(network, images), run_network(split, images)) < 1e-4


def test_rescaled_heads_give_the_true_values_back_by_their_affine_maps() -> None:
    network, images = small_network(), some_images()
    true = run_network(network, images)
    rescaled, affine = rescale_heads(network, head_ranges(network, images))
    found = run_network(rescaled, images)
    back = {head: found[head] * affine[head].gain + affine[head].shift for head in HEADS}
    assert furthest(true, back) < 1e-4
    codes = found["regression"][relevant_cells(true)["regression"]]
    assert codes.shape[1] == 34
    assert (np.abs(codes) <= 128).mean() > 0.98
    assert (codes.max(axis=0) > 80).all()


def test_only_cells_that_make_people_count_but_the_center_map_counts_everywhere() -> None:
    maps = run_network(small_network(), some_images(2))
    nobody = {head: np.full_like(each, -9) for head, each in maps.items()}
    nobody["center"][1, 3, 2] = 2.0
    cells = relevant_cells(nobody)
    assert cells["center"].all()
    assert not cells["offset"].any()
    assert np.argwhere(cells["regression"]).tolist() == [[1, 3, 2]]


def test_rounding_in_turn_gives_sums_nearer_to_the_true_ones_than_rounding_to_the_nearest() -> None:
    """Inputs that move together leave much to make up for; the layer's own errors are all there is here."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=(40, 6, 5, 1))
    images = np.asarray(common + 0.2 * rng.normal(size=(40, 6, 5, 24)), np.float32)
    weights = rng.normal(size=(7, 1, 1, 24)).astype(np.float32)
    layer = Layer("conv", (0,), 1, "none", weights, np.arange(7, dtype=np.float32))
    network = Network((layer,), {0: (1, 6, 5, 24), 1: (1, 6, 5, 7)}, 0, {"center": 1})
    codes = {0: Codes(1e-3, 0), 1: Codes(1e-3, 0)}
    images = codes[0].fake_quantize(np.clip(images / 30, -0.12, 0.12))
    cells = {"center": np.ones((40, 6, 5), bool)}
    true = run_network(network, images)["center"]

    def lost(rounded: Rounded) -> float:
        bias = rounded.bias * rounded.scales * codes[0].scale
        return float(np.square(convolve(layer, images, rounded.real_weights(layer)) + bias - true).mean())

    nearest = lost(round_plainly(network, codes)[1])
    assert lost(round_network(network, codes, images, cells, fit=False)[1]) < 0.4 * nearest
    assert lost(round_network(network, codes, images, cells, fit=True)[1]) < 0.4 * nearest


def test_the_file_computes_what_was_computed_layer_by_layer() -> None:
    network, images = small_network(), some_images(4)
    codes = all_codes(network, images)
    rounded = round_plainly(network, codes)
    content = write_int8(network, codes, rounded)
    expected = imitated(network, codes, rounded, images)
    for index, image in enumerate(images):
        found = run_file(content, np.rint(image * 127.5))
        for head, tensor in network.heads.items():
            off = np.abs(found[head] - expected[head][index] / codes[tensor].scale)
            assert np.median(off) < 1.1, head  # LiteRT rounds ties in another way, and errors add up


def imitated(
    network: Network, codes: Mapping[int, Codes], rounded: Mapping[int, Rounded], images: Floats
) -> dict[str, Floats]:
    """Return the maps of the int8 network, in real values, by float arithmetic."""
    values = {network.input: codes[network.input].fake_quantize(images)}
    for layer in network.layers:
        inputs = [values[tensor] for tensor in layer.inputs]
        if layer.has_weights:
            made = rounded[layer.output]
            bias = (made.bias * made.scales * codes[layer.inputs[0]].scale).astype(np.float32)
            sums = activate(layer, convolve(layer, inputs[0], made.real_weights(layer)) + bias)
        else:
            sums = compute(layer, inputs, network.shapes[layer.output])
        values[layer.output] = codes[layer.output].fake_quantize(sums)
    return {head: values[tensor] for head, tensor in network.heads.items()}


def test_a_map_where_nothing_matters_is_rounded_plainly() -> None:
    network, images = small_network(), some_images(3)
    codes = all_codes(network, images)
    nowhere = {head: np.zeros(each.shape[:3], bool) for head, each in run_network(network, images).items()}
    tensor = network.heads["offset"]
    rounded = round_network(network, codes, images, nowhere, fit=False)[tensor]
    assert np.array_equal(rounded.weights, round_plainly(network, codes)[tensor].weights)


@pytest.fixture(scope="module")
def heads() -> FrozenHeads:
    return cut_heads(freeze(model("multipose_standin"), "the model"), size=SIZE)


@pytest.fixture(scope="module")
def pictures() -> Calibration:
    return calibrate(data("train/coco/images"), size=SIZE, max_images=60)


@pytest.fixture(scope="module")
def recipe(heads: FrozenHeads, pictures: Calibration) -> Int8Heads:
    return quantize_int8(heads, pictures)


def errors(made: Int8Heads, heads: FrozenHeads) -> dict[str, float]:
    """Return the error of center, heatmap and offset where keypoints are, on pictures that were not calibrated with."""
    network, pixels = _on_pixels(_read(heads), heads.scale, heads.shift)
    images = calibrate(data("coco_dev/images"), size=SIZE, max_images=36).images[:24].astype(np.float32) - 128
    true = run_network(network, images * np.float32(pixels.scale))
    found = [run_file(made.content, image) for image in images]
    interpreter = Interpreter(model_content=made.content)
    steps = {each["name"]: each["quantization"] for each in interpreter.get_output_details()}
    heat = sigmoid(true["heatmap"]) > 0.1
    cells = {"center": sigmoid(true["center"]) > 0.1, "heatmap": heat, "offset": heat.repeat(2, axis=-1)}
    lost = {}
    for head, matter in cells.items():
        name = made.output_names[head]
        scale, zero = steps[name]
        real = (np.concatenate([each[name] for each in found]).astype(np.float32) - zero) * scale
        if head in made.affine:
            real = real * made.affine[head].gain + made.affine[head].shift
        lost[head] = float(np.sqrt(np.square(real - true[head])[matter].mean()))
    return lost


@needs_data
@needs_models
def test_the_recipe_loses_less_than_plain_quantization_in_the_heads_that_place_keypoints(
    heads: FrozenHeads, pictures: Calibration, recipe: Int8Heads
) -> None:
    plain = errors(quantize_int8(heads, pictures, steps=PLAIN), heads)
    better = errors(recipe, heads)
    for head in ("center", "heatmap", "offset"):
        assert better[head] < 0.9 * plain[head], (head, better, plain)


@needs_data
@needs_models
def test_the_file_takes_pixels_as_uint8_and_holds_nothing_that_an_edge_tpu_refuses(
    recipe: Int8Heads, tmp_path: Path
) -> None:
    (tmp_path / "m.tflite").write_bytes(recipe.content)
    made = load(tmp_path / "m.tflite")
    assert set(made.op_names()) == EDGE_TPU_OPS
    assert made.op_names().count("QUANTIZE") == 1
    (image,) = made.graph.inputs
    assert (made.dtype(image), made.shape(image)) == ("uint8", (1, 96, 128, 3))
    assert all(made.dtype(tensor) == "int8" for op in made.graph.operators for tensor in op.outputs)
    assert {made.name(tensor) for tensor in made.graph.outputs} == set(recipe.output_names.values())
    assert set(recipe.affine) == set(HEADS)


@needs_data
@needs_models
def test_the_same_pictures_give_the_same_file(heads: FrozenHeads, pictures: Calibration, recipe: Int8Heads) -> None:
    assert quantize_int8(heads, pictures).content == recipe.content


@needs_data
@needs_models
def test_progress_is_told_up_to_its_total(heads: FrozenHeads, pictures: Calibration) -> None:
    told: list[tuple[int, int, str]] = []
    quantize_int8(heads, pictures, steps=PLAIN, on_progress=lambda *step: told.append(step))
    assert all(0 < done <= total for done, total, _ in told)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] == told[-1][1]


@needs_models
def test_an_operator_that_int8_has_no_recipe_for_is_named() -> None:
    whole = load(model("multipose_standin_f16.tflite"))
    with pytest.raises(ModelError, match=r"operator \w+ .* cannot be quantized here"):
        read_network(whole, {"center": int(whole.graph.outputs[0])})
