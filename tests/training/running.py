"""Runs `python -m tools.train`, in this process or as a user would."""

import os
import subprocess
from pathlib import Path

import pytest

from command import PROJECT, Outcome, environment, tool_arguments
from tools.train.command import main

TIMEOUT_S = 600
QUICK = (
    "--network",
    "tiny",
    "--batch",
    "2",
    "--side",
    "64",
    "--threads",
    "1",
    "--workers",
    "1",
    "--precision",
    "float32",
)


def train(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Outcome:
    """Run the command in this process, where PyTorch is loaded already, without the export."""
    code = main([*QUICK, "--no-export", *map(str, words)])
    out, err = capsys.readouterr()
    return Outcome(code, out, err)


def start(*words: str | Path, max_file_bytes: int = 0) -> subprocess.Popen[str]:
    """Start the tool; no file may grow beyond `max_file_bytes`, as on a full disk, unless that is 0."""
    command = tool_arguments("train", *QUICK, *words)
    if max_file_bytes:
        command = ["prlimit", f"--fsize={max_file_bytes}", "--", *command]
    variables = {name: None for name in os.environ if name.startswith("EDGE_POSE_CACHE")}
    return subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(variables)
    )


def finish(process: subprocess.Popen[str]) -> Outcome:
    """Wait for the tool's end."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Outcome(process.returncode, out, err)


def complaint(outcome: Outcome) -> str:
    """Return the one line that tells why it failed."""
    lines = [line.removeprefix("train: ") for line in outcome.err.splitlines() if " goes on from step " not in line]
    told = [line for line in lines if not line.startswith(("step ", "from here on "))]
    assert len(told) == 1, outcome.err
    return told[0]
