"""Asks a probe in a child process, and reads how that ended."""

import json
import signal
from typing import Any

from edge.commands.doctor import probe
from edge.commands.doctor.host import Host, Ran

__all__ = ["run_probe"]


def run_probe(host: Host, what: str, *arguments: str) -> dict[str, Any]:
    """Return what a probe found; `error` and `kind` where it failed, of kind `crash` where it was killed."""
    # By its path, and without the folders that it or we lie in: only what is installed is tried.
    ran = host.run((host.python.executable, "-P", probe.__file__, what, *arguments))
    if ran.code == 0:
        return _facts(ran.out)
    if ran.code is None:
        return {"error": ran.err, "kind": "hang"}
    if ran.code < 0:
        return {"error": _signal_name(ran), "kind": "crash"}
    last = ran.err.strip().splitlines()[-1:] or [f"exit code {ran.code}"]
    return {"error": last[0], "kind": "failed"}


def _signal_name(ran: Ran) -> str:
    """Return the name of the signal that killed a child."""
    try:
        return signal.Signals(-(ran.code or 0)).name
    except ValueError:
        return f"signal {-(ran.code or 0)}"


def _facts(out: str) -> dict[str, Any]:
    """Read the last line: libraries may have talked before it."""
    try:
        facts = json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        facts = None
    return facts if isinstance(facts, dict) else {"error": "no answer", "kind": "failed"}
