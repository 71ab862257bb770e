"""What `tools/convert.py` does, from the command line to the exit code."""

import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from converter.arguments import Asked, parse
from edge.errors import EdgeError, InputError, UsageError

__all__ = ["main"]

BUG_CODE = 70
STOPPED_CODE = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(parse(words))
    except KeyboardInterrupt:
        _say("stopped; nothing was written")
        return STOPPED_CODE
    except Exception as error:  # noqa: BLE001 - the last resort; what is not an EdgeError is our mistake
        if "--debug" in words:
            traceback.print_exception(error)
        if isinstance(error, EdgeError):
            _say(str(error))
            return error.exit_code
        text = " ".join(str(error).split())[:300]
        _say(f"a bug in convert: {type(error).__name__}: {text} (see --debug)")
        return BUG_CODE
    return 0


def _run(asked: Asked) -> None:
    # TensorFlow, OpenCV and the rest take seconds to import, which `--help` and a wrong flag need not wait for.
    import cv2  # noqa: PLC0415

    from converter.edgetpu import find_compiler  # noqa: PLC0415
    from converter.freeze import freeze  # noqa: PLC0415
    from converter.job import Job  # noqa: PLC0415
    from converter.report import format_table  # noqa: PLC0415
    from converter.source import open_source  # noqa: PLC0415
    from converter.verify import Verifier  # noqa: PLC0415
    from converter.workstation import load_tensorflow  # noqa: PLC0415

    annotations = _annotations(asked)
    _look_at_pictures(asked)
    load_tensorflow()
    cv2.setNumThreads(1)  # as the product has it: the times are the product's
    with open_source(asked.source) as model:
        outputs = list(_outputs(asked, model.name))
        _say(f"reading {asked.source}")
        frozen = freeze(model.folder, asked.source)
        job = Job(asked, frozen, model.origin, Verifier(asked, frozen, annotations, _progress), _say, _progress)
        for size, output in zip(asked.sizes, outputs, strict=True):
            print(format_table(job.make(size, output)), flush=True)
            _edgetpu(asked, output)
    if asked.edgetpu:
        find_compiler()  # what could be done without it is done by now


def _outputs(asked: Asked, name: str) -> Iterator[Path]:
    """Yield the file for every size. Raises UsageError or InputError for a place where none can be."""
    if len(asked.sizes) == 1 and not asked.output.is_dir():
        if not asked.output.parent.is_dir():
            raise InputError(f"{asked.output.parent}: no such folder for the output: make it first")
        yield asked.output
        return
    try:
        asked.output.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {asked.output}: several sizes need a folder ({error.strerror})") from None
    form = "heads" if asked.heads else "whole"
    for size in asked.sizes:
        shown = "dynamic" if size is None else f"{size[1]}x{size[0]}"
        yield asked.output / f"{name}_{form}_{asked.quantization}_{shown}.tflite"


def _edgetpu(asked: Asked, output: Path) -> None:
    from converter.edgetpu import COMPILER, compile_for_edgetpu, find_compiler, forecast  # noqa: PLC0415

    if asked.heads and asked.quantization == "int8":
        print(f"  Edge TPU   {forecast(output)}", flush=True)
    if asked.edgetpu and shutil.which(COMPILER):
        compiled = compile_for_edgetpu(output, find_compiler())
        print(f"{compiled}\n  Edge TPU   {forecast(compiled)}", flush=True)


def _annotations(asked: Asked) -> Any:
    """Read the annotations and look for the pictures, before anything takes time."""
    from evaluation.annotations import load_annotations, require_images  # noqa: PLC0415

    if asked.annotations is None or asked.images is None:
        return None
    annotations = load_annotations(asked.annotations)
    require_images(annotations, asked.images)
    return annotations


def _look_at_pictures(asked: Asked) -> None:
    """Complain about a folder without pictures before anything takes time. Raises InputError."""
    from edge.camera.images import ImagesCamera  # noqa: PLC0415

    if asked.images is not None:
        camera = ImagesCamera(asked.images)
        camera.open()
        camera.close()


def _say(text: str) -> None:
    print(f"convert: {text}", file=sys.stderr, flush=True)


def _progress(done: int, total: int, what: str) -> None:
    from at_hand import show_progress  # noqa: PLC0415

    show_progress(done, total, what)
