"""Runs a probe in a child process and reads its result."""

import json
import signal
from typing import Any

from edge.commands.doctor import probe
from edge.commands.doctor.host import CommandResult, Host

__all__ = ["run_probe"]


def run_probe(host: Host, what: str, *arguments: str) -> dict[str, Any]:
    """Run a probe and return its facts; `error` and `kind` if it failed.

    `kind` is `crash` if a signal killed it, `hang` if it timed out or did not start.
    """
    # By its path and with -P: neither the probe's folder nor the working directory is searched for imports.
    ran = host.run((host.python.executable, "-P", probe.__file__, what, *arguments))
    if ran.code == 0:
        return _facts(ran.out)
    if ran.code is None:
        return {"error": ran.err, "kind": "hang"}
    if ran.code < 0:
        return {"error": _signal_name(ran), "kind": "crash"}
    last = ran.err.strip().splitlines()[-1:] or [f"exit code {ran.code}"]
    return {"error": last[0], "kind": "failed"}


def _signal_name(ran: CommandResult) -> str:
    """Return the name of the signal that killed a child."""
    try:
        return signal.Signals(-(ran.code or 0)).name
    except ValueError:
        return f"signal {-(ran.code or 0)}"


def _facts(out: str) -> dict[str, Any]:
    """Read the last line: libraries may have printed others before it."""
    try:
        facts = json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        facts = None
    return facts if isinstance(facts, dict) else {"error": "no answer", "kind": "failed"}
