"""Converts MoveNet MultiPose to TFLite and checks the result; see `--help`.

python -m tools.convert SOURCE --heads --quantize fp16 --output heads.tflite
"""

import logging
import os
import sys
from typing import NoReturn

from edge.host.process import keep_stderr, leave, open_missing_streams
from tools.command_line import stop_as_by_ctrl_c
from tools.convert.command import main


def entry() -> NoReturn:
    """Run the command as a process of its own."""
    open_missing_streams()
    keep_stderr(debug="--debug" in sys.argv)
    stop_as_by_ctrl_c()
    if "--debug" in sys.argv:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
    logging.basicConfig(format="convert: %(message)s", level=logging.WARNING)
    leave(main())


if __name__ == "__main__":
    entry()
