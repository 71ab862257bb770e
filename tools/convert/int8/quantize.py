"""The int8 recipe: heads that find as many people as float ones.

1. `rescale`: every channel of every head fills the int8 range; the host multiplies back (`affine` in the notes).
2. `relevant`: ranges are those of the cells that make people, see `observe`.
3. `equalize`: every channel fills its tensor's range, see `equalize`.
4. `fuse`, `split`: the layers that all heads begin at, where errors cost most, get finer steps.
5. `correct`: weights are rounded so that each layer makes up for the errors above it, see `rounding`.

A step that the network gives no occasion for is left out. All figures that the recipe works with are taken from the
calibration pictures. What each step gains: models/README.md, by tools/convert/int8_steps.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge.graph.int8_file import UINT8_SHIFT, write_int8
from edge.graph.network import Floats, Network, read_network
from edge.graph.rounded import Codes, Rounded
from edge.tflite.file import TfliteModel
from edge.tflite.notes import Affine
from edge.tflite.schema import schema
from tools.convert.graph.build import build_heads
from tools.convert.graph.frozen import FrozenHeads
from tools.convert.int8.calibration import Calibration
from tools.convert.int8.equalize import center_channels, equalize_channels, fuse_trunk, rescale_heads, split_trunk
from tools.convert.int8.execute import run_network
from tools.convert.int8.observe import Range, batches, head_ranges, relevant_cells, tensor_ranges
from tools.convert.int8.rounding import round_network, round_plainly
from tools.convert.label import signature_outputs

__all__ = ["ALL_STEPS", "PLAIN", "Int8Heads", "Steps", "fit_images", "quantize_int8", "quantize_network"]

Progress = Callable[[int, int, str], None]
FIT_PIXELS = 48 * 256 * 256
"""Pixels that go through both networks at once, which takes 4 to 5 GB; at least one picture does."""
LABEL = "quantizing"


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of the recipe; with none of them it is min-max quantization.

    `fit` is not one of them: it brings the maps nearer to the float ones, and finds no more people (models/README.md).
    """

    rescale: bool = True
    relevant: bool = True
    equalize: bool = True
    fuse: bool = True
    split: bool = True
    correct: bool = True
    fit: bool = False


ALL_STEPS = Steps()
PLAIN = Steps(*[False] * 7)


@dataclass(frozen=True, slots=True)
class Int8Heads:
    """The quantized heads.

    Attributes:
        content: a TFLite file; uint8 [1, H, W, 3] in, int8 maps out.
        output_names: name of the output tensor by head.
        affine: by head, real[c] = gain[c] * dequantized[c] + shift[c]; empty where nothing was rescaled.
        network: what the steps made of the network; float.
        codes: by tensor.
        rounded: convolutions by tensor.
    """

    content: bytes
    output_names: dict[str, str]
    affine: dict[str, Affine]
    network: Network
    codes: dict[int, Codes]
    rounded: dict[int, Rounded]


def quantize_int8(
    heads: FrozenHeads,
    calibration: Calibration,
    *,
    on_progress: Progress = lambda _done, _total, _label: None,
    steps: Steps = ALL_STEPS,
) -> Int8Heads:
    """Quantize weights and activations of the network that `heads` was cut to.

    Args:
        heads: the network, of fixed size.
        calibration: pictures as the model will get them.
        on_progress: called with (done, total, label).
        steps: which parts of the recipe to take.

    Raises:
        ModelError: the network has an operator that the recipe does not know.
    """
    return quantize_network(
        _read(heads), calibration, scale=heads.scale, shift=heads.shift, on_progress=on_progress, steps=steps
    )


def quantize_network(
    network: Network,
    calibration: Calibration,
    *,
    scale: Sequence[float],
    shift: Sequence[float],
    on_progress: Progress = lambda _done, _total, _label: None,
    steps: Steps = ALL_STEPS,
) -> Int8Heads:
    """Quantize a network, weights and activations.

    Args:
        network: float, its input normalized pixels.
        calibration: pictures as the model will get them.
        scale: per colour channel (R, G, B), by which pixels 0..255 are multiplied for the network.
        shift: per colour channel, what is added then.
        on_progress: called with (done, total, label).
        steps: which parts of the recipe to take.
    """
    network, pixels = _on_pixels(network, scale, shift)
    images = calibration.images.astype(np.float32)
    images -= pixels.zero + UINT8_SHIFT  # in place: they may be large
    images *= pixels.scale
    some = fit_images(images)
    passes = 2 * _batches(images) + steps.split * _batches(some)
    bar = _Bar(on_progress, passes + steps.correct * len(network.layers))
    needed = head_ranges(network, images, on_batch=bar.advance)
    relevant = relevant_cells(run_network(network, some))
    if not steps.relevant:
        relevant = {head: np.ones_like(cells) for head, cells in relevant.items()}
    network, ranges = _prepared(network, images, some, steps, bar)
    affine: dict[str, Affine] = {}
    if steps.rescale:
        network, affine = rescale_heads(network, needed)
    codes = _codes(network, ranges, pixels, steps)
    if steps.correct:
        rounded = round_network(network, codes, some, relevant, fit=steps.fit, on_layer=bar.advance)
    else:
        rounded = round_plainly(network, codes)
    bar.finish()
    # As the file keeps scales, so that a recipe of them gives the same file.
    rounded = {
        tensor: replace(each, scales=each.scales.astype(np.float32).astype(np.float64))
        for tensor, each in rounded.items()
    }
    names = {head: head for head in network.heads}
    return Int8Heads(write_int8(network, codes, rounded), names, affine, network, codes, rounded)


