"""TFLite runtimes other than the locked one, each in an environment of its own (needs the package index)."""

import subprocess
import sys
from pathlib import Path

import pytest

from command import environment
from tiny_models import echo_model
from videos import write_video

PROJECT = Path(__file__).parent.parent.parent
NEEDED = ("msgspec", "paho-mqtt")
MODERN = ("numpy>=2", "opencv-python-headless<5")
BOOKWORM = ("numpy<2", "opencv-python-headless<4.12")
pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime ends at Python 3.11")


def run_with(folder: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Install the agent beside `packages` alone, and let it read a short video."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip: list[str | Path] = [folder / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *NEEDED, *packages], check=True)
    model, video = echo_model(folder / "m.tflite", height=64, width=96), write_video(folder / "v.mp4", 5)
    command: list[str | Path] = [folder / "venv/bin/python", "-m", "edge", "run", "--camera", video, "--model", model]
    return subprocess.run(
        [*command, "--jsonl", "-", "--no-pace"],
        cwd=PROJECT, env=environment({"PYTHONPATH": None}), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_tflite_runtime_is_used_where_only_that_exists(tmp_path: Path) -> None:
    done = run_with(tmp_path, "tflite-runtime==2.14.0", *BOOKWORM)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5


def test_a_runtime_that_imports_but_cannot_construct_is_named_with_its_fix(tmp_path: Path) -> None:
    done = run_with(tmp_path, "tflite-runtime==2.14.0", *MODERN)
    assert done.returncode == 69, done.stderr
    (line,) = done.stderr.splitlines()
    assert "tflite-runtime does not work with NumPy 2" in line
    assert "pip install ai-edge-litert" in line


def test_a_machine_without_a_runtime_is_told_what_to_install(tmp_path: Path) -> None:
    done = run_with(tmp_path, *MODERN)
    assert done.returncode == 69, done.stderr
    (line,) = done.stderr.splitlines()
    assert "no TFLite runtime: pip install ai-edge-litert" in line
