"""Cross-layer equalization: rewrites a float network to fill its int8 ranges.

The network computes the same function.

A tensor has one step for all its channels. Where one reaches 400 and another 2, the second keeps seven of its 256
values. What follows a channel can undo any factor that it was given, so factors are free:
`Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019` (arXiv:1906.04721), here
with the ranges of the activations, through additions and resizes, and with shifts where no border is in the way.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.graph.network import Layer, Network
from edge.tflite.notes import Affine
from tools.convert.int8.observe import Range

__all__ = ["center_channels", "equalize_channels", "fuse_trunk", "rescale_heads", "split_trunk", "trunk"]

SPARE = 1.1
"""Factor of room above the greatest observed value."""
LOW_PART = 0.35
"""Share of a channel's range that gets steps of its own."""
LEAST_FACTOR = 0.02
"""Nearly constant channels are scaled up by at most 1 / this. With 1e-3 one of MoveNet's came near the limit of
XNNPACK, which refuses a convolution whose input scale * weight scale / output scale is 256 or more."""
Ranges = Mapping[int, Range]


def rescale_heads(network: Network, needed: Mapping[str, Range]) -> tuple[Network, dict[str, Affine]]:
    """Scale every channel of every head to -128..127 in steps of 1.

    Args:
        network: float.
        needed: range of each head's channels.

    Returns:
        The network, and by head how its real values are found again: gain * value + shift.
    """
    changes, affine = {}, {}
    for head, tensor in network.heads.items():
        gain = (needed[head].high - needed[head].low) / 255
        shift = needed[head].low + 128 * gain
        layer = network.producer(tensor)
        moved = layer.with_weights(layer.weights, layer.bias - shift)
        changes[tensor] = moved.scaled_outputs(1 / gain)
        affine[head] = Affine(tuple(map(float, gain)), tuple(map(float, shift)))
    return network.replaced(changes), affine


def equalize_channels(network: Network, ranges: Ranges) -> tuple[Network, dict[int, Range]]:
    """Equalize the channels of every tensor; return network and new ranges.

    Channels are divided by their reach where a factor can pass.
    """
    for tensors in _families(network):
        reach = np.max([ranges[tensor].reach for tensor in tensors], axis=0)
        factors = np.maximum(reach, LEAST_FACTOR * max(float(reach.max()), 1e-6))
        # Relative to the largest: the tensor keeps its range, and smaller channels grow to fill it.
        factors = np.maximum(factors / factors.max(), LEAST_FACTOR)
        network = _divided(network, tensors, factors)
        ranges = {**ranges, **{tensor: ranges[tensor].scaled(1 / factors) for tensor in tensors}}
    return network, dict(ranges)


def center_channels(network: Network, ranges: Ranges) -> tuple[Network, dict[int, Range]]:
    """Center channels around 0 where only pointwise convolutions read them.

    Other convolutions pad their input with 0, which would be shifted too.
    """
    for layer in network.layers:
        readers = network.consumers(layer.output)
        free = layer.has_weights and layer.activation == "none" and layer.output not in network.heads.values()
        if not free or not all(reader.is_pointwise for reader in readers):
            continue
        middle = (ranges[layer.output].low + ranges[layer.output].high) / 2
        changes = {reader.output: _absorbing(reader, middle) for reader in readers}
        changes[layer.output] = layer.with_weights(layer.weights, layer.bias - middle)
        network = network.replaced(changes)
        ranges = {**ranges, layer.output: ranges[layer.output].shifted(-middle)}
    return network, dict(ranges)


def trunk(network: Network) -> Layer | None:
    """Return the pointwise ReLU layer below which all heads begin, or None.

    Each head begins with a depthwise layer there.
    """
    for layer in network.layers:
        readers = network.consumers(layer.output)
        linear = all(reader.kind == "depthwise" and reader.activation == "none" for reader in readers)
        if len(readers) == len(network.heads) and linear and layer.kind == "conv" and layer.activation == "relu":
            return layer
    return None


