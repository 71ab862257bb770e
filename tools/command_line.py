"""What a tool's command line has in common with the product's: errors in one line, the same exit codes."""

import argparse
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from edge.errors import EdgeError, UsageError
from edge.host.process import keep_stderr, leave, open_missing_streams

__all__ = ["Parser", "exit_code", "run"]

BUG_CODE = 70
STOPPED_CODE = 130
MAX_CHARACTERS = 300


class Parser(argparse.ArgumentParser):
    """Raises UsageError for a wrong flag; has --debug."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )
        self.add_argument("--debug", action="store_true", help="show tracebacks, and what native libraries say")

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending with argparse's own code."""
        raise UsageError(f"{message} (see --help)")


def run(name: str, work: Callable[[], None]) -> NoReturn:
    """Do the work of a tool as a process of its own, and end with the code of what came of it."""
    debug = "--debug" in sys.argv
    open_missing_streams()
    keep_stderr(debug=debug)
    leave(exit_code(name, work, debug=debug))


def exit_code(name: str, work: Callable[[], None], *, debug: bool) -> int:
    """Do the work of a tool, and return the code of what came of it; an error is told in one line.

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
        text = " ".join(str(error).split())[:MAX_CHARACTERS]
        _say(name, f"a bug in {name}: {type(error).__name__}: {text} (see --debug)")
        return BUG_CODE
    return 0


def _say(name: str, text: str) -> None:
    print("\n".join(f"{name}: {line}" for line in text.splitlines()), file=sys.stderr)
