"""The published MultiPose graph, rebuilt with seeded weights, is the graph that the tools will meet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python.convert import ConverterError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from data import data, model, needs_data, needs_models
from edge.poses.head_maps import HEAD_CHANNELS, HeadsSpec, MapSpec
from edge.poses.heads import HeadsDecoder
from workstation.published_constants import constant
from workstation.published_graph import HEADS, build, parameters

pytestmark = [needs_data, needs_models]

SIZES = [(256, 256), (160, 256)]  # height, width
TOPOLOGY = "movenet_multipose_lightning_topology.json"
Everything = Callable[[Any], list[Any]]


@pytest.fixture(scope="module")
def loaded(published: Path) -> Any:
    """The SavedModel; its function lives only as long as it does."""
    return tf.saved_model.load(str(published))


@pytest.fixture(scope="module")
def frozen(loaded: Any) -> Any:
    """The graph without variables."""
    return convert_variables_to_constants_v2(loaded.signatures["serving_default"])


@pytest.fixture(scope="module")
def everything(frozen: Any) -> Everything:
    """A function of an image that gives the six maps and the rows."""
    heads = [f"StatefulPartitionedCall/{node}:0" for node, _, _ in HEADS.values()]
    function: Everything = frozen.prune("input:0", [*heads, "Identity:0"])
    return function


def picture(height: int, width: int) -> Any:
    image = cv2.imread(str(data("coco_dev/images/000000000328.jpg")), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return tf.constant(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)[None].astype(np.int32))


def test_the_signature_is_that_of_the_published_model(loaded: Any) -> None:
    serve = loaded.signatures["serving_default"]
    (given,) = serve.structured_input_signature[1].values()
    (found,) = serve.structured_outputs.values()
    assert (given.name, given.dtype, given.shape.as_list()) == ("input", tf.int32, [1, None, None, 3])
    assert (list(serve.structured_outputs), found.dtype, found.shape.as_list()) == (
        ["output_0"],
        tf.float32,
        [1, 6, 56],
    )


def test_every_published_node_is_there_under_its_name(frozen: Any) -> None:
    published = json.loads(model(TOPOLOGY).read_text())["modelTopology"]["node"]
    # TensorFlow.js folded four constants into a scope of their own, which a load puts below its own scope.
    folded = "ConstantFolding/StatefulPartitionedCall/"
    names = {node["name"].replace(folded, "StatefulPartitionedCall/ConstantFolding/") for node in published}
    assert len(names) == 602
    assert names <= {node.name for node in frozen.graph.as_graph_def().node}


def test_the_weights_are_variables_and_as_many_as_published(loaded: Any) -> None:
    variables = loaded.signatures["serving_default"].variables
    assert sum(variable.shape.num_elements() for variable in variables) == parameters(model(TOPOLOGY)) == 4_723_346


def test_black_goes_in_as_minus_one_and_white_as_one(frozen: Any) -> None:
    pixels = np.array([0, 255, 51], np.int32).reshape(1, 1, 1, 3)
    normalize = frozen.prune("input:0", "StatefulPartitionedCall/sub_1:0")
    np.testing.assert_allclose(normalize(tf.constant(pixels)).numpy().ravel(), [-1, 1, -0.6], atol=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_six_heads_of_stride_4_see_people_of_20_cells(everything: Everything, height: int, width: int) -> None:
    *maps, _ = everything(picture(height, width))
    assert [tuple(each.shape) for each in maps] == [(1, height // 4, width // 4, count) for count in HEAD_CHANNELS]
    _, _, regression, offset, box_scale, box_offset = (each.numpy() for each in maps)
    assert 15 < box_scale.mean() < 25
    assert abs(regression).mean() < 6
    assert abs(offset).max() < 4
    assert abs(box_offset).max() < 4


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_poses_are_found_on_a_picture(everything: Everything, height: int, width: int) -> None:
    rows = everything(picture(height, width))[-1].numpy()[0]
    assert (rows[:, 55] >= 0.1).all()
    low, high = rows[:, 51:53], rows[:, 53:55]
    assert (low >= 0).all()
    assert (low < high).all()
    assert (high <= 1).all()
    keypoints = rows[:, :51].reshape(6, 17, 3)
    assert ((keypoints[..., 2] > 0) & (keypoints[..., 2] < 1)).all()
    assert (keypoints[..., :2].std(1) > 0.02).all()  # not all in one place


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_its_decode_is_that_of_the_host(everything: Everything, height: int, width: int) -> None:
    *maps, rows = (each.numpy() for each in everything(picture(height, width)))
    decoder = HeadsDecoder(HeadsSpec((width // 4, height // 4), tuple(plain(count) for count in HEAD_CHANNELS)))
    np.testing.assert_allclose(decoder.rows(maps), rows, atol=1e-3)


def plain(channels: int) -> MapSpec:
    return MapSpec("float32", np.ones(channels, np.float32), np.zeros(channels, np.float32))


def test_the_whole_graph_does_not_convert_without_flex_operations(published: Path) -> None:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(published))
    with pytest.raises(ConverterError, match="TF Select ops: StridedSlice"):
        converter.convert()


def test_batch_normalization_can_stand_where_it_was_published(published_unfolded: Path) -> None:
    loaded = tf.saved_model.load(str(published_unfolded))
    serve = loaded.signatures["serving_default"]
    nodes = convert_variables_to_constants_v2(serve).graph.as_graph_def().node
    assert sum(node.op == "FusedBatchNormV3" for node in nodes) == 55
    assert sum(node.op == "BiasAdd" for node in nodes) == 16
    assert (serve(input=picture(160, 256))["output_0"].numpy()[0, :, 55] >= 0.1).all()


def test_a_seed_gives_its_weights_again_and_another_gives_others(tmp_path: Path) -> None:
    first, again, other = (built_weights(tmp_path / name, seed) for name, seed in [("a", 3), ("b", 3), ("c", 4)])
    np.testing.assert_allclose(first, again, rtol=1e-4)
    assert abs(first - other).mean() > 0.01


def built_weights(folder: Path, seed: int) -> NDArray[np.float32]:
    build(model(TOPOLOGY), folder, seed)
    loaded = tf.saved_model.load(str(folder))
    return np.concatenate([variable.numpy().ravel() for variable in loaded.signatures["serving_default"].variables])


def test_a_constant_of_another_shape_or_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Reshape_22/shape: \(3,\) here, \(4,\) in the topology"):
        constant("Reshape_22/shape", np.int32, (4,))
    with pytest.raises(KeyError, match="Reshape_99"):
        constant("Reshape_99/shape", np.int32, (4,))
