"""Google's table of Edge TPU operations, and its demands on tensors.

The table and its limits: coral.ai/docs/edgetpu/models-intro, "Supported operations" and "Model requirements", in the
state of compiler 16.0 and runtime 14, the last ones. Three things are not in it and come from elsewhere:

* Bilinear resizing by half pixel centres (version 3) is mapped: Google's own compiled MoveNet Lightning has three of
  them on the Edge TPU.
* From which size on resizing is left out, which the table does not say: 128x128x32 was mapped, 512x512x32 was not
  (github.com/google-coral/edgetpu/issues/31). What lies between is a doubt, not a refusal.
* An operator of a later version than the compiler knows ends the compilation of the whole file (issues 631, 845 and
  879 there; tensorflow/tflite-micro issue 2633).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.edgetpu.graph import Graph, Op, Tensor

__all__ = ["FIX_SIZE", "Blocker", "doubt", "refused_version", "why_not"]

NONE = 0
"""No fused activation; the default format of weights."""
MAX_SOFTMAX = 16_000
MAPPED_RESIZE, UNMAPPED_RESIZE = 128 * 128 * 32, 512 * 512 * 32
FIRST_REFUSED_VERSION = {"CONV_2D": 6, "EXP": 2, "QUANTIZE": 3, "TRANSPOSE_CONV": 4}

QUANTIZE = "quantize the whole model to 8 bits: python -m tools.convert --quantize int8"
FIX_SIZE = "fix the size of the input: python -m tools.convert --size HxW"
CUT = "cut the graph before it and decode on the host: python -m tools.convert --heads, or edge-pose models derive"
CONVERT_ON_THE_TPU = "give the model an uint8 or int8 input, which the Edge TPU rescales itself"
LEAVE_8_BIT = "leave the outputs 8-bit and scale them on the host"
REBUILD = "build the model without it"

ADVICE = {"CAST": CONVERT_ON_THE_TPU, "DEQUANTIZE": LEAVE_8_BIT, "TRANSPOSE": REBUILD, "LEAKY_RELU": REBUILD}


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why an operator cannot run on the Edge TPU, and the advice."""

    why: str
    advice: str


def why_not(op: Op, graph: Graph) -> Blocker | None:
    """Return what keeps an operator off the Edge TPU, or None."""
    if op.kind == "DEQUANTIZE" and all(tensor.data for tensor in graph.tensors_of(op.inputs)):
        return Blocker("unpacks weights of 16 bits", QUANTIZE)
    if op.kind not in LIMITS:
        return Blocker("the Edge TPU has no such operation", ADVICE.get(op.kind, CUT))
    for check in (_data_type, _size, _rank):
        if blocker := check(op, graph):
            return blocker
    why = LIMITS[op.kind](op, graph)
    return None if why is None else Blocker(why, REBUILD)


def refused_version(op: Op) -> Blocker | None:
    """Return why the compiler refuses the whole file, or None.

    It knows operators up to certain versions.
    """
    first = FIRST_REFUSED_VERSION.get(op.kind)
    if first is None or op.version < first:
        return None
    why = f"version {op.version} is later than compiler 16.0 knows: it refuses the whole file"
    return Blocker(
        why, f"write {op.kind} in version {first - 1}: an older converter, or without what needs the new one"
    )


def doubt(op: Op, graph: Graph) -> str | None:
    """Return why an allowed operator may still be left out, or None."""
    if op.kind not in {"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"} or _volume(graph, op) <= MAPPED_RESIZE:
        return None
    return f"{_sides(graph.tensors[op.outputs[0]])} is larger than any resizing known to be mapped"


def _data_type(op: Op, graph: Graph) -> Blocker | None:
    for tensor in [*graph.tensors_of(op.inputs), *graph.tensors_of(op.outputs)]:
        if tensor.data is not None and tensor.dtype == "int32":
            continue  # a bias, or parameters such as axes and sizes
        if tensor.dtype not in {"int8", "uint8"} or not (tensor.is_quantized or tensor.data):
            return Blocker(f"works on {tensor.dtype}, not on 8 bits", _advice_on_type(op, tensor))
    return None


def _advice_on_type(op: Op, tensor: Tensor) -> str:
    if op.kind == "QUANTIZE":
        return CONVERT_ON_THE_TPU
    return CUT if tensor.dtype.startswith(("int", "bool")) else QUANTIZE


def _size(op: Op, graph: Graph) -> Blocker | None:
    tensors = [*graph.tensors_of(op.inputs), *graph.tensors_of(op.outputs)]
    dynamic = [tensor for tensor in tensors if -1 in tensor.shape]
    return Blocker(f"its size is not fixed: {_sides(dynamic[0])}", FIX_SIZE) if dynamic else None


def _rank(op: Op, graph: Graph) -> Blocker | None:
    """Require size 1 beyond the three innermost dimensions.

    Weights are exempt: the compiler lays them out.
    """
    computed = [tensor for tensor in graph.tensors_of((*op.inputs, *op.outputs)) if tensor.data is None]
    deep = [tensor for tensor in computed if any(side > 1 for side in tensor.shape[:-3])]
    return Blocker(f"more than 3 dimensions: {_sides(deep[0])}", REBUILD) if deep else None


