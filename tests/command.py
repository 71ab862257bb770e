"""Starts the real command as a user would."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 60
PROJECT = Path(__file__).parents[1]
NO_PROXY = "http://127.0.0.1:9"  # nobody listens there: nothing is downloaded
EMPTY_CACHE = tempfile.mkdtemp(prefix="edge-pose-cache-")
"""A cache that models could be fetched into, so that it is the network that is missing; removed at the end."""
atexit.register(shutil.rmtree, EMPTY_CACHE, ignore_errors=True)
NO_MIRROR: Mapping[str, str | None] = {
    "EDGE_POSE_MODEL_MIRROR": None,
    "EDGE_POSE_CACHE": EMPTY_CACHE,
    "http_proxy": NO_PROXY,
    "https_proxy": NO_PROXY,
    "npm_config_offline": "true",
}
"""Variables of a machine that has no model and no network."""


def restore_child_signals() -> None:
    """Let children start with default signal handling where this process was started with ignored signals.

    `nohup` and a script's background jobs ignore SIGHUP or SIGINT, and children inherit that. A signal with a handler
    is back at its default in a child, while here the handler goes on ignoring it.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished command left."""

    code: int
    out: str
    err: str

    def error_lines(self) -> list[str]:
        """Return the lines that tell the error, without log lines."""
        return [line.removeprefix("edge-pose: ") for line in self.err.splitlines() if line.startswith("edge-pose: ")]


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return this environment with some variables changed, or removed where the value is None."""
    merged: dict[str, str | None] = {**os.environ, **(extra or {})}
    return {name: value for name, value in merged.items() if value is not None}


def arguments(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "edge", *(str(word) for word in words)]


def tool_arguments(name: str, *words: str | Path) -> list[str]:
    """Return the command line of a workstation tool; it is for the folder `PROJECT`."""
    return [sys.executable, "-m", f"tools.{name}", *(str(word) for word in words)]


def use_tool(
    name: str, *words: str | Path, env: Mapping[str, str | None] | None = None, timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Run a workstation tool to its end."""
    done = subprocess.run(
        tool_arguments(name, *words),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env=environment(env),
        timeout=timeout_s,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def start(*words: str | Path, env: Mapping[str, str | None] | None = None) -> subprocess.Popen[str]:
    """Start a command and leave it running."""
    return subprocess.Popen(
        arguments(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(env)
    )


def run(*words: str | Path, env: Mapping[str, str | None] | None = None) -> Outcome:
    """Run a command to its end."""
    done = subprocess.run(
        arguments(*words), capture_output=True, text=True, env=environment(env), timeout=TIMEOUT_S, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
