"""Result of a check."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "ok", "problem", "unknown", "warning"]

State = Literal["ok", "warning", "problem", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        name: of the check, the same in every version.
        state: `problem` keeps a run from working, `warning` may later; `unknown`: it could not be checked, or there is
            nothing of the kind here.
        found: one line.
        fix: what to do, a command if there is one; empty if nothing.
        subject: which one of several; for a camera the SRC for `--camera`.
    """

    name: str
    state: State
    found: str
    fix: str = ""
    subject: str = ""


def ok(name: str, found: str, subject: str = "") -> Finding:
    """Return a finding that all is well."""
    return Finding(name, "ok", found, "", subject)


def warning(name: str, found: str, fix: str, subject: str = "") -> Finding:
    """Return a finding that something may fail or is slower than necessary."""
    return Finding(name, "warning", found, fix, subject)


def problem(name: str, found: str, fix: str, subject: str = "") -> Finding:
    """Return a finding that keeps a run from working."""
    return Finding(name, "problem", found, fix, subject)


def unknown(name: str, found: str, fix: str = "", subject: str = "") -> Finding:
    """Return a finding without a verdict."""
    return Finding(name, "unknown", found, fix, subject)
