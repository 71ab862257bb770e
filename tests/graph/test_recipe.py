"""A recipe gives the int8 network of published weights, and nothing else."""

import hashlib
import lzma
import struct
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from data import model, needs_models
from edge.errors import EdgeError, InputError, ModelError
from edge.graph.heads_file import read_published, write_int8_heads
from edge.graph.network import Layer, Network
from edge.graph.recipe import (
    LayerArrays,
    LayerRecipe,
    Recipe,
    RecipeHeader,
    apply,
    code_digest,
    encode_recipe,
    predicted,
    read_recipe,
)
from edge.graph.rounded import Rounded

WEIGHTS = f"sha256:{'a' * 64}"
OWN = Path(__file__).parents[2] / "models/multipose-int8.recipe"
SHA256 = {
    (448, 256): "6b0ad149dc6b",
    (256, 256): "5fd1b3d2c01c",
}
EMPTY = np.empty(0, np.float32)


def small() -> Network:
    """Return a network of one pointwise and one depthwise convolution."""
    rng = np.random.default_rng(3)
    first = Layer(
        "conv", (0,), 1, "relu6", rng.normal(size=(4, 1, 1, 3)).astype(np.float32), np.zeros(4, np.float32), (2, 2)
    )
    second = Layer(
        "depthwise", (1,), 2, "none", rng.normal(size=(1, 3, 3, 4)).astype(np.float32), np.zeros(4, np.float32)
    )
    shapes = {0: (1, 32, 64, 3), 1: (1, 16, 32, 4), 2: (1, 16, 32, 4)}
    return Network((first, second), shapes, 0, {"center": 2})


def recipe_of(network: Network) -> tuple[RecipeHeader, list[LayerArrays], dict[int, Rounded]]:
    rng = np.random.default_rng(4)
    layers, arrays, rounded = [], [], {}
    for layer in network.layers:
        weights = layer.weights.astype(np.float64)
        outputs = len(layer.bias)
        inputs = weights.shape[3] if layer.kind == "conv" else 1
        gain = rng.uniform(20, 60, outputs).astype(np.float32)
        reach = rng.uniform(0.5, 1 if layer.kind == "conv" else 0.5, inputs).astype(np.float32)
        corrections = rng.integers(-2, 3, weights.shape).astype(np.int8)
        codes = predicted(weights, layer.kind, gain, reach)
        corrections = (np.clip(codes + corrections, -127, 127) - codes).astype(np.int8)
        scales, bias = rng.uniform(0.1, 1, outputs).astype(np.float32), rng.integers(-99, 99, outputs).astype(np.int32)
        arrays.append(LayerArrays(gain, reach, scales, bias, corrections))
        rounded[layer.output] = Rounded((codes + corrections).astype(np.int8), scales.astype(np.float64), bias)
        layers.append(
            LayerRecipe(
                kind=layer.kind, inputs=layer.inputs, output=layer.output, activation="none", stride=layer.stride,
                sources=(layer.output,),
            )
        )  # fmt: skip
    header = RecipeHeader(
        weights=WEIGHTS, codes=code_digest(rounded), tool="t", calibration="c", layers=tuple(layers),
        quantization=tuple((tensor, 0.5, 3) for tensor in network.shapes), heads={"center": 2}, affine={},
    )  # fmt: skip
    return header, arrays, rounded


@pytest.fixture
def path(tmp_path: Path) -> Path:
    header, arrays, _ = recipe_of(small())
    (tmp_path / "r.recipe").write_bytes(encode_recipe(header, arrays))
    return tmp_path / "r.recipe"


def test_what_was_written_is_applied_exactly(path: Path) -> None:
    network, codes, rounded = apply(read_recipe(path), small(), WEIGHTS)
    _, _, expected = recipe_of(small())
    assert {tensor: network.shapes[tensor] for tensor in (1, 2)} == {1: (1, 16, 32, 4), 2: (1, 16, 32, 4)}
    assert codes[1].scale == 0.5
    for tensor, each in expected.items():
        np.testing.assert_array_equal(rounded[tensor].weights, each.weights)
        np.testing.assert_array_equal(rounded[tensor].scales, each.scales)
        np.testing.assert_array_equal(rounded[tensor].bias, each.bias)


def test_shapes_follow_the_published_network(path: Path) -> None:
    other = replace(small(), shapes={0: (1, 96, 32, 3), 1: (1, 48, 16, 4), 2: (1, 48, 16, 4)})
    network, _, _ = apply(read_recipe(path), other, WEIGHTS)
    assert network.shapes[2] == (1, 48, 16, 4)


def test_other_weights_are_refused_by_digest_and_by_result(path: Path) -> None:
    with pytest.raises(ModelError, match=r"is for weights sha256:aaaa.*these are sha256:bbbb"):
        apply(read_recipe(path), small(), f"sha256:{'b' * 64}")
    first, second = small().layers
    changed = replace(small(), layers=(replace(first, weights=first.weights * 1.5), second))
    with pytest.raises(ModelError, match="other weights than it should"):
        apply(read_recipe(path), changed, WEIGHTS)


def test_a_damaged_file_is_refused_in_one_line(path: Path) -> None:
    whole = path.read_bytes()
    plain = lzma.decompress(whole)
    (length,) = struct.unpack_from("<I", plain)
    header = msgspec.json.decode(plain[4 : 4 + length])

    def packed(**changes: object) -> bytes:
        text = msgspec.json.encode({**header, **changes})
        return lzma.compress(struct.pack("<I", len(text)) + text + plain[4 + length :])

    damages = [
        b"", b"garbage", whole[:-20], whole[: len(whole) // 2], whole[:60] + b"\xff" * 8 + whole[68:],
        lzma.compress(b""), lzma.compress(b"\xff\xff\xff\xff{}"), lzma.compress(plain[:-3]),
        lzma.compress(plain + b"x"),
        lzma.compress(bytes(40 << 20)), packed(format=2), packed(layers=[]), packed(weights="sha256:x"),
        packed(quantization=[]), packed(heads={"center": 77}), packed(layers=header["layers"][::-1]),
    ]  # fmt: skip
    for damage in damages:
        path.write_bytes(damage)
        with pytest.raises(EdgeError) as caught:
            apply(read_recipe(path), small(), WEIGHTS)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_another_format_is_named_whatever_else_its_header_has(path: Path) -> None:
    text = msgspec.json.encode({"format": 2, "arrays": "elsewhere"})
    path.write_bytes(lzma.compress(struct.pack("<I", len(text)) + text))
    with pytest.raises(ModelError, match=r"is of format 2; 1 is known: update edge-pose$"):
        read_recipe(path)


def test_a_missing_or_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "none")
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="longer than"):
        read_recipe(path)


def test_the_shipped_recipe_is_small_and_readable() -> None:
    recipe: Recipe = read_recipe(OWN)
    assert OWN.stat().st_size <= 1_500_000
    assert len([layer for layer in recipe.header.layers if layer.sources]) == 79
    assert "pictures" in recipe.header.calibration


@needs_models
@pytest.mark.parametrize("size", SHA256)
def test_the_shipped_recipe_makes_the_same_file_everywhere(size: tuple[int, int]) -> None:
    for source in ("graph_models/movenet-multipose.json", "movenet_multipose_f16_rebuilt.tflite"):
        content = write_int8_heads(read_published(model(source), size), read_recipe(OWN))
        assert hashlib.sha256(content).hexdigest()[:12] == SHA256[size]
