"""The files that a code host and pre-commit read: they parse, and what they call exists."""

import re
from pathlib import Path
from typing import Any

import pytest

from pages import PROJECT, command_of, targets_of_make

yaml: Any = pytest.importorskip("yaml")
FILES = [*sorted(PROJECT.glob(".github/**/*.yml")), PROJECT / ".pre-commit-config.yaml"]

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


@every_file
def test_it_parses(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


@every_file
def test_every_command_that_it_calls_exists(file: Path) -> None:
    calls = re.findall(r"(?:run|entry): (\S+)(?: (\S+))?$", file.read_text(), re.MULTILINE)
    assert {target for program, target in calls if program == "make"} <= targets_of_make()
    assert all((PROJECT / program).is_file() for program, _ in calls if program.startswith(".ci/"))


def test_a_report_of_a_bug_asks_for_what_the_doctor_finds() -> None:
    (form,) = (yaml.safe_load(file.read_text()) for file in FILES if file.name == "bug.yml")
    fields = {part["id"]: part["attributes"] for part in form["body"] if "id" in part}
    assert {"expected", "happened", "version", "doctor"} <= set(fields)
    (words,) = re.findall(r"edge-pose (doctor [^`]+)`", fields["doctor"]["description"])
    assert words.split()[1] in command_of(["doctor"])._option_string_actions
