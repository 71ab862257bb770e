"""Begins with a model's weights: a float or int8 file that `tools.train` exported.

Its normalization is folded into the weights. It is unfolded by what the convolutions make of some pictures, such that
the network computes the same at first, and learns as well as a fresh one.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import ModelError
from edge.tflite.file import TfliteModel, load
from edge.tflite.notes import Affine, read_notes
from tools.train.data.batch import Batch
from tools.train.data.picture import Floats
from tools.train.model.export import to_layers
from tools.train.model.network import HEAD_NAMES, PIXEL_HALF, PoseNetwork, Scaled, normalize

__all__ = ["read_weights", "unfold_normalization"]

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
PASSED = ("QUANTIZE", "CAST", "MUL", "ADD", "RESIZE_BILINEAR")
PROBED = (64, 64)
"""Size of the input that the layers are compared at: weights have none."""
FILTER_NORM = 2.0
"""Length of each filter; with normalization behind it, it only decides how far a step of the optimizer turns it."""


def read_weights(path: Path, network: PoseNetwork) -> None:
    """Put the weights of a TFLite file into a network, folded as they are there.

    Args:
        path: kind `heads`, float or int8, as this tool exports it.
        network: of the same shape; in evaluation it then computes what the file does, but for its rounding.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: it is damaged, of another network, or no file of this tool.
    """
    model, notes = load(path), read_notes(path)
    if notes is None or notes.kind != "heads" or notes.activation != "logits":
        raise ModelError(f"{path}: no model of tools.train, whose weights could be learned on: name one that it made")
    read = list(_layers(model))
    modules, meant = (
        list(_modules(network)),
        [layer for layer in to_layers(network, PROBED).layers if layer.has_weights],
    )
    if [each.shape for each, _ in read] != [layer.weights.shape for layer in meant]:
        raise ModelError(
            f"{path}: its {len(read)} convolutions are not those of this network ({network.shape}): name a model that "
            "was trained with the same --network"
        )
    read[0] = _on_normalized_pixels(model, *read[0])
    for head, place in zip(HEAD_NAMES, _last_places(network), strict=True):
        read[place] = _rescaled(*read[place], notes.affine.get(f"{head}:scaled", notes.affine.get(head)))
    with torch.no_grad():
        for (weights, bias), (convolution, normalization) in zip(read, modules, strict=True):
            _set(convolution, normalization, weights, bias)


def unfold_normalization(network: PoseNetwork, batches: Iterable[Batch]) -> None:
    """Give folded convolutions their normalization back; the network computes the same.

    Args:
        network: with weights of `read_weights`.
        batches: pictures like those that it will learn from.
    """
    pairs = [(convolution, norm) for convolution, norm in _modules(network) if norm is not None]
    sums = {convolution: _Moments(convolution.out_channels) for convolution, _ in pairs}
    hooks = [
        convolution.register_forward_hook(lambda module, _inputs, output: sums[module].add(output))
        for convolution, _ in pairs
    ]
    network.eval()
    with torch.no_grad():
        for batch in batches:
            network(normalize(batch.pixels).contiguous(memory_format=torch.channels_last))
        for hook in hooks:
            hook.remove()
        for convolution, norm in pairs:
            _unfold(convolution, norm, sums[convolution])


class _Moments:
    """Mean and variance of channels over cells."""

    def __init__(self, channels: int) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(channels).double(), torch.zeros(channels).double()

    def add(self, values: Tensor) -> None:
        """Count the cells of (N, C, h, w)."""
        cells = values.detach().double()
        self.count += cells.numel() // cells.shape[1]
        self.total += cells.sum(dim=(0, 2, 3))
        self.squares += cells.square().sum(dim=(0, 2, 3))

    @property
    def mean(self) -> Tensor:
        """(C,)."""
        return self.total / self.count

    @property
    def variance(self) -> Tensor:
        """(C,)."""
        return (self.squares / self.count - self.mean.square()).clamp(min=0)


def _unfold(convolution: nn.Conv2d, norm: nn.BatchNorm2d, moments: _Moments) -> None:
    length = convolution.weight.flatten(1).norm(dim=1).clamp(min=1e-6) / FILTER_NORM
    convolution.weight.div_(length[:, None, None, None])
    mean, variance = (moments.mean / length).float(), (moments.variance / length.double().square()).float()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(length * torch.sqrt(variance + norm.eps))
    norm.bias.add_(length * mean)


def _set(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None, weights: Floats, bias: Floats) -> None:
    """Set a convolution; its normalization, if any, adds the bias and nothing else."""
    # From (O, h, w, I), or (1, h, w, C) of a depthwise one.
    order = (3, 0, 1, 2) if convolution.groups > 1 else (0, 3, 1, 2)
    gain = convolution.gain if isinstance(convolution, Scaled) else 1.0
    convolution.weight.copy_(torch.tensor(weights.transpose(order) / gain))
    if norm is None:
        assert convolution.bias is not None
        convolution.bias.copy_(torch.tensor(bias / gain))
        return
    norm.reset_running_stats()
    norm.weight.fill_(float(np.sqrt(1 + norm.eps)))
    norm.bias.copy_(torch.tensor(bias))


def _modules(network: PoseNetwork) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Yield convolutions with their normalization, in the order of `export.to_layers`."""
    parts: list[nn.Module] = [network.stem, *(block for stage in network.stages for block in stage)]
    parts.append(network.laterals[3])
    for place in (2, 1, 0):
        parts += [network.laterals[place], network.merges[place]]
    parts += [network.heads[name] for name in HEAD_NAMES]
    for part in parts:
        inside = [each for each in part.modules() if isinstance(each, nn.Conv2d | nn.BatchNorm2d)]
        for each, following in zip(inside, [*inside[1:], None], strict=True):
            if isinstance(each, nn.Conv2d):
                yield each, following if isinstance(following, nn.BatchNorm2d) else None


