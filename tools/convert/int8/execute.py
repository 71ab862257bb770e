"""Runs a network layer by layer, exposing every tensor."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.graph.network import Floats, Layer, Network
from tools.convert.workstation import load_tensorflow

__all__ = ["activate", "compute", "convolve", "patches", "run_network"]


def convolve(layer: Layer, values: Floats, weights: NDArray[Any] | None = None) -> Floats:
    """Return a convolution's sums before bias and activation, (N, h, w, O).

    Args:
        layer: the convolution, of either kind.
        values: (N, H, W, C).
        weights: used instead of the layer's own, of the same shape.
    """
    tf = load_tensorflow()
    kernel = np.ascontiguousarray((layer.weights if weights is None else weights).transpose(1, 2, 3, 0), np.float32)
    function = tf.nn.conv2d if layer.kind == "conv" else tf.nn.depthwise_conv2d
    return np.asarray(function(values, kernel, [1, *layer.stride, 1], layer.padding))


def activate(layer: Layer, values: Floats) -> Floats:
    """Apply the layer's activation."""
    if layer.activation == "none":
        return values
    return np.asarray(np.clip(values, 0, 6 if layer.activation == "relu6" else None))


def compute(layer: Layer, inputs: list[Floats], shape: tuple[int, ...]) -> Floats:
    """Return a layer's output, (N, h, w, C).

    Args:
        layer: any layer.
        inputs: what it reads.
        shape: (1, h, w, C) of its output.
    """
    if layer.has_weights:
        return activate(layer, convolve(layer, inputs[0]) + layer.bias)
    if layer.kind == "add":
        return activate(layer, inputs[0] + inputs[1])
    tf = load_tensorflow()
    return np.asarray(
        tf.raw_ops.ResizeBilinear(
            images=inputs[0],
            size=shape[1:3],
            align_corners=layer.align_corners,
            half_pixel_centers=layer.half_pixel_centers,
        )
    )


def patches(layer: Layer, values: Floats) -> Floats:
    """Return the input patches of a convolution, (N * h * w, taps, C)."""
    height, width = layer.weights.shape[1:3]
    if layer.is_pointwise:
        return values.reshape(-1, 1, values.shape[3])
    tf = load_tensorflow()
    seen = tf.image.extract_patches(values, [1, height, width, 1], [1, *layer.stride, 1], [1, 1, 1, 1], layer.padding)
    return np.asarray(seen).reshape(-1, height * width, values.shape[3])


def run_network(
    network: Network, images: Floats, look: Callable[[Layer, Floats], None] | None = None
) -> dict[str, Floats]:
    """Return the maps, (N, h, w, C) by head.

    Args:
        network: what to run.
        images: (N, H, W, 3) normalized.
        look: shown every layer and its output as it is made.
    """
    last, values, maps = network.last_use(), {network.input: images}, {}
    names = {tensor: head for head, tensor in network.heads.items()}
    for place, layer in enumerate(network.layers):
        made = compute(layer, [values[tensor] for tensor in layer.inputs], network.shapes[layer.output])
        if look is not None:
            look(layer, made)
        values[layer.output] = made
        if layer.output in names:
            maps[names[layer.output]] = made
        for tensor in {*layer.inputs, layer.output}:
            if last.get(tensor, -1) <= place:
                del values[tensor]
    return maps
