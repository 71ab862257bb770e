"""The recipe that the converter writes gives the converter's own file, at every size."""

import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data import model, needs_models
from edge.errors import ModelError
from edge.graph.int8_file import write_int8
from edge.graph.network import Network
from edge.graph.published import Published
from edge.graph.recipe import apply, read_recipe
from edge.poses.head_maps import DecodeConstants
from tools.convert.int8.calibration import Calibration
from tools.convert.int8.quantize import Int8Heads, quantize_network
from tools.convert.int8.recipe_file import make_recipe
from tools.convert.write_recipe import main, require_exact
from workstation.small_network import INPUT_SIZE, small_network

GRAPH = "graph_models/movenet-multipose.json"


@pytest.fixture(scope="module")
def published() -> Published:
    return Published(
        small_network(), (1 / 127.5,) * 3, (-1.0,) * 3, DecodeConstants(), f"sha256:{'a' * 64}"
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(published: Published) -> Int8Heads:
    width, height = INPUT_SIZE
    coarse = np.random.default_rng(1).integers(0, 256, (8, height // 8, width // 8, 3), np.uint8)
    pictures = Calibration(coarse.repeat(8, axis=1).repeat(8, axis=2), "noise")
    return quantize_network(published.network, pictures, scale=published.scale, shift=published.shift)


@pytest.fixture(scope="module")
def content(published: Published, made: Int8Heads) -> bytes:
    return make_recipe(published, made.network, made.codes, made.rounded, made.affine, calibration="noise")


def enlarged(network: Network) -> Network:
    """Return the same network for an input twice as wide and three times as high."""
    shapes = {tensor: (1, 3 * h, 2 * w, c) for tensor, (_, h, w, c) in network.shapes.items()}
    return replace(network, shapes=shapes)


@pytest.mark.parametrize("large", [False, True])
def test_a_recipe_gives_the_converters_file_at_every_size(
    published: Published, made: Int8Heads, content: bytes, large: bool, tmp_path: Path
) -> None:
    (tmp_path / "r.recipe").write_bytes(content)
    recipe = read_recipe(tmp_path / "r.recipe")
    source, network = (
        (published.network, made.network) if not large else map(enlarged, (published.network, made.network))
    )
    assert write_int8(*apply(recipe, source, published.digest)) == write_int8(network, made.codes, made.rounded)
    assert recipe.header.affine == made.affine
    assert {2} <= {each.rows for each in recipe.header.layers}  # split
    assert any(len(each.sources) == 2 for each in recipe.header.layers)  # fused


def test_a_recipe_that_gives_another_file_is_refused(published: Published, made: Int8Heads, content: bytes) -> None:
    require_exact(content, published, made)
    with pytest.raises(ModelError, match="does not give the file that it was made from"):
        require_exact(content, published, replace(made, content=made.content + b"x"))
    with pytest.raises(ModelError):
        require_exact(lzma.compress(lzma.decompress(content)[:-1]), published, made)


@needs_models
def test_the_command_leaves_an_old_recipe_alone_where_it_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.recipe"
    old.write_bytes(b"old")
    words = [str(model(GRAPH)), "--calibration", str(tmp_path / "none"), "--output", str(old)]
    assert main(words) == 66
    assert old.read_bytes() == b"old"
    assert str(tmp_path / "none") in capsys.readouterr().err
