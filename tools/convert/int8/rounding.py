"""Rounds weights to int8 layer by layer (GPTQ), compensating earlier errors.

Layer by layer the pictures go through the float network and, beside it, through the rounded one. Each convolution is
fitted by least squares to give from the rounded input what the float one gives from the true input, not far from its
own weights; then its weights are rounded one after the other, and what is lost with one is put on those still to come
(`Frantar et al., GPTQ, 2022`, arXiv:2210.17323, after `Hassibi and Stork, Optimal Brain Surgeon, 1993`). Its bias takes
what is left of the mean error.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.graph.network import Floats, Layer, Network
from edge.graph.rounded import Codes, Rounded
from tools.convert.int8.execute import activate, compute, convolve, patches
from tools.convert.int8.observe import Cells, cells_of

__all__ = ["round_network", "round_plainly"]

Reals = NDArray[np.float64]
RIDGE = 1.0
"""Ridge penalty of the fit, towards the original weights, in units of the input's mean variance."""
DAMPING = 0.01
"""Share of the mean variance that is added to every input's, so that the equations can be solved."""
MAX_ROWS = 30_000
MAX_DEPTHWISE_ROWS = 4_000
MAX_INT32 = 2**31 - 1


class _Moments(NamedTuple):
    """Moments of inputs x and wanted outputs y, in G groups.

    Each group has k inputs and o outputs.

    A convolution is one group, a depthwise one a group per channel.
    """

    mean_x: Reals  # (G, k)
    mean_y: Reals  # (G, o)
    xx: Reals  # (G, k, k) covariance
    xy: Reals  # (G, k, o) covariance
    doubt: float  # how many times more inputs than rows there were, at least 1: then the original weights know better


def round_plainly(network: Network, codes: Mapping[int, Codes]) -> dict[int, Rounded]:
    """Round every weight to the nearest step; return layers by output tensor."""
    rounded = {}
    for layer in network.layers:
        if layer.has_weights:
            groups = _grouped(layer)  # (G, o, k)
            steps = _steps(groups)
            rounded[layer.output] = _packed(
                layer, np.rint(groups / steps[..., None]), steps, layer.bias, codes[layer.inputs[0]].scale
            )
    return rounded


def round_network(
    network: Network,
    codes: Mapping[int, Codes],
    images: Floats,
    relevant: Mapping[str, Cells],
    *,
    fit: bool,
    on_layer: Callable[[], None] = lambda: None,
) -> dict[int, Rounded]:
    """Round the weights of every layer; return layers by output tensor.

    Args:
        network: float, as it is to be written.
        codes: by tensor, that of the input included.
        images: (N, H, W, 3) normalized, as the int8 network gets them.
        relevant: cells of the same pictures that matter, by head; elsewhere at the maps' resolution errors are free.
        fit: fit the weights to the rounded input first.
        on_layer: called after each layer.
    """
    last, rng = network.last_use(), np.random.default_rng(0)
    feeds, resolution = network.feeds(), network.shapes[network.heads["center"]][1:3]
    true, coarse = {network.input: images}, {network.input: codes[network.input].fake_quantize(images)}
    rounded: dict[int, Rounded] = {}
    for place, layer in enumerate(network.layers):
        tensor, shape = layer.output, network.shapes[layer.output]
        matters = cells_of(feeds[tensor], relevant) if shape[1:3] == resolution else None
        if layer.has_weights:
            source = layer.inputs[0]
            wanted = convolve(layer, true[source]) + layer.bias
            made = _round_layer(
                layer, coarse[source], wanted, codes[source], _pick(wanted, layer, matters, rng), fit=fit
            )
            rounded[tensor] = made
            bias = (made.bias * made.scales * codes[source].scale).astype(np.float32)
            sums = convolve(layer, coarse[source], made.real_weights(layer)) + bias
            true[tensor], coarse[tensor] = activate(layer, wanted), codes[tensor].fake_quantize(activate(layer, sums))
        else:
            true[tensor] = compute(layer, [true[each] for each in layer.inputs], shape)
            coarse[tensor] = codes[tensor].fake_quantize(compute(layer, [coarse[each] for each in layer.inputs], shape))
        for used in {*layer.inputs, tensor}:
            if last.get(used, -1) <= place:
                del true[used], coarse[used]
        on_layer()
    return rounded


def _round_layer(
    layer: Layer, values: Floats, wanted: Floats, codes: Codes, picked: NDArray[np.intp], *, fit: bool
) -> Rounded:
    """Return the layer rounded for inputs `values`, (N, H, W, C).

    Errors are measured at the picked output cells.
    """
    original = _grouped(layer)
    if not len(picked):  # nothing of this map matters in any picture
        steps = _steps(original)
        return _packed(layer, np.rint(original / steps[..., None]), steps, layer.bias, codes.scale)
    moments = _moments(layer, values, wanted, picked)
    weights = _fitted(original, moments) if fit else original
    steps = _steps(weights)
    whole = _gptq(weights, steps, moments)
    real = whole * steps[..., None]
    bias = moments.mean_y - np.einsum("gok,gk->go", real, moments.mean_x)
    return _packed(layer, whole, steps, bias.ravel(), codes.scale)


