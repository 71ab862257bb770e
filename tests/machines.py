"""Machines for the doctor to examine: a tree of files, and commands with answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.commands.doctor.host import CommandResult, Host, PythonFacts, User
from trees import plant

__all__ = ["CHILD", "Commands", "machine", "python"]

CHILD = "probe.py"
MISSING = CommandResult(None, err="No such file or directory")


@dataclass
class Commands:
    """Fake of `Host.run`: answers from a table and records the commands.

    Probes are called `probe WHAT ARGUMENT`.
    """

    answers: Mapping[str, CommandResult]
    asked: list[str] = field(default_factory=list)

    def __call__(self, words: Sequence[str]) -> CommandResult:
        text = " ".join(words)
        name = f"probe{text.partition(CHILD)[2]}" if CHILD in text else text
        self.asked.append(name)
        return self.answers.get(name, MISSING)


def python(**facts: Any) -> PythonFacts:
    """Return the Python of a Raspberry Pi OS Bookworm, or another one."""
    bookworm = PythonFacts(
        version=(3, 11, 2),
        bits=64,
        machine="aarch64",
        executable="/opt/edge-pose/bin/python",
        prefix=Path("/opt/edge-pose"),
    )
    return replace(bookworm, **facts)


def machine(
    root: Path,
    files: Mapping[str, str | None] | None = None,
    commands: Mapping[str, CommandResult] | None = None,
    **facts: Any,
) -> Host:
    """Return a machine of these files and commands; all may use everything by default."""
    defaults: dict[str, Any] = {
        "python": python(),
        "user": User("ada", 1000, frozenset({"ada"})),
        "may_use": lambda _path: True,
        "now_s": 1_790_000_000.0,
    }
    return Host(root=plant(root, files or {}), run=Commands(commands or {}), **{**defaults, **facts})
