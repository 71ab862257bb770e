"""Formats the findings as text and JSON."""

from typing import Any

from edge import __version__
from edge.commands.doctor.checkup import Checkup, Section
from edge.commands.doctor.finding import Finding, State

__all__ = ["as_json", "as_text"]

MARKS: dict[State, str] = {"ok": "✓", "warning": "!", "problem": "✗", "unknown": "-"}
PLAIN_MARKS: dict[State, str] = {"ok": "ok", "warning": "!!", "problem": "XX", "unknown": "--"}
COLOURS: dict[State, str] = {"ok": "32", "warning": "33", "problem": "31", "unknown": "2"}
NAME_COLUMNS = 14


def as_json(checkup: Checkup) -> dict[str, Any]:
    """Return the findings for JSON, with the same keys in every version.

    `fix` and `subject` are null if there is none.
    """
    return {
        "v": 1,
        "version": __version__,
        "problems": checkup.count("problem"),
        "warnings": checkup.count("warning"),
        "findings": [
            {
                "group": section.title,
                "name": finding.name,
                "subject": finding.subject or None,
                "state": finding.state,
                "found": finding.found,
                "fix": finding.fix or None,
            }
            for section in checkup.sections
            for finding in section.findings
        ],
    }


def as_text(checkup: Checkup, *, colour: bool = False, plain: bool = False) -> str:
    """Return the findings by section, each with its fix, and a summary.

    Args:
        checkup: the findings.
        colour: with ANSI colours.
        plain: marks in ASCII only.
    """
    blocks = [_block(section, colour=colour, plain=plain) for section in checkup.sections]
    return "\n\n".join([*blocks, _summary(checkup, _arrow(plain=plain))])


def _block(section: Section, *, colour: bool, plain: bool) -> str:
    title = section.title.capitalize().replace("tpu", "TPU")
    rows = [line for finding in section.findings for line in _lines(finding, colour=colour, plain=plain)]
    return "\n".join([f"\x1b[1m{title}\x1b[0m" if colour else title, *rows])


def _lines(finding: Finding, *, colour: bool, plain: bool) -> list[str]:
    mark = (PLAIN_MARKS if plain else MARKS)[finding.state]
    shown = f"\x1b[{COLOURS[finding.state]}m{mark}\x1b[0m" if colour else mark
    indent = " " * (len(mark) + NAME_COLUMNS + 4)
    subject = f"{finding.subject}: " if finding.subject else ""
    lines = [f"  {shown} {finding.name:<{NAME_COLUMNS}} {subject}{finding.found}"]
    return [*lines, f"{indent}{_arrow(plain=plain)} {finding.fix}"] if finding.fix else lines


def _arrow(*, plain: bool) -> str:
    return "->" if plain else "→"


def _summary(checkup: Checkup, arrow: str) -> str:
    problems, warnings = checkup.count("problem"), checkup.count("warning")
    if not problems and not warnings:
        return "No problems found."
    counted = [_counted(problems, "problem")] if problems else ["no problems"]
    counted += [_counted(warnings, "warning")] if warnings else []
    text = ", ".join(counted)
    return f"{text[0].upper()}{text[1:]}; after {arrow} is what to do."


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
