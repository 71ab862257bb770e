"""Processes that a command starts import nothing from the folder it is started in, which may be anybody's."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import edge
from command import environment
from data import needs_models
from edge.engine.trial import try_model

PACKAGE = Path(edge.__file__).parent
BAIT = ("ctypes", "json", "numpy", "cv2", "msgspec", "edge/__init__", "sitecustomize")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with modules that many programs import; each leaves a file when it is imported."""
    folder = tmp_path / "downloads"
    for name in BAIT:
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(tmp_path / 'caught')!r}, 'a').write('{name} ')\nraise SystemExit('caught')\n")
    return folder


def run_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # -P as for the script `edge-pose`, whose own folder comes first in place of the current one.
    return subprocess.run(
        [sys.executable, "-P", "-m", "edge", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@needs_models
@pytest.mark.parametrize(
    "words",
    [("demo", "--seconds", "1", "--model", "starter"), ("bench", "--quick", "--rounds", "1", "--model", "starter")],
    ids=["demo", "bench"],
)
def test_a_command_starts_no_code_of_the_current_folder(trap: Path, words: tuple[str, ...]) -> None:
    done = run_in(trap, *words)
    assert not (trap.parent / "caught").exists()
    assert done.returncode == 0, done.stderr


def test_a_tried_model_starts_none_either(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trap)
    try_model(trap / "no.tflite")
    assert not (trap.parent / "caught").exists()


def test_the_trap_works(trap: Path) -> None:
    subprocess.run([sys.executable, "-c", "import json"], cwd=trap, env=environment(), check=False)
    assert (trap.parent / "caught").read_text() == "json "


def test_no_module_starts_python_by_other_words() -> None:
    starts = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"[\[(]\s*sys\.executable", line)
    ]
    assert starts == ['host/process.py: PYTHON = (sys.executable, "-P")']
