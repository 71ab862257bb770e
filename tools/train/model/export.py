"""Exports a trained network as a float and an int8 TFLite file.

Both of one input size.

Normalization is folded into the convolutions: w' = w * gamma / sqrt(var + eps), b' = beta - mean * gamma /
sqrt(var + eps).
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge.graph.float_file import write_float
from edge.graph.network import Floats, Kind, Layer, Network
from edge.tflite.file import load
from edge.tflite.notes import Affine, Source
from tools.convert.graph.frozen import Quantization
from tools.convert.int8.calibration import calibrate
from tools.convert.int8.quantize import quantize_network
from tools.convert.label import label_heads
from tools.train.model.network import HEAD_NAMES, PIXEL_HALF, PoseNetwork, Scaled, Separable

__all__ = ["Exported", "export_models", "to_layers"]

Progress = Callable[[int, int, str], None]
SCALE, SHIFT = 1 / PIXEL_HALF, -1.0
"""Pixels become the network's input: see `train.model.network.normalize`."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written."""

    float_file: Path
    int8_file: Path


def export_models(
    network: PoseNetwork,
    folder: Path,
    *,
    size: tuple[int, int],
    calibration: Path | None,
    name: str,
    origin: str,
    on_progress: Progress = lambda _done, _total, _label: None,
) -> Exported:
    """Write `<name>_float.tflite` and `<name>.tflite`, the int8 one, into a folder.

    Args:
        network: what was learned; its moving average, as a rule.
        folder: where to.
        size: (width, height) of the input in pixels, multiples of 32.
        calibration: folder of pictures that int8 takes its ranges from; None for the synthetic scene.
        name: of the model.
        origin: of the model, for the files' notes.
        on_progress: called with (done, total, label).

    Raises:
        InputError: the calibration pictures cannot be used.
        UnavailableError: a file cannot be written.
    """
    layers = to_layers(network, size)
    source = Source(origin, f"sha256:{_digest(network)}")
    whole = _save(write_float(layers, scale=SCALE, shift=SHIFT), folder / f"{name}_float.tflite", source, "none", {})
    pictures = calibrate(calibration, size=size, on_progress=on_progress)
    made = quantize_network(layers, pictures, scale=(SCALE,) * 3, shift=(SHIFT,) * 3, on_progress=on_progress)
    small = _save(made.content, folder / f"{name}.tflite", source, "int8", made.affine)
    return Exported(whole, small)


def to_layers(network: PoseNetwork, size: tuple[int, int]) -> Network:
    """Return the network as plain values.

    For an input of `size` (width, height).
    """
    walk = _Walk((1, size[1], size[0], 3))
    values = walk.convolution(network.stem, 0)
    levels = []
    for stage in network.stages:
        for block in stage:
            values = walk.separable(block, values) if isinstance(block, Separable) else walk.convolution(block, values)
        levels.append(values)
    values = walk.convolution(network.laterals[3], levels[3])
    for place in (2, 1, 0):
        lateral = walk.convolution(network.laterals[place], levels[place])
        values = walk.separable(network.merges[place], walk.add(walk.doubled(values), lateral))
    heads = {name: walk.head(network.heads[name], values) for name in HEAD_NAMES}
    return Network(tuple(walk.layers), walk.shapes, 0, heads)


class _Walk:
    """Collects layers in execution order; tensor 0 is the input."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.layers: list[Layer] = []
        self.shapes: dict[int, tuple[int, ...]] = {0: shape}

    def convolution(self, modules: nn.Module, tensor: int) -> int:
        """Add a convolution with its normalization and activation; return its output."""
        inside = [each for each in modules.modules() if not isinstance(each, nn.Sequential | nn.ZeroPad2d)]
        convolution, normalization, *activation = inside
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(normalization, nn.BatchNorm2d)
        weights, bias = _folded(convolution, normalization)
        stride = int(convolution.stride[0])
        return self._weighted(
            tensor,
            weights,
            bias,
            stride,
            depthwise=convolution.groups > 1,
            activation="relu6" if activation else "none",
        )

    def separable(self, block: nn.Module, tensor: int) -> int:
        """Add a residual block."""
        assert isinstance(block, Separable)
        return self.add(self.convolution(block.pointwise, self.convolution(block.depthwise, tensor)), tensor)

    def head(self, modules: nn.Module, tensor: int) -> int:
        """Add a head."""
        assert isinstance(modules, nn.Sequential)
        depthwise, pointwise, last = modules
        assert isinstance(last, Scaled)
        assert last.bias is not None
        values = self.convolution(pointwise, self.convolution(depthwise, tensor))
        weights, bias = (_array(each * last.gain) for each in (last.weight, last.bias))
        return self._weighted(values, weights, bias, 1, depthwise=False, activation="none")

    def add(self, one: int, other: int) -> int:
        """Add an addition."""
        empty = np.empty(0, np.float32)
        return self._append(Layer("add", (one, other), len(self.shapes), "none", empty, empty), self.shapes[one])

    def doubled(self, tensor: int) -> int:
        """Add a bilinear resize to twice the size."""
        empty = np.empty(0, np.float32)
        _, height, width, channels = self.shapes[tensor]
        layer = Layer("resize", (tensor,), len(self.shapes), "none", empty, empty, half_pixel_centers=True)
        return self._append(layer, (1, 2 * height, 2 * width, channels))

    def _weighted(
        self, tensor: int, weights: Floats, bias: Floats, stride: int, *, depthwise: bool, activation: str
    ) -> int:
        """Add a convolution of torch's weights (O, I, h, w)."""
        order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)  # to (1, h, w, C) or (O, h, w, I)
        kind: Kind = "depthwise" if depthwise else "conv"
        _, height, width, _ = self.shapes[tensor]
        layer = Layer(
            kind, (tensor,), len(self.shapes), activation,
            np.ascontiguousarray(weights.transpose(order)), bias, (stride, stride), "SAME",
        )  # fmt: skip
        return self._append(layer, (1, -(-height // stride), -(-width // stride), len(bias)))

    def _append(self, layer: Layer, shape: tuple[int, ...]) -> int:
        self.layers.append(layer)
        self.shapes[layer.output] = shape
        return layer.output


def _folded(convolution: nn.Conv2d, normalization: nn.BatchNorm2d) -> tuple[Floats, Floats]:
    """Fold normalization into weights (O, I, h, w) and bias (O,)."""
    mean, variance = normalization.running_mean, normalization.running_var
    assert mean is not None
    assert variance is not None
    factor = normalization.weight.double() / torch.sqrt(variance.double() + normalization.eps)
    weights = convolution.weight.double() * factor[:, None, None, None]
    return _array(weights), _array(normalization.bias.double() - mean.double() * factor)


def _array(values: torch.Tensor) -> Floats:
    return np.asarray(values.detach().cpu().float().numpy(), np.float32)


def _digest(network: PoseNetwork) -> str:
    """Return the SHA-256 of the weights in memory."""
    found = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        found.update(name.encode() + values.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _save(content: bytes, path: Path, source: Source, quantization: Quantization, affine: dict[str, Affine]) -> Path:
    """Write a file with its notes, as a whole."""
    with tempfile.TemporaryDirectory(prefix="edge-pose-") as folder:
        part = Path(folder) / path.name
        part.write_bytes(content)
        model = load(part)
        by_name = {model.name(tensor): tensor for tensor in map(int, model.graph.outputs)}
        outputs = {head: by_name[head] for head in HEAD_NAMES}
        label_heads(part, outputs, quantization=quantization, source=source, affine=affine)
        load(part).save(path)
    return path
