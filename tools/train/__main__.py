"""Trains the starter model and exports TFLite files; see `--help`.

python -m tools.train --scene 1 --output training
"""

import logging
import sys
from typing import NoReturn

from edge.host.process import keep_stderr, leave, open_missing_streams
from tools.train.command import main


def entry() -> NoReturn:
    """Run the command as a process of its own."""
    open_missing_streams()
    keep_stderr(debug="--debug" in sys.argv)
    # A message takes the line of a bar that is being drawn.
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    logging.basicConfig(format=f"{start}train: %(message)s", level=logging.WARNING)
    leave(main())


if __name__ == "__main__":
    entry()
