"""Builds tiny TFLite files whose output repeats what was fed: a wrong dtype, scale or channel order shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from numpy.typing import NDArray

TYPES = {
    "uint8": tfl.TensorType.UINT8,
    "int8": tfl.TensorType.INT8,
    "int32": tfl.TensorType.INT32,
    "float16": tfl.TensorType.FLOAT16,
    "float32": tfl.TensorType.FLOAT32,
}


class _Graph:
    def __init__(self) -> None:
        self.model = tfl.ModelT()
        self.model.version = 3
        self.model.buffers = [tfl.BufferT()]
        self.model.operatorCodes = []
        self.graph = tfl.SubGraphT()
        self.graph.tensors = []
        self.graph.operators = []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        dtype: str,
        shape: Sequence[int],
        *,
        data: Any = None,
        quantization: tuple[float, int] | None = None,
        name: str = "",
    ) -> int:
        tensor = tfl.TensorT()
        tensor.name = name or f"t{len(self.graph.tensors)}"
        tensor.shape = list(shape)
        tensor.type = TYPES[dtype]
        tensor.buffer = 0
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(np.asarray(data, dtype).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if quantization is not None:
            tensor.quantization = tfl.QuantizationParametersT()
            tensor.quantization.scale = np.array([quantization[0]], np.float32)
            tensor.quantization.zeroPoint = np.array([quantization[1]], np.int64)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, code: int, inputs: list[int], output: int, options: tuple[int, Any]) -> None:
        entry = tfl.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = 2 if code == tfl.BuiltinOperator.DEQUANTIZE else 1
        self.model.operatorCodes.append(entry)
        step = tfl.OperatorT()
        step.opcodeIndex = len(self.model.operatorCodes) - 1
        step.inputs, step.outputs = inputs, [output]
        step.builtinOptionsType, step.builtinOptions = options
        self.graph.operators.append(step)

    def note(self, content: bytes) -> None:
        """Put metadata of the name that the product reads into the file."""
        buffer, entry = tfl.BufferT(), tfl.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        entry.name, entry.buffer = "edge-pose", len(self.model.buffers) - 1
        self.model.metadata = [entry]

    def save(self, path: Path, source: int, *results: int) -> Path:
        self.graph.inputs, self.graph.outputs = [source], list(results)
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def echo_model(
    path: Path,
    *,
    dtype: str = "uint8",
    quantization: tuple[float, int] | None = None,
    height: int = 32,
    width: int = 64,
    output_shape: tuple[int, ...] = (1, 6, 56),
) -> Path:
    """Write a model that returns the real values of the first pixels it was given, row by row, as float32."""
    graph = _Graph()
    count = int(np.prod(output_shape))
    options = tfl.BuiltinOptions
    source = graph.tensor(dtype, (1, height, width, 3), quantization=quantization)
    flat = graph.tensor(dtype, (height * width * 3,), quantization=quantization)
    shape = graph.tensor("int32", (1,), data=[height * width * 3])
    graph.operator(tfl.BuiltinOperator.RESHAPE, [source, shape], flat, (options.ReshapeOptions, tfl.ReshapeOptionsT()))
    begin, size = graph.tensor("int32", (1,), data=[0]), graph.tensor("int32", (1,), data=[count])
    head = graph.tensor(dtype, (count,), quantization=quantization)
    graph.operator(tfl.BuiltinOperator.SLICE, [flat, begin, size], head, (options.SliceOptions, tfl.SliceOptionsT()))
    real = head
    if quantization is not None:
        real = graph.tensor("float32", (count,))
        graph.operator(
            tfl.BuiltinOperator.DEQUANTIZE, [head], real, (options.DequantizeOptions, tfl.DequantizeOptionsT())
        )
    elif dtype != "float32":
        real = graph.tensor("float32", (count,))
        cast = tfl.CastOptionsT()
        cast.inDataType, cast.outDataType = TYPES[dtype], TYPES["float32"]
        graph.operator(tfl.BuiltinOperator.CAST, [head], real, (options.CastOptions, cast))
    result = graph.tensor("float32", output_shape)
    result_shape = graph.tensor("int32", (len(output_shape),), data=output_shape)
    graph.operator(
        tfl.BuiltinOperator.RESHAPE, [real, result_shape], result, (options.ReshapeOptions, tfl.ReshapeOptionsT())
    )
    return graph.save(path, source, result)


def heads_model(
    path: Path,
    maps: Mapping[str, tuple[NDArray[Any], tuple[float, int] | None]],
    *,
    notes: bytes = b"",
    height: int = 96,
    width: int = 160,
) -> Path:
    """Write a model whose outputs are always the same: tensor name -> (map (1, h, w, C), its quantization)."""
    graph = _Graph()
    source = graph.tensor("uint8", (1, height, width, 3))
    results = [
        graph.tensor(values.dtype.name, values.shape, data=values, quantization=quantization, name=name)
        for name, (values, quantization) in maps.items()
    ]
    if notes:
        graph.note(notes)
    return graph.save(path, source, *results)
