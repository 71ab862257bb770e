"""Makes checked TFLite files, and what goes into them of a frozen graph."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from edge.errors import UnavailableError
from edge.host.atomic_write import install, target_of
from edge.tflite.file import load
from edge.tflite.notes import Decode, Source
from tools.convert.checks.report import Findings, require_accuracy
from tools.convert.checks.verify import Progress, Verifier
from tools.convert.graph.build import build_decode, build_heads, build_whole
from tools.convert.graph.cut import cut_heads
from tools.convert.graph.frozen import FrozenGraph
from tools.convert.graph.join import join_decode
from tools.convert.int8.calibration import calibrate
from tools.convert.int8.quantize import quantize_int8
from tools.convert.label import label_heads, label_whole, signature_outputs
from tools.convert.options import Options

__all__ = ["CALIBRATING", "FrozenMaker", "Job", "Maker", "describe", "write"]

CALIBRATING = "calibrating int8: two minutes or more, and 4 to 5 GB of memory"


class Maker(Protocol):
    """Converts one source."""

    def write(self, size: tuple[int, int] | None, part: Path) -> None:
        """Write a file at `part` for an input of `size` (width, height); None: open sides."""


@dataclass(frozen=True, slots=True)
class Job:
    """The conversion's settings that are the same for all sizes.

    Attributes:
        maker: writes the files.
        verifier: checks them.
        say: prints what begins, in a few words.
    """

    maker: Maker
    verifier: Verifier
    say: Callable[[str], None]

    def make(self, size: tuple[int, int] | None, output: Path) -> Findings:
        """Make, check and write one file.

        Args:
            size: (width, height) of the input in pixels; None for open sides.
            output: its name; a file that has it is replaced, behind a link too.

        Raises:
            ModelError: the graph cannot be converted, or the result failed its check.
            UnavailableError: the file cannot be written.
            InputError: the pictures to check on, or to calibrate with, cannot be read.
        """
        final = _final(output)
        with _candidate(final) as part:
            self.say(f"converting for {describe(size)}")
            self.maker.write(size, part)
            found = self.verifier.verify(part, size, output)
            require_accuracy(found)
            try:
                install(part, final)
            except OSError as error:
                raise _cannot_write(output, error) from error
        return found


@dataclass(frozen=True, slots=True)
class FrozenMaker:
    """Converts a frozen graph.

    Attributes:
        options: the command line.
        frozen: the whole graph.
        source: for the notes.
        say: prints what begins, in a few words.
        progress: called with (done, total, label).
        decode: constants of its decode, where they are not the published ones.
    """

    options: Options
    frozen: FrozenGraph
    source: Source
    say: Callable[[str], None]
    progress: Progress
    decode: Decode | msgspec.UnsetType = msgspec.UNSET

    def write(self, size: tuple[int, int] | None, part: Path) -> None:
        """Write a file at `part`; see `Maker`.

        Raises:
            ModelError: the graph cannot be converted.
            UnavailableError: the file cannot be written.
        """
        quantization = self.options.quantization
        if quantization == "int8" and size is not None:
            self._write_int8(size, part)
            return
        if not self.options.heads:
            write(part, build_whole(self.frozen, size, quantization))
            label_whole(part, quantization=quantization, source=self.source)
            return
        heads = cut_heads(self.frozen, size=size)
        write(part, build_heads(heads, quantization))
        names = signature_outputs(load(part))
        outputs = {head: names[f"output_{place}"] for place, head in enumerate(heads.heads)}
        label_heads(part, outputs, quantization=quantization, source=self.source, decode=self.decode)

    def _write_int8(self, size: tuple[int, int], part: Path) -> None:
        heads = cut_heads(self.frozen, size=size)
        self.say(CALIBRATING)
        calibration = calibrate(self.options.calibration, size=size, on_progress=self.progress)
        made = quantize_int8(heads, calibration, on_progress=self.progress)
        write(part, made.content)
        model = load(part)
        tensors = {model.name(tensor): tensor for tensor in map(int, model.graph.outputs)}
        outputs = {head: tensors[made.output_names[head]] for head in heads.heads}
        if self.options.heads:
            label_heads(part, outputs, quantization="int8", source=self.source, affine=made.affine, decode=self.decode)
            return
        write(part, build_decode(heads, [model.shape(tensor) for tensor in outputs.values()]))
        poses = join_decode(model, outputs, made.affine, load(part))
        model.graph.outputs = np.array([poses], np.int32)
        model.save(part)
        label_whole(part, quantization="int8", source=self.source)


def describe(size: tuple[int, int] | None) -> str:
    """Return a size as `HxW`, or `dynamic`."""
    return "dynamic" if size is None else f"{size[1]}x{size[0]}"


@contextlib.contextmanager
def _candidate(output: Path) -> Iterator[Path]:
    """Provide a temporary name in the output's folder, removed at the end."""
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _final(output: Path) -> Path:
    try:
        return target_of(output)
    except OSError as error:
        raise _cannot_write(output, error) from error


def write(path: Path, content: bytes) -> None:
    """Write a file. Raises UnavailableError."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _cannot_write(path.parent, error) from error


def _cannot_write(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"{path}: cannot be written: {error.strerror}: make room or give rights, or name another --output"
    )
