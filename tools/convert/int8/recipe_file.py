"""Writes the recipe that turns published weights into an int8 network (see `edge.graph.recipe`)."""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge import __version__
from edge.errors import ModelError
from edge.graph.network import Layer, Network
from edge.graph.published import Published
from edge.graph.recipe import (
    LayerArrays,
    LayerRecipe,
    RecipeHeader,
    code_digest,
    encode_recipe,
    expanded,
    predicted,
)
from edge.graph.rounded import Codes, Rounded
from edge.tflite.notes import Affine

__all__ = ["make_recipe"]

ROUNDS = 6
"""Of fitting gain and reach in turn; they are products of factors, so that two would do but for rounding."""
LEAST = 1e-30
Reals = NDArray[np.float64]


def make_recipe(
    published: Published,
    network: Network,
    codes: Mapping[int, Codes],
    rounded: Mapping[int, Rounded],
    affine: Mapping[str, Affine],
    *,
    calibration: str,
) -> bytes:
    """Return the content of the recipe's file.

    Args:
        published: the network that was quantized.
        network: what the steps of the recipe made of it.
        codes: by tensor of `network`.
        rounded: its convolutions by tensor.
        affine: see `edge.tflite.notes.Notes`.
        calibration: the pictures, in one line.

    Raises:
        ModelError: the network was changed in a way that a recipe cannot tell.
    """
    sources = {layer.output: layer for layer in published.network.layers}
    layers, arrays, exact = [], [], {}
    for layer in network.layers:
        recipe = _layer(layer, network, published.network, sources)
        layers.append(recipe)
        if layer.has_weights:
            found = _arrays(layer, expanded([sources[each] for each in recipe.sources], recipe), rounded[layer.output])
            arrays.append(found)
            exact[layer.output] = rounded[layer.output]
    header = RecipeHeader(
        weights=published.digest,
        codes=code_digest(exact),
        tool=f"edge-pose {__version__} convert",
        calibration=calibration,
        layers=tuple(layers),
        quantization=tuple((tensor, float(each.scale), int(each.zero)) for tensor, each in codes.items()),
        heads=dict(network.heads),
        affine=dict(affine),
    )
    return encode_recipe(header, arrays)


def _layer(layer: Layer, network: Network, published: Network, sources: Mapping[int, Layer]) -> LayerRecipe:
    plain = LayerRecipe(
        kind=layer.kind,
        inputs=layer.inputs,
        output=layer.output,
        activation=layer.activation,
        stride=layer.stride,
        padding=layer.padding,
        align_corners=layer.align_corners,
        half_pixel_centers=layer.half_pixel_centers,
    )
    if layer.kind == "resize":
        factor = network.shapes[layer.output][1] // network.shapes[layer.inputs[0]][1]
        return msgspec.structs.replace(plain, factor=factor)
    if not layer.has_weights:
        return plain
    origin = sources[layer.output]
    numbers: tuple[int, ...] = (layer.output,)
    if layer.weights.shape[1:3] != origin.weights.shape[1:3]:  # fused with the depthwise layer above
        numbers = (layer.output, published.producer(origin.inputs[0]).output)
    shape = np.broadcast_shapes(*(sources[each].weights.shape for each in numbers))
    rows, columns = layer.weights.shape[0] // shape[0], layer.weights.shape[3] // shape[3]
    found = msgspec.structs.replace(plain, sources=numbers, rows=rows, columns=columns)
    if expanded([sources[each] for each in numbers], found).shape != layer.weights.shape:
        raise ModelError(f"a recipe cannot tell how the weights of layer {layer.output} became {layer.weights.shape}")
    return found


def _arrays(layer: Layer, weights: Reals, rounded: Rounded) -> LayerArrays:
    gain, reach = _factors(weights, layer.weights.astype(np.float64), layer.kind)
    narrow, wide = (gain / rounded.scales).astype(np.float32), reach.astype(np.float32)
    corrections = rounded.weights.astype(np.int16) - predicted(weights, layer.kind, narrow, wide)
    return LayerArrays(narrow, wide, rounded.scales.astype(np.float32), rounded.bias, corrections.astype(np.int8))


def _factors(weights: Reals, wanted: Reals, kind: str) -> tuple[Reals, Reals]:
    """Return gain (O,) and reach (I,) with wanted = weights * gain * reach, nearly."""
    known = (np.abs(weights) > LEAST) & (np.abs(wanted) > LEAST)
    ratios = np.log(np.where(known, np.abs(wanted) / np.where(known, np.abs(weights), 1), 1))
    if kind == "depthwise":
        count = np.maximum(known.sum(axis=(0, 1, 2)), 1)
        return np.exp((ratios * known).sum(axis=(0, 1, 2)) / count), np.ones(1)
    outputs, inputs = np.zeros(weights.shape[0]), np.zeros(weights.shape[3])
    for _ in range(ROUNDS):
        left = (ratios - inputs) * known
        outputs = left.sum(axis=(1, 2, 3)) / np.maximum(known.sum(axis=(1, 2, 3)), 1)
        left = (ratios - outputs[:, None, None, None]) * known
        inputs = left.sum(axis=(0, 1, 2)) / np.maximum(known.sum(axis=(0, 1, 2)), 1)
    return np.exp(outputs), np.exp(inputs)
