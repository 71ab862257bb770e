"""The int8 form of tensors and convolutions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.graph.network import Floats, Layer

__all__ = ["Codes", "Rounded"]


@dataclass(frozen=True, slots=True)
class Codes:
    """Quantization of a tensor: real = scale * (code - zero)."""

    scale: float
    zero: int

    def fake_quantize(self, values: Floats) -> Floats:
        """Return real `values` after quantization, of the same shape."""
        codes = np.clip(np.rint(values / self.scale) + self.zero, -128, 127)
        return np.asarray((codes - self.zero) * self.scale, np.float32)


@dataclass(frozen=True, slots=True)
class Rounded:
    """A convolution in int8.

    Attributes:
        weights: int8, shaped like the layer's.
        scales: (O,) what a step of each output channel's weights is worth.
        bias: int32 (O,), in steps of `scales` times the input's scale.
    """

    weights: NDArray[np.int8]
    scales: NDArray[np.float64]
    bias: NDArray[np.int32]

    def real_weights(self, layer: Layer) -> Floats:
        """Return the dequantized weights."""
        shape = (-1, 1, 1, 1) if layer.kind == "conv" else (1, 1, 1, -1)
        return np.asarray(self.weights * self.scales.reshape(shape), np.float32)