def fit_images(images: Floats) -> Floats:
    """Return evenly spread pictures (N, H, W, 3), at most FIT_PIXELS in all."""
    return images[:: -(-len(images) // max(1, FIT_PIXELS // (images.shape[1] * images.shape[2])))]


class _Bar:
    """Progress over batches of pictures and rounded layers."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self._total, self._done, self._on_progress = total, 0, on_progress

    def advance(self) -> None:
        """Count one more."""
        self._done = min(self._done + 1, self._total - 1)
        self._on_progress(self._done, self._total, LABEL)

    def finish(self) -> None:
        """Report the total."""
        self._on_progress(self._total, self._total, LABEL)


def _batches(images: Floats) -> int:
    return sum(1 for _ in batches(images))


def _read(heads: FrozenHeads) -> Network:
    """Return the network, read from a float TFLite file.

    TensorFlow's converter folds constants on the way.
    """
    content = build_heads(heads, "none")
    model = TfliteModel(schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)), "the network")
    places = signature_outputs(model)
    return read_network(model, {head: places[f"output_{place}"] for place, head in enumerate(heads.heads)})


def _on_pixels(network: Network, scale: Sequence[float], shift: Sequence[float]) -> tuple[Network, Codes]:
    """Return the network for an input in whole codes, not rounded before use.

    The network wants scale * pixel + shift; int8 gives scale * (pixel - whole number). What is missing of the shift
    (half a grey level, for MoveNet) goes into the bias; only at the border, where padding is 0, it is missing.
    """
    channels = np.array(scale, np.float64)
    zeros = -np.array(shift, np.float64) / channels  # the pixel value that stands for 0
    mean, zero = float(channels.mean()), int(np.clip(np.rint(zeros.mean()), 0, 255))
    changes = {}
    for layer in network.consumers(network.input):
        lacking = (channels * (zero - zeros)).astype(np.float32)
        bias = layer.bias + np.einsum("ohwi,i->o", layer.weights, lacking)
        changes[layer.output] = layer.with_weights(layer.weights * (channels / mean), bias)
    return network.replaced(changes), Codes(mean, zero - UINT8_SHIFT)


def _prepared(
    network: Network, images: Floats, some: Floats, steps: Steps, bar: _Bar
) -> tuple[Network, dict[int, Range]]:
    """Return the network rewritten for int8, and its tensors' ranges."""

    def observe(network: Network, images: Floats) -> dict[int, Range]:
        return tensor_ranges(network, images, only_relevant=steps.relevant, on_batch=bar.advance)

    changed = fuse_trunk(network) if steps.fuse else network
    if steps.split:
        changed = split_trunk(changed, observe(changed, some))
    ranges = observe(changed, images)
    if steps.equalize:
        changed, ranges = center_channels(changed, ranges)
        changed, ranges = equalize_channels(changed, ranges)
    return changed, ranges


def _codes(network: Network, ranges: Mapping[int, Range], pixels: Codes, steps: Steps) -> dict[int, Codes]:
    """Return the quantization of each tensor."""
    codes = {network.input: pixels}
    for layer in network.layers:
        if layer.kind == "resize":  # means its input's values
            codes[layer.output] = codes[layer.inputs[0]]
        elif steps.rescale and layer.output in network.heads.values():
            codes[layer.output] = Codes(1.0, 0)
        elif layer.activation == "relu6":
            codes[layer.output] = _span(0, 6)
        else:
            # No room to spare: finer steps are worth more than the rarest values, but not more than those seen.
            found = ranges[layer.output]
            codes[layer.output] = _span(float(found.low.min()), float(found.high.max()))
    return codes


def _span(low: float, high: float) -> Codes:
    """Return the codes of a range, widened to hold 0 for padding."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return Codes(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))
