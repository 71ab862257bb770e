"""Compiles a file by Google's Edge TPU compiler, and keeps its log."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from edge.errors import ModelError, UnavailableError, one_line
from edge.host.atomic_write import install, write_whole
from edge.tflite.notes import encode_notes, notes_path, read_notes

__all__ = [
    "COMPILER",
    "compile_for_edgetpu",
    "compiled_path",
    "find_compiler",
    "forget_compiled",
]

COMPILER = "edgetpu_compiler"
SUFFIX = "_edgetpu"
FAILURES = ("Compilation failed", "Internal compiler error", "Invalid model", "ERROR:")
"""The compiler's messages when it fails; not every version has an exit code for it too."""
TIMEOUT_S = 1200
INSTALL = (
    "a Debian package for x86-64, from Google's repository (coral.ai/docs/edgetpu/compiler has the three commands); "
    "an int8 file can be compiled on another machine as well"
)


def compile_for_edgetpu(model: Path, compiler: str) -> Path:
    """Compile `model`, and return the compiled file beside it.

    What it printed is kept in `<model>.edgetpu.log`, whether it succeeds or not. It drops metadata: the notes
    go beside the compiled file. What an older `model` was compiled to is deleted first.

    Args:
        model: a TFLite file.
        compiler: see `find_compiler`.

    Raises:
        UnavailableError: the compiler cannot be run, or nothing can be written.
        ModelError: it does not take the file; the message ends with its own words.
    """
    forget_compiled(model)
    with tempfile.TemporaryDirectory(prefix=".edgetpu-", dir=model.parent) as folder:
        code, log = _run(compiler, model, Path(folder))
        write_whole(log_path(model), log.encode())
        made = Path(folder) / f"{model.stem}{SUFFIX}.tflite"
        if code or not made.is_file() or any(words in log for words in FAILURES):
            raise ModelError(f"{model}: {COMPILER} does not take it ({_reason(code, log)}): see {log_path(model)}")
        final = compiled_path(model)
        notes = read_notes(model)
        if notes is not None:
            write_whole(notes_path(final), encode_notes(notes))
        try:
            install(made, final)
        except OSError as error:
            raise UnavailableError(f"{final}: cannot be written: {error.strerror}: make room or give rights") from error
    return final


def forget_compiled(model: Path) -> None:
    """Delete what an older `model` was compiled to, notes included.

    Raises:
        UnavailableError: it cannot be deleted.
    """
    compiled = compiled_path(model)
    try:
        for path in (compiled, notes_path(compiled)):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"{compiled}: of an older {model.name}, and cannot be deleted: {error.strerror}"
        ) from error


def find_compiler(path: str | None = None) -> str:
    """Return the path of the compiler, looked up in `path` or PATH.

    Raises:
        UnavailableError: it is not installed; the message has the instructions.
    """
    compiler = shutil.which(COMPILER, path=path)
    if compiler is None:
        raise UnavailableError(f"--edgetpu: {COMPILER} is not installed: {INSTALL}")
    return compiler


def compiled_path(model: Path) -> Path:
    """Return the name of the compiled file, chosen by the compiler."""
    return model.with_name(f"{model.stem}{SUFFIX}.tflite")


def log_path(model: Path) -> Path:
    """Return the path of the compiler's log."""
    return model.with_name(f"{model.name}.edgetpu.log")


def _run(compiler: str, model: Path, folder: Path) -> tuple[int, str]:
    """Return the compiler's exit code and output, its log file included.

    See coral.ai/docs/edgetpu/compiler.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the program that the user installed
            [compiler, "-s", "-o", str(folder), str(model)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{compiler} cannot be run: {one_line(error)}") from error
    own = folder / f"{model.stem}{SUFFIX}.log"
    words = done.stdout + (b"\n" + own.read_bytes() if own.is_file() else b"")
    return done.returncode, words.decode("utf-8", "replace")


def _reason(code: int, log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith(FAILURES)), lines[-1] if lines else "no output")
    return f"{reason[:200]}; exit code {code}"
