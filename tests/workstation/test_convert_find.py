"""The heads are found by what the graph does with them, in the published graph and in one without telling names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data import model, needs_models
from edge.errors import ModelError
from edge.poses.head_maps import HEAD_CHANNELS, HEADS
from tools.convert.graph.axes import spell_out_new_axes
from tools.convert.graph.cut import cut_heads
from tools.convert.graph.find import find_heads, node_graph
from tools.convert.graph.freeze import freeze
from tools.convert.graph.frozen import FrozenGraph, Links

pytestmark = needs_models

PUBLISHED_HEADS = {
    "center": "center_0/conv2d_4/",
    "heatmap": "kpt_heatmap_0/conv2d_7/",
    "regression": "kpt_regress_0/conv2d_8/",
    "offset": "kpt_offset_0/conv2d_9/",
    "box_scale": "box_scale_0/conv2d_5/",
    "box_offset": "box_offset_0/conv2d_6/",
}


@pytest.fixture(scope="module")
def nameless() -> FrozenGraph:
    return freeze(model("multipose_standin"), "multipose")


@pytest.fixture(scope="module")
def real(published_unfolded: Path) -> FrozenGraph:
    return freeze(published_unfolded, "published")


def renamed(frozen: FrozenGraph, names: dict[str, str]) -> FrozenGraph:
    """Return the graph with other names for some nodes."""
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(frozen.graph)
    for node in graph.node:
        node.name = names.get(node.name, node.name)
        entries = [entry.partition(":") for entry in node.input]
        node.input[:] = [names.get(name, name) + colon + port for name, colon, port in entries]
    return FrozenGraph(graph, frozen.output, frozen.name)


def without_names(frozen: FrozenGraph) -> FrozenGraph:
    kept = {"input", frozen.output.split(":")[0]}
    return renamed(
        frozen, {n.name: f"n{i}" for i, n in enumerate(frozen.graph.node) if n.name not in kept and ":" not in n.name}
    )


def run(graph: Any, feeds: dict[str, Any], outputs: list[str]) -> list[Any]:
    with tf.Graph().as_default() as session_graph:
        tf.graph_util.import_graph_def(graph, name="")
        with tf.compat.v1.Session(graph=session_graph) as session:
            return list(session.run([f"{name}:0" for name in outputs], {f"{k}:0": v for k, v in feeds.items()}))


def test_every_head_of_the_published_graph_is_found_under_its_real_name(real: FrozenGraph) -> None:
    found = find_heads(real)
    assert list(found) == list(HEADS)
    for head, node in found.items():
        assert PUBLISHED_HEADS[head] in node


def test_the_published_heads_are_found_by_structure_alone_too(real: FrozenGraph) -> None:
    by_name = [node.name for node in real.graph.node]
    nameless = without_names(real)
    places = {node.name: place for place, node in enumerate(nameless.graph.node)}
    found = {head: by_name[places[node]] for head, node in find_heads(nameless).items()}
    assert found == find_heads(real)


def test_a_head_whose_name_contradicts_its_use_is_refused(real: FrozenGraph) -> None:
    links, heads = Links(real.graph), find_heads(real)
    offset, regression = (links.inputs(heads[head])[0] for head in ("offset", "regression"))
    swapped = renamed(real, {offset: "kpt_regress_9", regression: "kpt_offset_9"})
    with pytest.raises(ModelError, match="used like regression and named like offset"):
        find_heads(swapped)


def test_a_graph_with_other_heads_is_refused_with_what_was_found(nameless: FrozenGraph) -> None:
    heads = cut_heads(nameless, size=(128, 96))
    with pytest.raises(ModelError, match="cannot be identified"):
        find_heads(FrozenGraph(heads.graph, "center:0", "cut"))


@pytest.mark.parametrize("size", [(128, 96), None])
def test_the_cut_graph_takes_the_normalized_image_and_gives_logits_in_the_order_of_the_heads(
    nameless: FrozenGraph, size: tuple[int, int] | None
) -> None:
    cut = cut_heads(nameless, size=size)
    assert cut.heads == HEADS
    assert cut.scale == pytest.approx([1 / 127.5] * 3)
    assert cut.shift == pytest.approx([-1] * 3)
    pixels = np.random.default_rng(3).integers(0, 256, (1, 96, 128, 3))
    maps = run(cut.graph, {"input": pixels * np.array(cut.scale) + np.array(cut.shift)}, list(HEADS))
    assert [each.shape for each in maps] == [(1, 24, 32, channels) for channels in HEAD_CHANNELS]
    nodes = find_heads(nameless)
    for head, each in zip(HEADS, maps, strict=True):
        (whole,) = run(nameless.graph, {"input": pixels}, [nodes[head]])
        np.testing.assert_allclose(each, whole, rtol=1e-4, atol=1e-3)


def test_head_and_decode_together_are_the_whole_graph(nameless: FrozenGraph) -> None:
    cut = cut_heads(nameless, size=(128, 96))
    pixels = np.random.default_rng(4).integers(0, 256, (1, 96, 128, 3))
    maps = run(cut.graph, {"input": pixels / 127.5 - 1}, list(HEADS))
    (poses,) = run(cut.decode, dict(zip(HEADS, maps, strict=True)), ["poses"])
    (whole,) = run(nameless.graph, {"input": pixels}, [nameless.output.removesuffix(":0")])
    np.testing.assert_allclose(poses, whole, atol=1e-3)


def test_a_graph_that_mixes_colours_before_its_first_convolution_is_refused(nameless: FrozenGraph) -> None:
    nodes = node_graph(nameless)
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(nameless.graph)
    cast = next(node for node in graph.node if node.op == "Cast" and "input" in nodes.above(node.name))
    squared = graph.node.add(name="squared", op="Square", input=[f"{cast.name}"])
    squared.attr["T"].type = tf.float32.as_datatype_enum
    for node in graph.node:
        if node.name != "squared":
            node.input[:] = ["squared" if entry == cast.name else entry for entry in node.input]
    with pytest.raises(ModelError, match="more to the image than scale and shift"):
        cut_heads(FrozenGraph(graph, nameless.output, "squared"), size=(128, 96))


SLICES: dict[str, Any] = {
    "x[:, None]": lambda x: x[:, None],
    "x[None]": lambda x: x[None],
    "x[..., None]": lambda x: x[..., None],
    "x[None, ..., None, :, None]": lambda x: x[None, ..., None, :, None],
    "x[:, None, :, :, None]": lambda x: x[:, None, :, :, None],
}


@pytest.mark.parametrize("name", list(SLICES))
def test_slices_that_only_add_axes_are_spelled_out(name: str) -> None:
    given = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, None, 4], name="x")
        tf.identity(SLICES[name](x), name="y")
    rewritten = graph.as_graph_def()
    spell_out_new_axes(rewritten)
    assert "StridedSlice" not in {node.op for node in rewritten.node}
    (got,) = run(rewritten, {"x": given}, ["y"])
    np.testing.assert_array_equal(got, SLICES[name](given))


def test_a_slice_that_also_takes_a_part_is_left_as_it_is() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [3, 4], name="x")
        tf.identity(x[1:, None], name="y")
    rewritten = graph.as_graph_def()
    spell_out_new_axes(rewritten)
    assert rewritten == graph.as_graph_def()
