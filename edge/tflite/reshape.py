"""Changes the input size of a fully convolutional TFLite file in memory.

All maps of such a network scale with its input, so a file of one size serves every other: only the shapes in its tables
and the constants of its resizes differ, and they are patched in a copy of the file.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ModelError
from edge.tflite import tables
from edge.tflite.magic import open_tflite
from edge.tflite.tables import DAMAGE, Data

__all__ = ["MapPlaces", "find_maps", "scaled_sides"]

MAX_TABLES, MAX_SIDES, MAX_OPERANDS = 20_000, 8, 16
"""More than any network has; damaged counts must not block the start."""

# Field indices in their tables, and codes, of tensorflow/lite/schema/schema.fbs.
MODEL_CODES, MODEL_GRAPHS, MODEL_BUFFERS = 1, 2, 4
CODE_OLD, CODE_NEW = 0, 3
GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS = 0, 1, 2, 3
TENSOR_SHAPE, TENSOR_BUFFER, TENSOR_SIGNATURE = 0, 2, 7
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS, OPERATOR_OPTIONS = 0, 1, 2, 4
CONVOLUTION_PADDING, CONVOLUTION_STRIDE_X, CONVOLUTION_STRIDE_Y = 0, 1, 2
BUFFER_DATA = 0
PADDING_SAME = 0

ADD, CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, LOGISTIC, MUL, RELU, RELU6 = 0, 3, 4, 6, 14, 18, 19, 21
RESIZE_BILINEAR, SUB, CAST, QUANTIZE = 23, 41, 53, 114
CONVOLUTIONS = (CONV_2D, DEPTHWISE_CONV_2D)
SUMS = (ADD, MUL, SUB)
CELL_BY_CELL = (CAST, DEQUANTIZE, LOGISTIC, QUANTIZE, RELU, RELU6)

Sides = tuple[int, int]
"""(height, width) of a map in cells."""


@dataclass(frozen=True, slots=True)
class MapPlaces:
    """Where a file holds the sizes of its maps.

    Attributes:
        path: of the file.
        size: (width, height) of its input in pixels.
        sides: (height, width) by the position of two int32 of them in the file.
    """

    path: Path
    size: tuple[int, int]
    sides: dict[int, Sides]

    def content_for(self, size: tuple[int, int]) -> bytes:
        """Return the file's content for an input of `size`, (width, height).

        Raises:
            ModelError: a map has no whole size then, or the file cannot be read any more.
        """
        try:
            content = bytearray(self.path.read_bytes())
            for place, sides in self.sides.items():
                struct.pack_into("<2i", content, place, *scaled_sides(str(self.path), sides, self.size, size))
        except (OSError, *DAMAGE) as error:
            raise ModelError(f"{self.path}: has been changed since it was opened") from error
        return bytes(content)


def scaled_sides(origin: str, sides: Sides, old_size: tuple[int, int], new_size: tuple[int, int]) -> Sides:
    """Return the size of a map for another size of the input.

    Args:
        origin: how messages name the model.
        sides: (height, width) of the map.
        old_size: (width, height) of the input.
        new_size: the new (width, height).

    Raises:
        ModelError: it would not be whole.
    """
    (height, width), (old_width, old_height), (new_width, new_height) = sides, old_size, new_size
    if height * new_height % old_height or width * new_width % old_width:
        raise ModelError(f"{origin}: a map of {height}x{width} does not fit an input of {new_height}x{new_width} (HxW)")
    return height * new_height // old_height, width * new_width // old_width


def find_maps(path: Path) -> MapPlaces:
    """Find what changes with the size of a network's input.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: its size cannot be changed, and why; or it is damaged.
    """
    try:
        with open_tflite(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Walk(str(path), data).find(path)
    except DAMAGE as error:
        raise ModelError(f"{path}: the model file is damaged or truncated (its tables point outside)") from error


@dataclass(slots=True)
class _Walk:
    """Follows the maps from the input to the outputs.

    Attributes:
        origin: how messages name the file.
        data: its content.
        tensors: positions of the tensors' tables.
        maps: (height, width) of the maps found so far, by tensor.
        constants: tensors that are computed of constants alone, such as weights kept as float16.
        targets: tensors with the size that a resize makes.
    """

    origin: str
    data: Data
    tensors: list[int] = field(default_factory=list)
    maps: dict[int, Sides] = field(default_factory=dict)
    constants: set[int] = field(default_factory=set)
    targets: dict[int, Sides] = field(default_factory=dict)

    def find(self, path: Path) -> MapPlaces:
        """Return what changes with the input's size."""
        root = tables.follow(self.data, 0)
        graphs = self._tables(root, MODEL_GRAPHS)
        if len(graphs) != 1:
            raise self._fixed(f"has {len(graphs)} graphs")
        self.tensors = self._tables(graphs[0], GRAPH_TENSORS)
        (image,) = self._exactly(1, self._numbers(graphs[0], GRAPH_INPUTS))
        height, width = self._add_map(image)
        codes = [self._code(table) for table in self._tables(root, MODEL_CODES)]
        for operator in self._tables(graphs[0], GRAPH_OPERATORS):
            self._take(operator, codes[self._at(len(codes), self._number(operator, OPERATOR_CODE))])
        for output in self._numbers(graphs[0], GRAPH_OUTPUTS):
            if output not in self.maps:
                raise self._fixed("has an output that is no map")
        sides = dict(self._places(self._tables(root, MODEL_BUFFERS)))
        if min(height, width) < 1:
            raise IndexError(image)
        return MapPlaces(path, (width, height), sides)

    def _take(self, operator: int, code: int) -> None:
        """Follow one operator: what it makes is a map if what it reads is one."""
        inputs = self._numbers(operator, OPERATOR_INPUTS)
        (output,) = self._exactly(1, self._numbers(operator, OPERATOR_OUTPUTS))
        source = inputs[0] if inputs else -1
        if code == DEQUANTIZE and source not in self.maps:
            self.constants.add(output)
            return
        made = self._add_map(output)
        if code in SUMS:
            for number in inputs:
                self._check_operand(number)
        elif source not in self.maps:
            raise self._fixed(f"operator {code} reads no map")
        elif code in CONVOLUTIONS:
            self._check_convolution(operator, self.maps[source], made, self._shape(inputs[1])[1])
        elif code == RESIZE_BILINEAR:
            self.targets[self._exactly(2, inputs)[1]] = made
        elif code not in CELL_BY_CELL:
            raise self._fixed(f"has an operator (code {code}) whose size does not follow that of the input")

    def _check_operand(self, number: int) -> None:
        if number not in self.maps and any(side != 1 for side in self._shape(number)[1][:-1]):
            raise self._fixed("adds a constant map, which has one size only")

    def _check_convolution(self, operator: int, source: Sides, made: Sides, kernel: tuple[int, ...]) -> None:
        place = tables.field(self.data, operator, OPERATOR_OPTIONS)
        options = None if place is None else tables.follow(self.data, place)
        strides, padding = (1, 1), PADDING_SAME
        if options is not None:
            strides = self._number(options, CONVOLUTION_STRIDE_Y), self._number(options, CONVOLUTION_STRIDE_X)
            at = tables.field(self.data, options, CONVOLUTION_PADDING)
            padding = PADDING_SAME if at is None else tables.int8(self.data, at)
        if padding != PADDING_SAME and kernel[1:3] != (1, 1):
            raise self._fixed("has a convolution without SAME padding")
        if source != (made[0] * strides[0], made[1] * strides[1]):
            raise self._fixed(f"a map of {source[0]}x{source[1]} (HxW) is not a multiple of its convolution's stride")

    def _add_map(self, number: int) -> Sides:
        _, shape = self._shape(number)
        if len(shape) != 4:
            raise self._fixed(f"computes a tensor of {len(shape)} dimensions")
        self.maps[number] = shape[1], shape[2]
        return self.maps[number]

    def _places(self, buffers: list[int]) -> Iterator[tuple[int, Sides]]:
        """Yield the position of every size in the file, and the size.

        Raises:
            ModelError: what would be changed is used for something else, too.
        """
        others = [number for number in range(len(self.tensors)) if number not in self.maps]
        shared = {self._shape(number)[0] for number in others}
        for number in self.maps:
            for start, shape in (self._shape(number), self._vector(self.tensors[number], TENSOR_SIGNATURE)):
                if start in shared:
                    raise self._fixed("shares the size of a map with a constant")
                if len(shape) == 4 and min(shape[1:3]) > 0:
                    yield start + 4, (shape[1], shape[2])
        used = {self._number(self.tensors[number], TENSOR_BUFFER) for number in others if number not in self.targets}
        for number, made in self.targets.items():
            buffer = self._number(self.tensors[self._at(len(self.tensors), number)], TENSOR_BUFFER)
            if buffer in used or number in self.maps:
                raise self._fixed("uses the size of a resize for something else, too")
            place = tables.field(self.data, buffers[self._at(len(buffers), buffer)], BUFFER_DATA)
            start = 0 if place is None else tables.follow(self.data, place) + 4
            if not start or struct.unpack_from("<I2i", self.data, start - 4) != (8, *made):
                raise self._fixed("resizes a map to a size that is not a constant")
            yield start, made

    def _shape(self, number: int) -> tuple[int, tuple[int, ...]]:
        """Return the position of a tensor's sides in the file, and the sides."""
        return self._vector(self.tensors[self._at(len(self.tensors), number)], TENSOR_SHAPE)

    def _vector(self, table: int, number: int, max_count: int = MAX_SIDES) -> tuple[int, tuple[int, ...]]:
        return tables.int32_vector(self.data, tables.field(self.data, table, number), max_count)

    def _numbers(self, table: int, number: int) -> tuple[int, ...]:
        return self._vector(table, number, MAX_OPERANDS)[1]

    def _tables(self, table: int, number: int) -> list[int]:
        return list(tables.tables(self.data, tables.field(self.data, table, number), MAX_TABLES))

    def _number(self, table: int, number: int) -> int:
        place = tables.field(self.data, table, number)
        return 0 if place is None else tables.int32(self.data, place)

    def _code(self, table: int) -> int:
        """Return an operator's code: the newer field, or the older one of old files."""
        place = tables.field(self.data, table, CODE_OLD)
        return max(0 if place is None else tables.int8(self.data, place), self._number(table, CODE_NEW))

    def _exactly(self, count: int, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if len(numbers) != count:
            raise self._fixed(f"an operator or graph has {len(numbers)} operands where {count} are expected")
        return numbers

    def _at(self, count: int, number: int) -> int:
        if not 0 <= number < count:
            raise IndexError(number)
        return number

    def _fixed(self, reason: str) -> ModelError:
        return ModelError(f"{self.origin}: its size cannot be changed: {reason}")