def _anything(_op: Op, _graph: Graph) -> str | None:
    return None


def _constant_parameters(op: Op, graph: Graph) -> str | None:
    computed = [tensor for tensor in graph.tensors_of(op.inputs[1:]) if tensor.data is None]
    return f"its parameter {computed[0].name} is not a constant" if computed else None


def _convolution(op: Op, graph: Graph) -> str | None:
    if op.options is not None and op.options.dilationWFactor != op.options.dilationHFactor:
        return "dilated differently in x and y"
    return _constant_parameters(op, graph)


def _pool(op: Op, _graph: Graph) -> str | None:
    return "has a fused activation" if op.options is not None and op.options.fusedActivationFunction != NONE else None


def _concatenation(op: Op, graph: Graph) -> str | None:
    constants = [tensor for tensor in graph.tensors_of(op.inputs) if tensor.data is not None]
    if constants and (len(op.inputs) != 2 or not _is_zero(constants[0])):
        return "one of its inputs is a constant; only zeros beside one other input are possible"
    return _pool(op, graph)


def _fully_connected(op: Op, graph: Graph) -> str | None:
    if op.options is not None and op.options.weightsFormat != NONE:
        return "its weights are not in the default format"
    output = graph.tensors[op.outputs[0]]
    if any(side > 1 for side in output.shape[:-1]):
        return f"its output {_sides(output)} is more than one-dimensional"
    return _constant_parameters(op, graph)


def _reduction(op: Op, graph: Graph) -> str | None:
    """Require constant axes without the batch."""
    shape = graph.tensors[op.inputs[0]].shape
    axes = {int(axis) % len(shape) for axis in graph.tensors[op.inputs[1]].values()}
    if len(shape) == 4 and 0 in axes:
        return "reduces the batch dimension"
    if op.kind == "MEAN" and len(shape) - 1 in axes and shape[-1] % 4:
        return f"a mean over {shape[-1]} channels, which is no multiple of 4"
    return _constant_parameters(op, graph)


def _pack(op: Op, graph: Graph) -> str | None:
    rank = len(graph.tensors[op.outputs[0]].shape)
    in_batch = op.options is not None and rank == 4 and op.options.axis % rank == 0
    return "packs in the batch dimension" if in_batch else None


def _pad(op: Op, graph: Graph) -> str | None:
    rank = len(graph.tensors[op.inputs[0]].shape)
    if rank == 4 and graph.tensors[op.inputs[1]].values()[:2].any():
        return "pads the batch dimension"
    return _constant_parameters(op, graph)


def _prelu(op: Op, graph: Graph) -> str | None:
    alpha = graph.tensors[op.inputs[1]]
    return "its alpha is more than one-dimensional" if any(side > 1 for side in alpha.shape[:-1]) else None


def _resize(op: Op, graph: Graph) -> str | None:
    if _volume(graph, op) >= UNMAPPED_RESIZE:
        return f"{_sides(graph.tensors[op.outputs[0]])} is too large to be resized precisely"
    return _constant_parameters(op, graph)


def _softmax(op: Op, graph: Graph) -> str | None:
    shape = graph.tensors[op.inputs[0]].shape
    if any(side > 1 for side in shape[:-1]) or (shape and shape[-1] > MAX_SOFTMAX):
        return f"only one dimension of up to {MAX_SOFTMAX} elements is possible"
    return None


def _split(op: Op, graph: Graph) -> str | None:
    axis, data = graph.tensors_of(op.inputs[:2])
    in_batch = len(data.shape) == 4 and any(int(value) % 4 == 0 for value in axis.values())
    return "splits the batch dimension" if in_batch else None


def _strided_slice(op: Op, graph: Graph) -> str | None:
    masks = op.options is not None and (op.options.ellipsisMask or op.options.newAxisMask)
    if masks or (graph.tensors[op.inputs[3]].values() != 1).any():
        return "only strides of 1 are possible, and no ellipsis or new axis"
    return _constant_parameters(op, graph)


def _is_zero(tensor: Tensor) -> bool:
    return set(tensor.data or b"") <= {tensor.zero_point % 256}


def _volume(graph: Graph, op: Op) -> int:
    volume = 1
    for side in graph.tensors[op.outputs[0]].shape:
        volume *= side
    return volume


def _sides(tensor: Tensor) -> str:
    return "x".join("?" if side < 0 else str(side) for side in tensor.shape)


LIMITS: Mapping[str, Callable[[Op, Graph], str | None]] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "RSQRT"), _anything),
    **dict.fromkeys(("LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "L2_NORMALIZATION"), _anything),
    **dict.fromkeys(("QUANTIZE", "SQUEEZE", "SPACE_TO_DEPTH"), _anything),
    **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"), _anything),
    **dict.fromkeys(("RESHAPE", "EXPAND_DIMS", "SLICE"), _constant_parameters),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _convolution),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _pool),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _reduction),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize),
    "CONCATENATION": _concatenation,
    "FULLY_CONNECTED": _fully_connected,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE_CONV": _anything,
}
"""The operations of Google's table, by their names in the schema, each with its limits."""
