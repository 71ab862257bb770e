"""The workstation tools are a package; three of them also answer to the path that they always had."""

import re
import subprocess
import sys

import pytest

from command import PROJECT, use_tool

SOURCES = sorted((PROJECT / "tools").rglob("*.py"))
TOOLS = [name for path in SOURCES for name in re.findall(r'\bParser\("([\w.]+)"', path.read_text())]


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_explains_itself_by_the_name_that_it_is_called_by(name: str) -> None:
    done = use_tool(name, "--help")
    assert done.code == 0, done.err
    assert f"usage: python -m tools.{name} [-h]" in done.out, done.out


@pytest.mark.parametrize(
    ("script", "name"), [("convert", "convert"), ("evaluate", "evaluate"), ("edgetpu_check", "edgetpu")]
)
def test_a_script_does_what_its_package_does(script: str, name: str) -> None:
    path = PROJECT / "tools" / f"{script}.py"
    done = subprocess.run([sys.executable, path, "--help"], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, use_tool(name, "--help").out), done.stderr
    wrong = subprocess.run([sys.executable, path, "--colour"], cwd="/", capture_output=True, text=True, check=False)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (64, 1)