def _last_places(network: PoseNetwork) -> list[int]:
    return [place for place, (convolution, _) in enumerate(_modules(network)) if isinstance(convolution, Scaled)]


def _layers(model: TfliteModel) -> Iterator[tuple[Floats, Floats]]:
    """Yield real weights and bias of the convolutions in order. Raises ModelError."""
    for op in model.graph.operators:
        name = model.op_name(op)
        if name in PASSED:
            continue
        if name not in CONVOLUTIONS or len(op.inputs) != 3:
            raise ModelError(f"{model.origin}: operator {name} is not of a model that tools.train made")
        weights, bias = (_real(model, int(tensor)) for tensor in op.inputs[1:])
        yield weights, bias


def _real(model: TfliteModel, tensor: int) -> Floats:
    """Return a constant's real values. Raises ModelError."""
    values, meant = model.constant(tensor), model.graph.tensors[tensor].quantization
    if values is None or values.dtype not in (np.float32, np.int8, np.int32):
        raise ModelError(f"{model.origin}: '{model.name(tensor)}' has no weights that could be learned on")
    if values.dtype == np.float32:
        return np.asarray(values)
    if meant is None or meant.scale is None:
        raise ModelError(f"{model.origin}: '{model.name(tensor)}' does not say what its whole numbers mean")
    scales = _along(meant.scale, values, int(meant.quantizedDimension))
    zeros = 0 if meant.zeroPoint is None else _along(meant.zeroPoint, values, int(meant.quantizedDimension))
    return np.asarray((values.astype(np.float64) - zeros) * scales, np.float32)


def _along(numbers: NDArray[Any], values: NDArray[Any], axis: int) -> NDArray[np.float64]:
    shape = [1] * values.ndim
    shape[axis] = len(numbers)
    return np.asarray(numbers, np.float64).reshape(shape)


def _on_normalized_pixels(model: TfliteModel, weights: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Return the first layer for pixels in -1..1, as the network wants them."""
    meant = model.graph.tensors[int(model.graph.inputs[0])].quantization
    if meant is None or meant.scale is None or len(meant.scale) == 0:
        return weights, bias  # a float file prepares its pixels itself
    scale, zero = float(meant.scale[0]), float(meant.zeroPoint[0])
    # scale * (p - zero) = scale * PIXEL_HALF * (p - PIXEL_HALF) / PIXEL_HALF + scale * (PIXEL_HALF - zero)
    lacking = scale * (PIXEL_HALF - zero)
    return weights * np.float32(scale * PIXEL_HALF), bias + np.float32(lacking) * weights.sum(axis=(1, 2, 3))


def _rescaled(weights: Floats, bias: Floats, affine: Affine | None) -> tuple[Floats, Floats]:
    """Return a head's last layer for real values instead of full codes."""
    if affine is None:
        return weights, bias
    gain, shift = np.array(affine.gain, np.float32), np.array(affine.shift, np.float32)
    return weights * gain[:, None, None, None], bias * gain + shift
