"""Cuts a frozen graph at its heads, and removes the normalization of pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.graph.nodes import image_of
from tools.convert.graph.find import find_heads, node_graph
from tools.convert.graph.frozen import INPUT, FrozenGraph, FrozenHeads
from tools.convert.workstation import load_tensorflow

__all__ = ["POSES", "cut_heads"]

POSES = "poses"
PROBE_SIDE_PX = 32
TOLERANCE = 1e-5


def cut_heads(frozen: FrozenGraph, *, size: tuple[int, int] | None) -> FrozenHeads:
    """Return the network above the heads, and the decode below them.

    The network begins at the normalized image.

    Args:
        frozen: the whole model.
        size: (width, height) of the input in pixels, multiples of 32; None leaves both sides open.

    Raises:
        ModelError: the graph is not MoveNet MultiPose.
    """
    heads = find_heads(frozen)
    image = f"{image_of(node_graph(frozen))}:0"
    scale, shift = _normalization(frozen, image)
    shape: list[int | None] = [1, None, None, 3] if size is None else [1, size[1], size[0], 3]
    network = _above(frozen, image, shape, heads)
    return FrozenHeads(network, tuple(heads), size, scale, shift, _below(frozen, heads))


def _above(frozen: FrozenGraph, image: str, shape: list[int | None], heads: dict[str, str]) -> Any:
    tf = load_tensorflow()
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.float32, shape, name=INPUT)
        nodes = [f"{node}:0" for node in heads.values()]
        maps = tf.graph_util.import_graph_def(frozen.graph, {image: pixels}, nodes, name="network")
        for head, values in zip(heads, maps, strict=True):
            tf.identity(values, name=head)
    return _pruned(tf, graph.as_graph_def(), list(heads))


def _below(frozen: FrozenGraph, heads: dict[str, str]) -> Any:
    tf = load_tensorflow()
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph, name="")
        shapes = {head: graph.get_tensor_by_name(f"{node}:0").shape for head, node in heads.items()}
    with tf.Graph().as_default() as graph:
        maps = {
            f"{node}:0": tf.compat.v1.placeholder(tf.float32, shapes[head], name=head) for head, node in heads.items()
        }
        (poses,) = tf.graph_util.import_graph_def(frozen.graph, maps, [frozen.output], name="decode")
        tf.identity(poses, name=POSES)
    return _pruned(tf, graph.as_graph_def(), [POSES])


def _pruned(tf: Any, graph: Any, outputs: list[str]) -> Any:
    return tf.compat.v1.graph_util.extract_sub_graph(graph, outputs)


def _normalization(frozen: FrozenGraph, image: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (scale, shift) per channel of the graph's own normalization.

    Raises:
        ModelError: it does something else than scale and shift them.
    """
    black, white = (_normalized(frozen, image, np.full((1, 1, 1, 3), value)) for value in (0, 255))
    shift, scale = black[0, 0, 0], (white - black)[0, 0, 0] / 255
    noise = np.random.default_rng(0).integers(0, 256, (1, PROBE_SIDE_PX, PROBE_SIDE_PX, 3))
    if not np.allclose(_normalized(frozen, image, noise), noise * scale + shift, atol=TOLERANCE):
        raise ModelError(f"{frozen.name}: not MoveNet MultiPose: it does more to the image than scale and shift it")
    return tuple(scale.tolist()), tuple(shift.tolist())


def _normalized(frozen: FrozenGraph, image: str, pixels: NDArray[Any]) -> NDArray[np.float64]:
    tf = load_tensorflow()
    with tf.Graph().as_default() as graph:
        given = tf.constant(np.broadcast_to(pixels, (1, PROBE_SIDE_PX, PROBE_SIDE_PX, 3)).astype(np.int32))
        (result,) = tf.graph_util.import_graph_def(frozen.graph, {f"{INPUT}:0": given}, [image], name="probe")
        with tf.compat.v1.Session(graph=graph) as session:
            return np.asarray(session.run(result), np.float64)
