"""Loads a SavedModel and makes its variables constants."""

import importlib
from pathlib import Path
from typing import Any

from edge.errors import ModelError, one_line
from tools.convert.graph.axes import spell_out_new_axes
from tools.convert.graph.frozen import INPUT, FrozenGraph
from tools.convert.workstation import load_tensorflow

__all__ = ["freeze"]

SIGNATURE = "serving_default"
NEEDED = "needed is MoveNet MultiPose: int32 [1, H, W, 3] to float32 [1, 6, 56]"


def freeze(folder: Path, name: str) -> FrozenGraph:
    """Load the SavedModel in `folder` and freeze its signature `serving_default`.

    Args:
        folder: where `saved_model.pb` lies.
        name: how messages name the model.

    Raises:
        UnavailableError: no TensorFlow.
        ModelError: damaged, or a model of another kind.
    """
    tf = load_tensorflow()
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises whatever its readers of protobufs and of checkpoints raise
        raise ModelError(f"{name}: the SavedModel is damaged ({one_line(error)}): fetch it again") from error
    if SIGNATURE not in loaded.signatures:
        found = ", ".join(sorted(loaded.signatures)) or "none"
        raise ModelError(f"{name}: not MoveNet MultiPose: no signature '{SIGNATURE}' (found: {found})")
    function = loaded.signatures[SIGNATURE]
    argument = _check_signature(tf, function, name)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.int32, name=INPUT)])  # type: ignore[untyped-decorator]
    def whole(pixels: Any) -> Any:
        return next(iter(function(**{argument: pixels}).values()))

    constants = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    frozen = constants.convert_variables_to_constants_v2(whole.get_concrete_function())
    graph = frozen.graph.as_graph_def()
    for node in graph.node:  # what had to happen before what, while there were variables to be read
        values = [entry for entry in node.input if not entry.startswith("^")]
        node.input[:] = values
    spell_out_new_axes(graph)
    return FrozenGraph(graph, frozen.outputs[0].name, name)


def _check_signature(tf: Any, function: Any, name: str) -> str:
    """Return the name of the image among the signature's arguments."""
    inputs = function.structured_input_signature[1]
    outputs = function.structured_outputs
    if len(inputs) == 1 and len(outputs) == 1:
        image, poses = next(iter(inputs.values())), next(iter(outputs.values()))
        open_sides = tuple(image.shape) == (1, None, None, 3)
        if open_sides and image.dtype == tf.int32 and poses.dtype == tf.float32 and tuple(poses.shape) == (1, 6, 56):
            return str(next(iter(inputs)))
    found = f"takes {_describe(inputs)} and gives {_describe(outputs)}"
    hint = ""
    if any(tuple(output.shape) == (1, 1, 17, 3) for output in outputs.values()):
        hint = "; for MoveNet SinglePose use `edge-pose models derive` on its int8 TFLite file"
    raise ModelError(f"{name}: not MoveNet MultiPose: {SIGNATURE} {found}; {NEEDED}{hint}")


def _describe(tensors: Any) -> str:
    shown = (
        f"{tensor.dtype.name} [{', '.join('?' if side is None else str(side) for side in tensor.shape)}]"
        for tensor in tensors.values()
        if tensor.shape.rank is not None
    )
    return ", ".join(shown) or "nothing of a known shape"