def _pick(wanted: Floats, layer: Layer, matters: Cells | None, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the output cells to fit, as indices into (N * h * w)."""
    places = np.arange(wanted.size // wanted.shape[-1]) if matters is None else np.flatnonzero(matters)
    most = MAX_ROWS if layer.kind == "conv" else MAX_DEPTHWISE_ROWS
    if len(places) <= most:
        return places
    # From a few whole pictures, since what is taken from a picture costs less than the picture itself.
    per_picture = wanted.shape[1] * wanted.shape[2]
    pictures = rng.permutation(len(wanted))
    count = -(-len(wanted) * 4 * most // len(places))
    near = places[np.isin(places // per_picture, pictures[:count])]
    return near if len(near) <= most else np.sort(rng.choice(near, most, replace=False))


def _moments(layer: Layer, values: Floats, wanted: Floats, picked: NDArray[np.intp]) -> _Moments:
    y = wanted.reshape(-1, wanted.shape[-1])[picked]
    per_picture = wanted.shape[1] * wanted.shape[2]
    # Patches are nine times the picture: made for one picture at a time, and thinned out at once.
    parts = [
        patches(layer, values[index : index + 1])[picked[picked // per_picture == index] % per_picture]
        for index in np.unique(picked // per_picture).tolist()
    ]
    x = np.concatenate(parts)  # (rows, taps, C)
    if layer.kind == "conv":
        x, y = x.reshape(1, len(x), -1), y[None]
    else:
        # Contiguous, or NumPy multiplies by hand what BLAS does fifty times faster.
        x, y = (
            np.ascontiguousarray(x.transpose(2, 0, 1)),
            np.ascontiguousarray(y.T)[..., None],
        )  # (C, rows, taps), (C, rows, 1)
    mean_x, mean_y = x.mean(axis=1, dtype=np.float64), y.mean(axis=1, dtype=np.float64)
    x, y = x - mean_x[:, None].astype(np.float32), y - mean_y[:, None].astype(np.float32)
    turned = x.transpose(0, 2, 1)
    rows = x.shape[1]
    doubt = max(1.0, x.shape[2] / rows)
    return _Moments(mean_x, mean_y, (turned @ x).astype(float) / rows, (turned @ y).astype(float) / rows, doubt)


def _fitted(weights: Reals, moments: _Moments) -> Reals:
    """Return weights (G, o, k) fitted to y by ridge regression.

    They are held to the original ones.
    """
    hold = RIDGE * moments.doubt * _mean_variance(moments.xx)
    left = moments.xx + hold * np.eye(moments.xx.shape[1])
    right = moments.xy + hold * weights.transpose(0, 2, 1)
    return np.asarray(np.linalg.solve(left, right).transpose(0, 2, 1), np.float64)


def _gptq(weights: Reals, steps: Reals, moments: _Moments) -> Reals:
    """Return whole weights (G, o, k), rounded input by input.

    The inputs still to come compensate what each rounding cost.
    """
    xx = moments.xx
    # Inputs that depend on one another have no inverse without damping.
    damped = xx + DAMPING * moments.doubt * _mean_variance(xx) * np.eye(xx.shape[1])
    inverse = np.linalg.inv(damped)
    factor = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2).transpose(0, 2, 1)  # upper triangular
    # Row k of the factor spreads the error of input k over the inputs after it.
    left, whole = weights.copy(), np.empty_like(weights)
    for tap in range(weights.shape[2]):
        whole[..., tap] = np.clip(np.rint(left[..., tap] / steps), -127, 127)
        lost = (left[..., tap] - whole[..., tap] * steps) / factor[:, tap, tap, None]
        left[..., tap + 1 :] -= lost[..., None] * factor[:, None, tap, tap + 1 :]
    return whole


def _mean_variance(xx: Reals) -> Reals:
    """Return the mean of the diagonals, (G, 1, 1)."""
    return np.asarray(np.trace(xx, axis1=1, axis2=2)[:, None, None] / xx.shape[1] + 1e-9)


def _grouped(layer: Layer) -> Reals:
    """Return the weights as (G, o, k).

    (1, O, taps * I), or (C, 1, taps) of a depthwise layer.
    """
    weights = layer.weights.astype(float)
    if layer.kind == "conv":
        return weights.reshape(1, len(weights), -1)
    return weights.reshape(-1, weights.shape[3]).T[:, None]


def _steps(groups: Reals) -> Reals:
    """Return the step of each output channel's weights, (G, o)."""
    return np.asarray(np.maximum(np.abs(groups).max(axis=2), 1e-9) / 127)


def _packed(layer: Layer, whole: Reals, steps: Reals, bias: NDArray[np.floating], input_scale: float) -> Rounded:
    """Put whole weights (G, o, k) into the layer's shape; round its bias."""
    shape = layer.weights.shape
    weights = whole[0].reshape(shape) if layer.kind == "conv" else whole[:, 0].T.reshape(shape)
    scales = steps.ravel()
    whole_bias = np.clip(np.rint(bias / (scales * input_scale)), -MAX_INT32, MAX_INT32)
    return Rounded(weights.astype(np.int8), scales, whole_bias.astype(np.int32))
