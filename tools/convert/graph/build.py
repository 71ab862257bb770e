"""Makes TFLite files of frozen graphs: float32, fp16, or int8 weights ("dynamic")."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge.errors import ModelError, one_line
from tools.convert.graph.cut import POSES
from tools.convert.graph.frozen import INPUT, FrozenGraph, FrozenHeads, Quantization
from tools.convert.workstation import load_tensorflow

__all__ = ["build_decode", "build_heads", "build_whole"]


def build_heads(heads: FrozenHeads, quantization: Quantization) -> bytes:
    """Return a TFLite file from pixels to the maps of the heads.

    Pixels are uint8 [1, H, W, 3].

    Args:
        heads: the network.
        quantization: `none`, `fp16` or `dynamic`.
    """
    tf = load_tensorflow()

    def network(pixels: Any) -> list[Any]:
        image = tf.cast(pixels, tf.float32) * _constant(tf, heads.scale) + _constant(tf, heads.shift)
        outputs = [f"{head}:0" for head in heads.heads]
        return list(tf.graph_util.import_graph_def(heads.graph, {f"{INPUT}:0": image}, outputs, name=""))

    return _convert(tf, network, {INPUT: _image(tf, heads.size)}, quantization)


def build_whole(frozen: FrozenGraph, size: tuple[int, int] | None, quantization: Quantization) -> bytes:
    """Return a TFLite file from pixels to poses; see `build_heads`.

    Pixels are uint8 [1, H, W, 3], poses float32 [1, 6, 56].
    """
    tf = load_tensorflow()

    def network(pixels: Any) -> list[Any]:
        given = {f"{INPUT}:0": tf.cast(pixels, tf.int32)}
        return list(tf.graph_util.import_graph_def(frozen.graph, given, [frozen.output], name=""))

    return _convert(tf, network, {INPUT: _image(tf, size)}, quantization)


def build_decode(heads: FrozenHeads, shapes: Sequence[tuple[int, ...]]) -> bytes:
    """Return a TFLite file of the graph's decode: maps to poses, float.

    Args:
        heads: the network whose `decode` is meant.
        shapes: (1, h, w, C) of each map, in the order of `heads.heads`.
    """
    tf = load_tensorflow()

    def network(*maps: Any) -> list[Any]:
        given = {f"{head}:0": values for head, values in zip(heads.heads, maps, strict=True)}
        return list(tf.graph_util.import_graph_def(heads.decode, given, [f"{POSES}:0"], name=""))

    inputs = {head: tf.TensorSpec(shape, tf.float32) for head, shape in zip(heads.heads, shapes, strict=True)}
    return _convert(tf, network, inputs, "none")


def _image(tf: Any, size: tuple[int, int] | None) -> Any:
    return tf.TensorSpec([1, None, None, 3] if size is None else [1, size[1], size[0], 3], tf.uint8)


def _constant(tf: Any, values: tuple[float, ...]) -> Any:
    return tf.constant(values[0] if len(set(values)) == 1 else values, tf.float32)


def _convert(tf: Any, network: Any, inputs: Mapping[str, Any], quantization: Quantization) -> bytes:
    function = tf.function(network, autograph=False).get_concrete_function(
        *(tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in inputs.items())
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    if quantization != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        return bytes(converter.convert())
    except Exception as error:  # the converter raises whatever its stages raise, several pages long
        raise ModelError(f"TensorFlow cannot convert this graph: {one_line(error)}") from error
