"""Runs `python -m tools.convert`, and looks at what it says."""

import contextlib
import io
import subprocess
from collections.abc import Mapping
from pathlib import Path

from command import PROJECT, Outcome, environment, tool_arguments
from tools.convert.command import main

TIMEOUT_S = 300


def convert(*words: str | Path) -> Outcome:
    """Run the command in this process, where TensorFlow is loaded already."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Outcome(code, out.getvalue(), err.getvalue())


def convert_alone(
    *words: str | Path, extra: Mapping[str, str | None] | None = None, max_file_bytes: int = 0
) -> Outcome:
    """Run the tool as a user would; no file may grow beyond `max_file_bytes`, as on a full disk, unless that is 0."""
    command = tool_arguments("convert", *words)
    if max_file_bytes:
        command = ["prlimit", f"--fsize={max_file_bytes}", "--", *command]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment(extra)
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def complaint(outcome: Outcome) -> str:
    """Return the one line that tells why it failed, after those about what it is doing."""
    lines = [line.removeprefix("convert: ") for line in outcome.err.splitlines()]
    doing = ("reading ", "converting ", "calibrating ", "calibration", "quantizing ", "without edgetpu_compiler")
    told = [line for line in lines if line and not line.startswith(doing)]
    assert len(told) == 1, outcome.err
    return told[0]
