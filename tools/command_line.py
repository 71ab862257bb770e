"""Command-line conventions of the tools: one-line errors, the product's exit codes."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from edge.config import input_size
from edge.errors import EdgeError, UsageError
from edge.host.process import keep_stderr, leave, open_missing_streams
from edge.models.files import resolve
from edge.models.manifest import load_manifest
from edge.models.places import places

__all__ = ["Parser", "default_model", "exit_code", "parse_size", "run", "stop_as_by_ctrl_c"]

BUG_CODE = 70
STOPPED_CODE = 130
MAX_CHARACTERS = 300


class Parser(argparse.ArgumentParser):
    """Raises UsageError for a wrong flag; has --debug.

    Args:
        name: of the tool, as in `python -m tools.NAME`.
        description: what it does, for --help.
        epilog: what follows the flags in --help, such as examples.
    """

    def __init__(self, name: str, description: str | None, *, epilog: str = "") -> None:
        super().__init__(
            prog=f"python -m tools.{name}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--debug", action="store_true", help="show tracebacks, and what native libraries say")

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending with argparse's own code."""
        raise UsageError(f"{message} (see --help)")


def stop_as_by_ctrl_c() -> None:
    """Let `kill` and a closed connection end a tool as Ctrl-C does: nothing half-written stays."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature is Python's
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup wants it so
            signal.signal(number, stop)


def run(name: str, work: Callable[[], None]) -> NoReturn:
    """Run a tool as a process and exit with its code."""
    debug = "--debug" in sys.argv
    open_missing_streams()
    keep_stderr(debug=debug)
    stop_as_by_ctrl_c()
    leave(exit_code(name, work, debug=debug))


def exit_code(name: str, work: Callable[[], None], *, debug: bool) -> int:
    """Run a tool and return its exit code; errors take one line.

    Args:
        name: of the tool, before every line.
        work: what to do.
        debug: show tracebacks.
    """
    try:
        work()
    except KeyboardInterrupt:
        return STOPPED_CODE
    except BrokenPipeError:
        return 0  # `| head` has seen enough
    except Exception as error:  # noqa: BLE001 - the last resort; what is not an EdgeError is our mistake
        if debug:
            traceback.print_exception(error)
        if isinstance(error, EdgeError):
            _say(name, str(error))
            return error.exit_code
        _say(
            name,
            f"a bug in {name}: {type(error).__name__}: {' '.join(str(error).split())[:MAX_CHARACTERS]} (see --debug)",
        )
        return BUG_CODE
    return 0


def _say(name: str, text: str) -> None:
    print("\n".join(f"{name}: {line}" for line in text.splitlines()), file=sys.stderr)


def default_model() -> Path | None:
    """Return the default model's file, None where it is not available."""
    try:
        where = places(os.environ)
        return resolve(None, load_manifest(where.mirror), where).path
    except EdgeError:
        return None


def parse_size(text: str, *, choices: str = '"HxW"') -> tuple[int, int]:
    """Parse `HxW` into (width, height), as the product does.

    Raises argparse.ArgumentTypeError.
    """
    try:
        return input_size.parse_fixed_size(text, choices=choices)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