def fuse_trunk(network: Network) -> Network:
    """Fuse the trunk with the depthwise layer above it, saving one rounding."""
    end = trunk(network)
    above = next((layer for layer in network.layers if end is not None and layer.output == end.inputs[0]), None)
    if end is None or above is None or not end.is_pointwise:
        return network
    if above.kind != "depthwise" or above.activation != "none" or len(network.consumers(above.output)) != 1:
        return network
    bias = end.bias + end.weights[:, 0, 0] @ above.bias
    whole = end.with_weights(end.weights * above.weights, bias)  # (O, 1, 1, C) * (1, h, w, C) -> (O, h, w, C)
    fused = replace(whole, inputs=above.inputs, stride=above.stride, padding=above.padding)
    kept = network.replaced({end.output: fused})
    return replace(kept, layers=tuple(layer for layer in kept.layers if layer is not above))


def split_trunk(network: Network, ranges: Ranges) -> Network:
    """Split each channel of the trunk into a fine and a coarse one.

    The fine one takes the lower third of the range.

    relu(x) = relu6(a x) / a + relu6(b (x - m)) / b with a = 6 / m and b = 6 / (high - m), for x up to `high`.
    """
    end = trunk(network)
    if end is None:
        return network
    high = SPARE * np.maximum(ranges[end.output].high, LEAST_FACTOR * ranges[end.output].high.max() + 1e-6)
    middle = LOW_PART * high
    fine, coarse = 6 / middle, 6 / (high - middle)
    # ReLU6 clips the fine copy at `middle`, where the coarse one begins.
    low_part = end.scaled_outputs(fine)
    high_part = end.with_weights(end.weights, end.bias - middle).scaled_outputs(coarse)
    both = end.with_weights(
        np.concatenate([low_part.weights, high_part.weights]), np.concatenate([low_part.bias, high_part.bias])
    )
    changes = {end.output: replace(both, activation="relu6")}
    doubled = [end.output]
    for reader in network.consumers(end.output):
        # Depthwise: each copy gets half of the bias, and the layer below sums both.
        weights = np.concatenate([reader.weights / fine, reader.weights / coarse], axis=-1)
        changes[reader.output] = reader.with_weights(weights, np.tile(reader.bias / 2, 2))
        doubled.append(reader.output)
        for next_layer in network.consumers(reader.output):
            wide = np.concatenate([next_layer.weights, next_layer.weights], axis=-1)
            changes[next_layer.output] = next_layer.with_weights(wide, next_layer.bias)
    shapes = {**network.shapes}
    for tensor in doubled:
        shapes[tensor] = (*network.shapes[tensor][:3], 2 * len(high))
    return replace(network.replaced(changes), shapes=shapes)


def _families(network: Network) -> list[list[int]]:
    """Return the sets of tensors that must be scaled alike.

    Additions and resizes join them; sets that must not be scaled are left out.
    """
    family = {layer.output: {layer.output} for layer in network.layers}
    for layer in network.layers:
        if not layer.has_weights:
            joined = set().union(family[layer.output], *(family[tensor] for tensor in layer.inputs))
            family |= dict.fromkeys(joined, joined)
    distinct = {id(each): each for each in family.values()}.values()
    return [sorted(tensors) for tensors in distinct if _is_free(network, tensors)]


def _is_free(network: Network, tensors: set[int]) -> bool:
    """Return whether these tensors may be scaled.

    ReLU6 clips at 6 at any scale, and heads are read as they are.
    """
    bounded = any(network.producer(tensor).activation == "relu6" for tensor in tensors)
    return not bounded and not tensors & set(network.heads.values())


def _divided(network: Network, tensors: list[int], factors: NDArray[np.float64]) -> Network:
    changes: dict[int, Layer] = {}
    for layer in network.layers:
        changed = layer
        if layer.has_weights and layer.output in tensors:
            changed = changed.scaled_outputs(1 / factors)
        if layer.has_weights and layer.inputs[0] in tensors:
            changed = changed.scaled_inputs(factors)
        changes[layer.output] = changed
    return network.replaced(changes)


def _absorbing(layer: Layer, distance: NDArray[np.floating]) -> Layer:
    """Return a pointwise layer for an input reduced by `distance`, (C,)."""
    return layer.with_weights(layer.weights, layer.bias + layer.weights[:, 0, 0] @ distance)
