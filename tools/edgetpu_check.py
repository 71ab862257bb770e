"""Runs `python -m tools.edgetpu` under its earlier path."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    runpy.run_module("tools.edgetpu", run_name="__main__", alter_sys=True)
