"""Writes a network as a float TFLite file: uint8 pixels to float maps.

Its size is fixed.
"""

from collections.abc import Mapping

import numpy as np

from edge.tflite.schema import schema
from tools.convert.graph.frozen import INPUT
from tools.convert.int8.network import Layer, Network
from tools.convert.int8.tflite_file import TfliteFile, add_options, convolution_options, resize_options

__all__ = ["write_float"]


def write_float(network: Network, *, scale: float, shift: float) -> bytes:
    """Return the file's content; outputs have the names of their heads.

    Args:
        network: what to write.
        scale: what pixels 0..255 are multiplied by for the network ...
        shift: ... and what is added then.
    """
    file = TfliteFile()
    shape = network.shapes[network.input]
    image = file.tensor(INPUT, shape, "UINT8")
    places = {network.input: _prepare(file, image, shape, scale, shift)}
    names = {tensor: head for head, tensor in network.heads.items()}
    for number, layer in enumerate(network.layers):
        name, made = names.get(layer.output, f"{layer.kind}_{number}"), network.shapes[layer.output]
        places[layer.output] = file.tensor(name, made, "FLOAT32")
        _add_layer(file, layer, places, made)
    return file.content([image], {head: places[tensor] for head, tensor in network.heads.items()})


def _prepare(file: TfliteFile, image: int, shape: tuple[int, ...], scale: float, shift: float) -> int:
    """Add the normalization of pixels, and return its tensor."""
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.UINT8, schema.TensorType.FLOAT32
    values = file.tensor("values", shape, "FLOAT32")
    file.operator("CAST", 1, [image], values, cast)
    scaled = file.tensor("scaled", shape, "FLOAT32")
    file.operator(
        "MUL", 1, [values, file.constant("scale", np.array([scale], np.float32))], scaled, schema.MulOptionsT()
    )
    ready = file.tensor("pixels", shape, "FLOAT32")
    file.operator(
        "ADD", 1, [scaled, file.constant("shift", np.array([shift], np.float32))], ready, schema.AddOptionsT()
    )
    return ready


def _add_layer(file: TfliteFile, layer: Layer, places: Mapping[int, int], shape: tuple[int, ...]) -> None:
    inputs, output = [places[tensor] for tensor in layer.inputs], places[layer.output]
    if layer.kind == "add":
        file.operator("ADD", 1, inputs, output, add_options(layer))
    elif not layer.has_weights:
        inputs.append(file.constant(f"size_{output}", np.array(shape[1:3], np.int32)))
        file.operator("RESIZE_BILINEAR", 3, inputs, output, resize_options(layer))
    else:
        inputs.append(file.constant(f"weights_{output}", layer.weights))
        inputs.append(file.constant(f"bias_{output}", layer.bias))
        name = "DEPTHWISE_CONV_2D" if layer.kind == "depthwise" else "CONV_2D"
        file.operator(name, 1, inputs, output, convolution_options(layer))
