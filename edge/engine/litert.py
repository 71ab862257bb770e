"""Engine `litert`: runs a TFLite model on the CPU."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engine import contract
from edge.engine.interpreter import allocate, make_interpreter
from edge.engine.layout import describe
from edge.errors import ConfigError, ModelError, one_line
from edge.host.memory import trim_heap
from edge.ports import ModelSpec
from edge.poses.input_sizes import input_sizes
from edge.tflite.magic import open_tflite
from edge.tflite.notes import read_notes
from edge.tflite.reshape import MapPlaces, find_maps

__all__ = ["LiteRtEngine"]

TRIAL_SIZE = (32, 32)
MAX_KEPT = 3
"""Sizes of a heads file that stay loaded: pictures of a folder have few shapes, and take turns."""

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True, slots=True)
class _Sized:
    """The model at one size of its input: ready to run, with arrays for its outputs."""

    interpreter: Any
    spec: ModelSpec
    outputs: tuple[NDArray[Any], ...]


class LiteRtEngine:
    """A TFLite model in this process; `size_for` comes before `run`.

    The constructor checks the whole file, before any camera is opened. The input of two kinds of models takes the
    size that fits the image (`edge.poses.input_sizes`): graphs whose input has any size, and files of heads, which
    are changed in memory.

    Args:
        path: the model file.
        name: how messages name the model.
        threads: CPU threads per inference.
        input_size: (width, height) of the input for all images; a model of fixed size refuses another.
        delegates: loaded by `edge.engine.delegate.load`.

    Attributes:
        spec: of the model at the size in use; one that takes any size has it from the first `size_for` on.

    Raises:
        InputError: no such file, or not a TFLite file.
        ModelError: the file is damaged, or of a kind that cannot be decoded.
        UnavailableError: the model needs an Edge TPU, or the runtime does not work with this NumPy.
        ConfigError: the model has another fixed size than `input_size`.
    """

    spec: ModelSpec

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        threads: int = 1,
        input_size: Size | None = None,
        delegates: Sequence[Any] = (),
    ) -> None:
        with open_tflite(path):
            pass  # the runtime would call a text file a damaged model
        self._path, self._threads, self._delegates = path, threads, delegates
        self.name = name
        self._file = make_interpreter(path, threads=threads, delegates=delegates)
        self._contract = contract.inspect(
            str(path), self._file.get_input_details(), self._file.get_output_details(), read_notes(path)
        )
        self._maps: MapPlaces | None = None
        self._chosen_size = self._check_size(input_size)
        self._choices: tuple[Size, ...] = ()
        self._level = 0
        self._image_size: Size | None = None
        self._sized: OrderedDict[Size, _Sized] = OrderedDict()
        self._has_run = False  # at this level
        # Operators that this runtime lacks show only here; the smallest size costs least.
        self._use(self._chosen_size or self._contract.fixed_size or TRIAL_SIZE)

    @property
    def own_size(self) -> Size | None:
        """(width, height) of the input in the file; None if that leaves it open."""
        return self._contract.fixed_size

    @property
    def is_dynamic(self) -> bool:
        """True if the model accepts inputs of any size."""
        return self._contract.fixed_size is None or self._maps is not None

    @property
    def choices(self) -> tuple[Size, ...]:
        """Sizes (width, height) that the input may have for the current image, largest first.

        One if it cannot be chosen.
        """
        return self._choices or (self.spec.input_size,)

    @property
    def level(self) -> int:
        """Index in `choices` of the size to take from the next `size_for` on."""
        return self._level

    @level.setter
    def level(self, level: int) -> None:
        self._level, self._image_size = level, None
        self._has_run = False

    def size_for(self, image_size: Size) -> ModelSpec:
        """Return the model with its input sized for images of `image_size`, (width, height).

        The same object while nothing changes.

        Raises:
            ModelError: the model cannot be prepared for that size.
        """
        if self._chosen_size is None and image_size != self._image_size:
            self._choices, self._image_size = input_sizes(image_size), image_size
            self._use(self._choices[self._level])
        return self.spec

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Infer `tensor`; the next call overwrites the outputs.

        Args:
            tensor: (1, H, W, 3) of the spec's size and dtype.

        Raises:
            ModelError: the runtime cannot infer, which is a fault of the model file.
        """
        sized = self._sized[self.spec.input_size]
        sized.interpreter.set_tensor(self._contract.input_index, tensor)
        self._has_run = True
        try:
            sized.interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(f"{self._path}: inference failed: {one_line(error)}") from error
        # The interpreter refuses to run while an array refers to its memory, so the outputs are copied.
        for output, index in zip(sized.outputs, self._contract.output_indices, strict=True):
            np.copyto(output, sized.interpreter.tensor(index)())
        return sized.outputs

    def retire(self) -> None:
        """Do nothing: this engine cannot be lost."""

    def close(self) -> None:
        """Release the interpreters and the file that they map."""
        self._sized.clear()
        self._file = None

    def _check_size(self, wanted: Size | None) -> Size | None:
        """Return the size for all images; None if each shape of image has its own."""
        fixed, reason = self._contract.fixed_size, ""
        if fixed is not None and self._contract.kind == "heads":
            try:
                self._maps = find_maps(self._path)
            except ModelError as error:
                reason = f" ({error})"
        if wanted not in (None, fixed) and not self.is_dynamic:
            assert fixed is not None
            raise ConfigError(
                f"model.size: the input of {self._path.name} is fixed at {fixed[1]}x{fixed[0]} (HxW); "
                f"leave it 'auto'{reason}"
            )
        return wanted if self.is_dynamic else fixed

    def _use(self, size: Size) -> None:
        """Make `size` the current one: in milliseconds to tens of them, unless it is kept."""
        others = self._sized.keys() - {size}
        if others and (self._maps is None or not self._has_run):  # there is one graph, or they are not needed any more
            for other in others:
                del self._sized[other]
            trim_heap()  # they may have been made by another thread
        if size not in self._sized:
            self._sized[size] = self._prepare(size)
        self._sized.move_to_end(size)
        while len(self._sized) > MAX_KEPT:
            self._sized.popitem(last=False)
        self.spec = self._sized[size].spec

    def _prepare(self, size: Size) -> _Sized:
        found = self._contract
        interpreter = self._interpreter(size)
        resized = found.input_index if found.fixed_size is None else None
        allocate(interpreter, self._path, size, resized=resized, trial_run=resized is not None and bool(found.heads))
        details = {detail["index"]: detail for detail in interpreter.get_output_details()}
        outputs = [details[index] for index in found.output_indices]
        if found.heads and len({tuple(output["shape"][:3]) for output in outputs}) > 1:
            raise ModelError(f"{self._path}: the maps of its heads have different sizes: {describe(outputs)}")
        heads = found.heads.spec((outputs[0]["shape"][2], outputs[0]["shape"][1])) if found.heads else None
        spec = ModelSpec(self.name, found.kind, size, found.input_dtype, found.input_codes, heads=heads)
        return _Sized(interpreter, spec, tuple(np.empty(output["shape"], output["dtype"]) for output in outputs))

    def _interpreter(self, size: Size) -> Any:
        """Return an interpreter for `size`: that of the file, or of a changed copy."""
        if self._maps is None:
            return self._file
        content = None if size == self._maps.size else self._maps.content_for(size)
        if content is None and self._file is not None:
            interpreter, self._file = self._file, None  # once it is forgotten, its memory is free
            return interpreter
        return make_interpreter(self._path, content, threads=self._threads, delegates=self._delegates)
