"""The `convert` command, from the command line to the exit code."""

import contextlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge.errors import InputError, UnavailableError, UsageError
from edge.host.atomic_write import target_of
from tools.command_line import exit_code
from tools.convert.arguments import parse
from tools.convert.options import DEFAULT_SIZE, Options
from tools.progress import ProgressBar

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code("convert", lambda: _work(words), debug="--debug" in words)


def _work(words: Sequence[str]) -> None:
    try:
        _run(parse(words))
    except KeyboardInterrupt:
        _say("stopped; no partial file is left, the files listed above are whole")
        raise


def _run(options: Options) -> None:
    # TensorFlow, OpenCV and the rest take seconds to import, which `--help` and a wrong flag need not wait for.
    import cv2  # noqa: PLC0415

    from edge.tflite.edgetpu_compiler import COMPILER, find_compiler  # noqa: PLC0415
    from tools.convert.graph.source import graph_model_of  # noqa: PLC0415

    annotations = _annotations(options)
    _look_at_pictures(options)
    if options.edgetpu and shutil.which(COMPILER) is None:
        _say(f"without {COMPILER}, which is not installed: the files will be written, and not compiled")
    cv2.setNumThreads(1)  # as the product has it: the times are the product's
    graph_model = graph_model_of(options.source)
    if graph_model is None:
        _convert_saved_model(options, annotations)
    else:
        _convert_graph_model(options, graph_model, annotations)
    if options.edgetpu:
        find_compiler()  # what could be done without it is done by now


def _convert_saved_model(options: Options, annotations: Any) -> None:
    from tools.convert.checks.runners import FrozenReference  # noqa: PLC0415
    from tools.convert.checks.verify import Verifier  # noqa: PLC0415
    from tools.convert.graph.freeze import freeze  # noqa: PLC0415
    from tools.convert.graph.source import open_source  # noqa: PLC0415
    from tools.convert.job import FrozenMaker, Job  # noqa: PLC0415
    from tools.convert.workstation import load_tensorflow  # noqa: PLC0415

    load_tensorflow()
    progress = ProgressBar()
    with open_source(options.source) as model, _folder(options) as folder:
        outputs = [_checked(output, model.path) for output in _outputs(options, model.name, folder)]
        _say(f"reading {options.source}")
        frozen = freeze(model.folder, options.source)
        verifier = Verifier(options, FrozenReference(frozen), annotations, progress)
        _make(options, Job(FrozenMaker(options, frozen, model.origin, _say, progress), verifier, _say), outputs)


def _convert_graph_model(options: Options, source: Path, annotations: Any) -> None:
    from edge.graph.heads_file import read_graph  # noqa: PLC0415
    from tools.convert.checks.verify import Verifier  # noqa: PLC0415
    from tools.convert.job import Job  # noqa: PLC0415
    from tools.convert.published import PublishedMaker, PublishedReference, needs_tensorflow  # noqa: PLC0415
    from tools.convert.workstation import load_tensorflow  # noqa: PLC0415

    unfused = needs_tensorflow(options)
    if unfused or options.calibration is not None:
        load_tensorflow()
    progress = ProgressBar()
    with _folder(options) as folder:
        outputs = [_checked(output, source) for output in _outputs(options, source.stem, folder)]
        _say(f"reading {options.source}")
        graph = read_graph(source)
        if unfused:
            job = _unfused(options, graph, annotations, progress)
        else:
            verifier = Verifier(options, PublishedReference(graph), annotations, progress)
            job = Job(PublishedMaker(options, graph, _say, progress), verifier, _say)
        _make(options, job, outputs)


def _unfused(options: Options, graph: Any, annotations: Any, progress: ProgressBar) -> Any:
    """Return what converts a graph model as TensorFlow does a SavedModel."""
    from edge.graph.heads_file import SOURCE_NAME, cut, decode_notes  # noqa: PLC0415
    from edge.tflite.notes import Source  # noqa: PLC0415
    from tools.convert.checks.runners import FrozenReference  # noqa: PLC0415
    from tools.convert.checks.verify import Verifier  # noqa: PLC0415
    from tools.convert.graph.unfuse import unfuse  # noqa: PLC0415
    from tools.convert.job import FrozenMaker, Job  # noqa: PLC0415

    published = cut(graph, DEFAULT_SIZE)
    frozen = unfuse(graph, options.source)
    source = Source(SOURCE_NAME, published.digest)
    maker = FrozenMaker(options, frozen, source, _say, progress, decode_notes(published.constants))
    return Job(maker, Verifier(options, FrozenReference(frozen), annotations, progress), _say)


