"""What `tools/convert.py` does, from the command line to the exit code."""

import contextlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge.errors import InputError, UnavailableError, UsageError
from edge.host.atomic_write import target_of
from tools.command_line import exit_code
from tools.convert.arguments import Asked, parse

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code("convert", lambda: _work(words), debug="--debug" in words)


def _work(words: Sequence[str]) -> None:
    try:
        _run(parse(words))
    except KeyboardInterrupt:
        _say("stopped; nothing half-written is left, files told above are whole")
        raise


def _run(asked: Asked) -> None:
    # TensorFlow, OpenCV and the rest take seconds to import, which `--help` and a wrong flag need not wait for.
    import cv2  # noqa: PLC0415

    from tools.convert.checks.report import format_table  # noqa: PLC0415
    from tools.convert.checks.verify import Verifier  # noqa: PLC0415
    from tools.convert.edgetpu import find_compiler  # noqa: PLC0415
    from tools.convert.graph.freeze import freeze  # noqa: PLC0415
    from tools.convert.graph.source import open_source  # noqa: PLC0415
    from tools.convert.job import Job  # noqa: PLC0415
    from tools.convert.workstation import load_tensorflow  # noqa: PLC0415

    annotations = _annotations(asked)
    _look_at_pictures(asked)
    load_tensorflow()
    cv2.setNumThreads(1)  # as the product has it: the times are the product's
    with open_source(asked.source) as model, _folder(asked) as folder:
        outputs = [_checked(output, model.path) for output in _outputs(asked, model.name, folder)]
        _say(f"reading {asked.source}")
        frozen = freeze(model.folder, asked.source)
        job = Job(asked, frozen, model.origin, Verifier(asked, frozen, annotations, _progress), _say, _progress)
        for size, output in zip(asked.sizes, outputs, strict=True):
            print(format_table(job.make(size, output)), flush=True)
            _edgetpu(asked, output)
    if asked.edgetpu:
        find_compiler()  # what could be done without it is done by now


@contextlib.contextmanager
def _folder(asked: Asked) -> Iterator[Path | None]:
    """Provide the folder for several files; it is made, and gone at the end if nothing came into it.

    Yields:
        The folder, or None where `asked.output` is the one file.

    Raises:
        UnavailableError: there can be none.
    """
    try:
        one = len(asked.sizes) == 1 and not asked.output.is_dir()
        if not asked.output.parent.is_dir():
            raise UnavailableError(f"{asked.output.parent}: no such folder for the output: make it first")
        made = not one and not asked.output.exists()
        if made:
            asked.output.mkdir()
        elif not one and not asked.output.is_dir():
            raise UnavailableError(f"--output {asked.output}: several sizes need a folder: name another one")
    except OSError as error:
        raise _cannot_write(asked.output, error) from error
    try:
        yield None if one else asked.output
    finally:
        if made:
            with contextlib.suppress(OSError):  # something is in it
                asked.output.rmdir()


def _outputs(asked: Asked, name: str, folder: Path | None) -> Iterator[Path]:
    """Yield the file for every size."""
    if folder is None:
        yield asked.output
        return
    form = "heads" if asked.heads else "whole"
    for size in asked.sizes:
        shown = "dynamic" if size is None else f"{size[1]}x{size[0]}"
        yield folder / f"{name}_{form}_{asked.quantization}_{shown}.tflite"


def _checked(output: Path, source: Path) -> Path:
    """Refuse an output that is the source, or no file, before anything takes time.

    Raises:
        UsageError: it is the archive, or a file of the SavedModel's folder.
        UnavailableError: no file can be there.
    """
    own = (source, source / "saved_model.pb", *source.glob("variables/*"))
    try:
        final = target_of(output)
        taken = final.exists() and any(path.exists() and final.samefile(path) for path in own)
    except OSError as error:
        raise _cannot_write(output, error) from error
    if taken:
        raise UsageError(f"{output}: is the source itself: name another output")
    return output


def _cannot_write(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"{path}: cannot be written: {error.strerror}: name another --output")


def _edgetpu(asked: Asked, output: Path) -> None:
    from tools.convert.edgetpu import (  # noqa: PLC0415
        COMPILER,
        compile_for_edgetpu,
        find_compiler,
        forecast,
        forget_compiled,
    )

    if asked.heads and asked.quantization == "int8":
        print(f"  Edge TPU   {forecast(output)}", flush=True)
    if asked.edgetpu:
        forget_compiled(output)
    if asked.edgetpu and shutil.which(COMPILER):
        compiled = compile_for_edgetpu(output, find_compiler())
        print(f"{compiled}\n  Edge TPU   {forecast(compiled)}", flush=True)


def _annotations(asked: Asked) -> Any:
    """Read the annotations and look for the pictures, before anything takes time."""
    from tools.evaluate.annotations import load_annotations, require_images  # noqa: PLC0415

    if asked.annotations is None or asked.images is None:
        return None
    annotations = load_annotations(asked.annotations)
    require_images(annotations, asked.images)
    return annotations


def _look_at_pictures(asked: Asked) -> None:
    """Complain about folders without pictures before anything takes time. Raises InputError."""
    from edge.camera.files import require_file  # noqa: PLC0415
    from edge.camera.images import ImagesCamera  # noqa: PLC0415
    from tools.convert.int8.calibration import require_calibration  # noqa: PLC0415

    if asked.images is not None:
        if not require_file(asked.images, or_folder=True):
            raise InputError(f"{asked.images}: a file: --images needs a folder of pictures")
        camera = ImagesCamera(asked.images)
        camera.open()
        camera.close()
    if asked.calibration is not None:
        require_calibration(asked.calibration)


def _say(text: str) -> None:
    print(f"convert: {text}", file=sys.stderr, flush=True)


def _progress(done: int, total: int, what: str) -> None:
    from tools.command_line import show_progress  # noqa: PLC0415

    show_progress(done, total, what)
