"""The doctor beside TFLite runtimes that do not go with their NumPy (needs the package index)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from command import environment

PROJECT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime ends at Python 3.11")


class Environment:
    """A virtual environment with what the agent needs, but for a runtime."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin/python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)

    def pip(self, *words: str) -> None:
        subprocess.run([self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *words], check=True)

    def runtime(self) -> dict[str, Any]:
        """Return what the doctor says of the runtime."""
        done = subprocess.run(
            [self.python, "-m", "edge", "doctor", "--json"],
            cwd=PROJECT, env=environment({"PYTHONPATH": None}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        return next(finding for finding in found if finding["name"] == "runtime")


def test_the_doctor_names_a_runtime_for_another_numpy_and_one_that_is_missing(tmp_path: Path) -> None:
    venv = Environment(tmp_path / "venv")
    venv.pip("install", "msgspec", "paho-mqtt", "opencv-python-headless<4.12", "numpy<2", "tflite-runtime==2.14.0")
    well = venv.runtime()
    assert (well["state"], well["found"][:35]) == ("ok", "tflite-runtime 2.14.0 with NumPy 1.")
    venv.pip("install", "numpy>=2")
    mismatched = venv.runtime()
    assert mismatched["state"] == "problem"
    assert "tflite-runtime 2.14.0 does not work with NumPy 2" in mismatched["found"]
    assert "pip install ai-edge-litert" in mismatched["fix"]
    venv.pip("uninstall", "--yes", "tflite-runtime")
    missing = venv.runtime()
    assert missing["state"] == "problem"
    assert missing["fix"].endswith("-m pip install ai-edge-litert")
