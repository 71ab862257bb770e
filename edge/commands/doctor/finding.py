"""What a look at one thing of the machine has found."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "ok", "problem", "unknown", "warning"]

State = Literal["ok", "warning", "problem", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at, the same in every version.
        state: `problem` keeps a run from doing its work, `warning` will some day; `unknown` is neither good nor bad:
            it could not be looked at, or there is nothing of the kind here.
        found: one line.
        fix: what to do, a command where there is one; empty where nothing is to be done.
        subject: which one, where there may be several; of a camera the SRC to give to `--camera`.
    """

    name: str
    state: State
    found: str
    fix: str = ""
    subject: str = ""


def ok(name: str, found: str, subject: str = "") -> Finding:
    """Return that all is well."""
    return Finding(name, "ok", found, "", subject)


def warning(name: str, found: str, fix: str, subject: str = "") -> Finding:
    """Return that something will go wrong, or goes worse than it could."""
    return Finding(name, "warning", found, fix, subject)


def problem(name: str, found: str, fix: str, subject: str = "") -> Finding:
    """Return that something keeps a run from its work."""
    return Finding(name, "problem", found, fix, subject)


def unknown(name: str, found: str, fix: str = "", subject: str = "") -> Finding:
    """Return that there is nothing to judge."""
    return Finding(name, "unknown", found, fix, subject)
