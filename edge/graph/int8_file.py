"""Writes a rounded network as an int8 TFLite file.

Per-channel weights, uint8 pixels in, int8 maps out.

Every operator is one that an Edge TPU takes; the zero points, axes and biases are those of
tensorflow.org/lite/performance/quantization_spec.
"""

from collections.abc import Mapping

import numpy as np

from edge.graph.network import INPUT, Layer, Network
from edge.graph.rounded import Codes, Rounded
from edge.graph.tflite_file import TfliteFile, add_options, convolution_options, resize_options
from edge.tflite.schema import schema

__all__ = ["write_int8"]

UINT8_SHIFT = 128
"""A pixel p is the int8 code p - 128."""


def write_int8(network: Network, codes: Mapping[int, Codes], rounded: Mapping[int, Rounded]) -> bytes:
    """Return the file's content; outputs have the names of their heads.

    Args:
        network: what was rounded.
        codes: by tensor, that of the input included.
        rounded: the convolutions by the tensor they make.
    """
    file = TfliteFile()
    pixels = codes[network.input]
    shape = network.shapes[network.input]
    image = file.tensor(INPUT, shape, "UINT8", pixels.scale, pixels.zero + UINT8_SHIFT)
    places = {network.input: file.tensor("pixels", shape, "INT8", pixels.scale, pixels.zero)}
    file.operator("QUANTIZE", 1, [image], places[network.input], schema.QuantizeOptionsT())
    names = {tensor: head for head, tensor in network.heads.items()}
    for number, layer in enumerate(network.layers):
        name = names.get(layer.output, f"{layer.kind}_{number}")
        shape, meant = network.shapes[layer.output], codes[layer.output]
        places[layer.output] = file.tensor(name, shape, "INT8", meant.scale, meant.zero)
        _add_layer(file, layer, places, codes, rounded=rounded.get(layer.output), shape=shape)
    return file.content([image], {head: places[tensor] for head, tensor in network.heads.items()})


def _add_layer(
    file: TfliteFile,
    layer: Layer,
    places: Mapping[int, int],
    codes: Mapping[int, Codes],
    *,
    rounded: Rounded | None,
    shape: tuple[int, ...],
) -> None:
    inputs, output = [places[tensor] for tensor in layer.inputs], places[layer.output]
    if layer.kind == "add":
        file.operator("ADD", 2, inputs, output, add_options(layer))
    elif rounded is None:
        inputs.append(file.constant(f"size_{output}", np.array(shape[1:3], np.int32)))
        file.operator("RESIZE_BILINEAR", 3, inputs, output, resize_options(layer))
    else:
        depthwise = layer.kind == "depthwise"
        bias_scales = rounded.scales * codes[layer.inputs[0]].scale
        inputs.append(file.constant(f"weights_{output}", rounded.weights, rounded.scales, 3 if depthwise else 0))
        inputs.append(file.constant(f"bias_{output}", rounded.bias, bias_scales))
        file.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", 3, inputs, output, convolution_options(layer))
