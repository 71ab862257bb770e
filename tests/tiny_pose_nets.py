"""Builds a singlepose MoveNet in miniature: int8, four heads, and a decode that looks them up as the real one does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from tiny_models import TYPES, _Graph

CHANNELS = {"center": 1, "heatmap": 17, "regression": 34, "offset": 34}
HEADS = tuple(CHANNELS)
INT8 = (0.05, 3)
PIXELS = (1.0, -128)


class _Net(_Graph):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)

    def op(self, name: str, inputs: list[int], output: int, **settings: Any) -> int:
        kind = "".join(word.capitalize() for word in name.split("_")) + "Options"
        kind = {"Conv2dOptions": "Conv2DOptions"}.get(kind, kind)
        options = getattr(tfl, f"{kind}T")()
        for key, value in settings.items():
            setattr(options, key, value)
        code = (getattr(tfl.BuiltinOptions, kind), options)
        self.operator(getattr(tfl.BuiltinOperator, name), inputs, output, code)
        return output

    def conv(self, source: int, channels: int, *, kernel: int = 1, stride: int = 1, scale: float = INT8[0]) -> int:
        _, height, width, depth = self.graph.tensors[source].shape
        weights = self.random.integers(-127, 128, (channels, kernel, kernel, depth))
        bias = self.random.integers(-900, 900, channels)
        inputs = [
            source,
            self.tensor("int8", weights.shape, data=weights, quantization=(0.01, 0)),
            self.tensor("int32", (channels,), data=bias, quantization=(0.01 * scale, 0)),
        ]
        output = self.tensor("int8", (1, -(-height // stride), -(-width // stride), channels), quantization=INT8)
        return self.op("CONV_2D", inputs, output, padding=tfl.Padding.SAME, strideW=stride, strideH=stride)

    def float_conv(self, source: int, channels: int, *, kernel: int = 1, stride: int = 1, name: str = "") -> int:
        """Add a convolution whose weights are float16 in the file."""
        _, height, width, depth = self.graph.tensors[source].shape
        shape = (channels, kernel, kernel, depth)
        half = self.tensor("float16", shape, data=self.random.normal(0, 0.3, shape).astype(np.float16))
        weights = self.op("DEQUANTIZE", [half], self.tensor("float32", shape))
        bias = self.tensor("float32", (channels,), data=self.random.normal(0, 0.3, channels))
        output = self.tensor("float32", (1, -(-height // stride), -(-width // stride), channels), name=name)
        settings = {"padding": tfl.Padding.SAME, "strideW": stride, "strideH": stride}
        return self.op("CONV_2D", [source, weights, bias], output, **settings)

    def numbers(self, *values: int) -> int:
        return self.tensor("int32", (len(values),), data=values)

    def reshape(self, source: int, dtype: str, shape: tuple[int, ...]) -> int:
        quantization = INT8 if dtype == "int8" else None
        return self.op("RESHAPE", [source, self.numbers(*shape)], self.tensor(dtype, shape, quantization=quantization))

    def find_peaks(self, scores: int, count: int, width: int) -> int:
        """Return (count, 3) of (0, row, column): where each column of `scores` (1, cells, count) is largest."""
        best = self.tensor("int32", (1, count))
        self.op("ARG_MAX", [scores, self.numbers(1)], best, outputType=TYPES["int32"])
        flat = self.reshape(best, "int32", (count,))
        row = self.op("FLOOR_DIV", [flat, self.numbers(width)], self.tensor("int32", (count,)))
        start = self.op("MUL", [row, self.numbers(width)], self.tensor("int32", (count,)))
        column = self.op("SUB", [flat, start], self.tensor("int32", (count,)))
        zeros = self.tensor("int32", (count,), data=[0] * count)
        return self.op("PACK", [zeros, row, column], self.tensor("int32", (count, 3)), valuesCount=3, axis=1)


def tiny_singlepose(
    path: Path,
    *,
    height: int = 64,
    width: int = 96,
    heads: Sequence[str] = HEADS,
    pixels: tuple[float, int] = PIXELS,
    padding: int = tfl.Padding.SAME,
    seed: int = 5,
) -> Path:
    """Write a net that runs: uint8 (1, H, W, 3) to float32 (1, 1, 17, 3), the heads built in the order given.

    Args:
        path: the file.
        height: of the input in pixels.
        width: likewise.
        heads: all four names.
        pixels: scale and zero point of what the first convolution reads.
        padding: of the first convolution.
        seed: of the weights.
    """
    net = _Net(seed)
    image = net.tensor("uint8", (1, height, width, 3))
    cast = net.op("CAST", [image], net.tensor("float32", (1, height, width, 3)))
    first = net.op("QUANTIZE", [cast], net.tensor("int8", (1, height, width, 3), quantization=pixels))
    fine = net.conv(first, 5, kernel=3, stride=4, scale=pixels[0])
    net.graph.operators[-1].builtinOptions.padding = padding
    rows, columns = height // 4, width // 4
    coarse = net.conv(fine, 5, kernel=3, stride=2)
    wide = net.tensor("int8", (1, rows, columns, 5), quantization=INT8)
    net.op("RESIZE_BILINEAR", [coarse, net.numbers(rows, columns)], wide, halfPixelCenters=True)
    trunk = net.op("ADD", [fine, wide], net.tensor("int8", (1, rows, columns, 5), quantization=INT8))
    maps = {name: net.conv(trunk, CHANNELS[name]) for name in heads}
    place = net.find_peaks(net.reshape(maps["center"], "int8", (1, rows * columns, 1)), 1, columns)
    seeds = net.op("GATHER_ND", [maps["regression"], place], net.tensor("int8", (1, 34), quantization=INT8))
    near = net.tensor("int8", (1, 17), quantization=INT8)
    net.op("SLICE", [seeds, net.numbers(0, 0), net.numbers(1, 17)], near)
    scores = net.reshape(maps["heatmap"], "int8", (1, rows * columns, 17))
    weighted = net.op("ADD", [scores, near], net.tensor("int8", (1, rows * columns, 17), quantization=INT8))
    places = net.find_peaks(weighted, 17, columns)
    shifts = net.op("GATHER_ND", [maps["offset"], places], net.tensor("int8", (17, 34), quantization=INT8))
    some = net.tensor("int8", (17, 3), quantization=INT8)
    net.op("SLICE", [shifts, net.numbers(0, 0), net.numbers(17, 3)], some)
    real = net.op("DEQUANTIZE", [some], net.tensor("float32", (17, 3)))
    result = net.tensor("float32", (1, 1, 17, 3))
    net.op("RESHAPE", [real, net.numbers(1, 1, 17, 3)], result)
    return net.save(path, image, result)


def tiny_float_heads(path: Path, *, height: int = 64, width: int = 96, padding: int = tfl.Padding.SAME) -> Path:
    """Write a heads net as the converter's float files are: uint8 in, float16 weights, maps named after their heads.

    Args:
        path: the file.
        height: of the input in pixels.
        width: likewise.
        padding: of the first convolution.
    """
    net = _Net(7)
    image = net.tensor("uint8", (1, height, width, 3), name="input")
    values, options = net.tensor("float32", (1, height, width, 3)), tfl.CastOptionsT()
    options.inDataType, options.outDataType = TYPES["uint8"], TYPES["float32"]
    net.operator(tfl.BuiltinOperator.CAST, [image], values, (tfl.BuiltinOptions.CastOptions, options))
    scale, shift = net.tensor("float32", (1,), data=[2 / 255]), net.tensor("float32", (1, 1, 1, 3), data=[-1, -0.9, -1])
    scaled = net.op("MUL", [values, scale], net.tensor("float32", (1, height, width, 3)))
    pixels = net.op("ADD", [scaled, shift], net.tensor("float32", (1, height, width, 3)))
    fine = net.float_conv(pixels, 5, kernel=3, stride=4)
    net.graph.operators[-1].builtinOptions.padding = padding
    rows, columns = height // 4, width // 4
    coarse = net.float_conv(fine, 5, kernel=3, stride=2)
    wide = net.tensor("float32", (1, rows, columns, 5))
    net.op("RESIZE_BILINEAR", [coarse, net.numbers(rows, columns)], wide, halfPixelCenters=True)
    trunk = net.op("ADD", [fine, wide], net.tensor("float32", (1, rows, columns, 5)))
    maps = [net.float_conv(trunk, CHANNELS[name], name=name) for name in HEADS]
    return net.save(path, image, *maps)
