"""The `edge-pose` command: runs a subcommand, maps errors to exit codes.

Every error is printed as one line; `--debug` adds the traceback.
"""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from edge.commands.arguments import parser
from edge.errors import EdgeError, RestartError, UnavailableError
from edge.host.logs import say, set_up
from edge.host.process import Signals, Stopped, keep_stderr, leave, open_missing_streams, print_any_text

__all__ = ["entry", "main"]

BUG_CODE = 70
MAX_PIXELS = 8192**2
"""Of a picture. OpenCV reads its limit when it is imported, so it is set before."""
STOPPED_CODE = 130
"""128 + SIGINT, as shells have it; `run` and `watch` end with 0, because a stop is their normal end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["help"]:  # as git and others have it
        words = [*words[1:], "--help"]
    set_up(debug="--debug" in words)
    signals = Signals()
    stopped_code = 0 if words[:1] in (["run"], ["watch"]) else STOPPED_CODE
    try:
        code = _dispatch(words, signals)
    except Stopped:
        code = stopped_code
    except BrokenPipeError:
        code = 0
    except Exception as error:  # noqa: BLE001 - the last resort; what is not an EdgeError is a bug
        # A signal in the middle of an import may surface as any exception of that package.
        cut_short = signals.came and signals.stop is None
        code = stopped_code if cut_short else _report(error, debug="--debug" in words)
    return code


def _report(error: Exception, *, debug: bool) -> int:
    """Print an error as one line, and return its exit code."""
    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, EdgeError):
        _print_error(error)
        return error.exit_code
    if isinstance(error, MemoryError):
        say("edge-pose: out of memory: end other programs, or set a smaller model.size", logging.ERROR)
        return UnavailableError.exit_code
    text = " ".join(str(error).split())
    say(f"edge-pose: a bug in edge-pose: {type(error).__name__}: {text} (see --debug)", logging.CRITICAL)
    return BUG_CODE


def _dispatch(arguments: Sequence[str], signals: Signals) -> int:
    options = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Signals], int] = options.command
    return command(options, signals)


def entry() -> NoReturn:
    """Run the command and exit the process with its code."""
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
    open_missing_streams()
    print_any_text()
    keep_stderr(debug="--debug" in sys.argv)
    leave(main())


def _print_error(error: EdgeError) -> None:
    level = logging.INFO if isinstance(error, RestartError) else logging.ERROR
    for line in str(error).splitlines():
        say(f"edge-pose: {line}", level)
