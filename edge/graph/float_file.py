"""Writes a network as a float TFLite file: uint8 pixels to float maps.

Its size is fixed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.graph.network import INPUT, Layer, Network
from edge.graph.tflite_file import TfliteFile, add_options, convolution_options, resize_options
from edge.tflite.schema import schema

__all__ = ["add_network", "write_float"]


def write_float(
    network: Network, *, scale: float | Sequence[float], shift: float | Sequence[float], half: bool = False
) -> bytes:
    """Return the file's content; outputs have the names of their heads.

    Args:
        network: what to write.
        scale: what pixels 0..255 are multiplied by for the network, for all colours or each of R, G, B ...
        shift: ... and what is added then.
        half: store weights as float16; the runtime computes in float32 all the same.
    """
    file = TfliteFile()
    image, places = add_network(file, network, scale, shift, half=half)
    return file.content([image], {head: places[tensor] for head, tensor in network.heads.items()})


def add_network(
    file: TfliteFile,
    network: Network,
    scale: float | Sequence[float],
    shift: float | Sequence[float],
    *,
    half: bool = False,
) -> tuple[int, dict[int, int]]:
    """Add a network to a file; see `write_float`.

    Returns:
        The file's tensor of the pixels, and that of each of the network's tensors.
    """
    shape = network.shapes[network.input]
    image = file.tensor(INPUT, shape, "UINT8")
    places = {network.input: _prepare(file, image, shape, _colours(scale), _colours(shift))}
    names = {tensor: head for head, tensor in network.heads.items()}
    for number, layer in enumerate(network.layers):
        name, made = names.get(layer.output, f"{layer.kind}_{number}"), network.shapes[layer.output]
        inputs = [places[tensor] for tensor in layer.inputs] + _weights(file, layer, number, half=half)
        places[layer.output] = file.tensor(name, made, "FLOAT32")
        _add_layer(file, layer, inputs, places[layer.output], made)
    return image, places


def _colours(value: float | Sequence[float]) -> NDArray[np.float32]:
    """Return one number if all colours have the same, else three."""
    found = np.atleast_1d(np.array(value, np.float32))
    return found[:1] if (found == found[0]).all() else found


def _prepare(
    file: TfliteFile, image: int, shape: tuple[int, ...], scale: NDArray[np.float32], shift: NDArray[np.float32]
) -> int:
    """Add the normalization of pixels, and return its tensor."""
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.UINT8, schema.TensorType.FLOAT32
    values = file.tensor("values", shape, "FLOAT32")
    file.operator("CAST", 1, [image], values, cast)
    scaled = file.tensor("scaled", shape, "FLOAT32")
    file.operator("MUL", 1, [values, file.constant("scale", scale)], scaled, schema.MulOptionsT())
    ready = file.tensor("pixels", shape, "FLOAT32")
    file.operator("ADD", 1, [scaled, file.constant("shift", shift)], ready, schema.AddOptionsT())
    return ready


def _weights(file: TfliteFile, layer: Layer, number: int, *, half: bool) -> list[int]:
    """Add a convolution's weights and bias, and return their tensors; none for other layers."""
    if not layer.has_weights:
        return []
    return [
        _constant(file, f"weights_{number}", layer.weights, half=half),
        _constant(file, f"bias_{number}", layer.bias, half=half),
    ]


def _constant(file: TfliteFile, name: str, value: NDArray[Any], *, half: bool) -> int:
    if not half:
        return file.constant(name, value)
    wide = file.tensor(name, value.shape, "FLOAT32")
    narrow = file.constant(f"{name}_fp16", value.astype(np.float16))
    file.operator("DEQUANTIZE", 3, [narrow], wide, schema.DequantizeOptionsT())
    return wide


def _add_layer(file: TfliteFile, layer: Layer, inputs: list[int], output: int, shape: tuple[int, ...]) -> None:
    if layer.kind == "add":
        file.operator("ADD", 1, inputs, output, add_options(layer))
    elif layer.kind == "resize":
        size = file.constant(f"size_{output}", np.array(shape[1:3], np.int32))
        file.operator("RESIZE_BILINEAR", 3, [*inputs, size], output, resize_options(layer))
    else:
        name = "DEPTHWISE_CONV_2D" if layer.kind == "depthwise" else "CONV_2D"
        file.operator(name, 1, inputs, output, convolution_options(layer))