def _make(options: Options, job: Any, outputs: Sequence[Path]) -> None:
    from tools.convert.checks.report import format_table  # noqa: PLC0415

    for size, output in zip(options.sizes, outputs, strict=True):
        print(format_table(job.make(size, output)), flush=True)
        _edgetpu(options, output)


@contextlib.contextmanager
def _folder(options: Options) -> Iterator[Path | None]:
    """Provide a folder for several files; removed at the end if empty.

    Yields:
        The folder, or None where `options.output` is the one file.

    Raises:
        UnavailableError: there can be none.
    """
    try:
        one = len(options.sizes) == 1 and not options.output.is_dir()
        if not options.output.parent.is_dir():
            raise UnavailableError(f"{options.output.parent}: no such folder for the output: make it first")
        made = not one and not options.output.exists()
        if made:
            options.output.mkdir()
        elif not one and not options.output.is_dir():
            raise UnavailableError(f"--output {options.output}: several sizes need a folder: name another one")
    except OSError as error:
        raise _cannot_write(options.output, error) from error
    try:
        yield None if one else options.output
    finally:
        if made:
            with contextlib.suppress(OSError):  # something is in it
                options.output.rmdir()


def _outputs(options: Options, name: str, folder: Path | None) -> Iterator[Path]:
    """Yield the file for every size."""
    if folder is None:
        yield options.output
        return
    form = "heads" if options.heads else "whole"
    for size in options.sizes:
        shown = "dynamic" if size is None else f"{size[1]}x{size[0]}"
        yield folder / f"{name}_{form}_{options.quantization}_{shown}.tflite"


def _checked(output: Path, source: Path) -> Path:
    """Refuse an output that is the source, or cannot be a file.

    Raises:
        UsageError: it is the archive, or a file of the SavedModel's folder.
        UnavailableError: no file can be there.
    """
    own = (source, *_files(source))
    try:
        final = target_of(output)
        taken = final.exists() and any(path.exists() and final.samefile(path) for path in own)
    except OSError as error:
        raise _cannot_write(output, error) from error
    if taken:
        raise UsageError(f"{output}: is the source itself: name another output")
    return output


def _files(source: Path) -> list[Path]:
    """Return the other files of a graph model, or those of a model's folder."""
    if source.suffix == ".json":
        return [source.with_suffix(".bin")]
    return [file for kind in ("saved_model.pb", "variables/*", "*.json", "*.bin") for file in source.glob(kind)]


def _cannot_write(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"{path}: cannot be written: {error.strerror}: name another --output")


def _edgetpu(options: Options, output: Path) -> None:
    from edge.tflite.edgetpu_compiler import (  # noqa: PLC0415
        COMPILER,
        compile_for_edgetpu,
        find_compiler,
        forget_compiled,
    )
    from tools.convert.forecast import forecast  # noqa: PLC0415

    if options.heads and options.quantization == "int8":
        print(f"  Edge TPU   {forecast(output)}", flush=True)
    if options.edgetpu:
        forget_compiled(output)
    if options.edgetpu and shutil.which(COMPILER):
        compiled = compile_for_edgetpu(output, find_compiler())
        print(f"{compiled}\n  Edge TPU   {forecast(compiled)}", flush=True)


def _annotations(options: Options) -> Any:
    """Load the annotations and require their pictures before any conversion."""
    from tools.evaluate.annotations import load_annotations, require_images  # noqa: PLC0415

    if options.annotations is None or options.images is None:
        return None
    annotations = load_annotations(options.annotations)
    require_images(annotations, options.images)
    return annotations


def _look_at_pictures(options: Options) -> None:
    """Check the folders of pictures before any conversion. Raises InputError."""
    from edge.camera.files import require_file  # noqa: PLC0415
    from edge.camera.images import ImagesCamera  # noqa: PLC0415
    from tools.convert.int8.calibration import require_calibration  # noqa: PLC0415

    if options.images is not None:
        if not require_file(options.images, or_folder=True):
            raise InputError(f"{options.images}: a file: --images needs a folder of pictures")
        camera = ImagesCamera(options.images)
        camera.open()
        camera.close()
    if options.calibration is not None:
        require_calibration(options.calibration, few=options.min_oks == 0)


def _say(text: str) -> None:
    print(f"convert: {text}", file=sys.stderr, flush=True)
