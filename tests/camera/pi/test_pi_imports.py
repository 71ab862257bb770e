"""The error when picamera2 cannot be imported."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from command import environment, run
from data import needs_models
from edge.camera.pi.imports import unavailable

MISSING = ModuleNotFoundError("No module named 'picamera2'", name="picamera2")


def test_without_the_package_the_line_says_how_to_install_it(tmp_path: Path) -> None:
    text = str(unavailable(MISSING, packages=tmp_path))
    assert text == "camera 'pi' needs python3-picamera2: sudo apt install python3-picamera2"


def test_a_package_outside_of_the_virtual_environment_is_found_and_the_remedy_named(tmp_path: Path) -> None:
    (tmp_path / "picamera2").mkdir()
    text = str(unavailable(MISSING, packages=tmp_path, prefix="/opt/edge-pose"))
    assert text == (
        "camera 'pi' needs python3-picamera2, which is installed, but not visible from this virtual environment: "
        "python3 -m venv --system-site-packages /opt/edge-pose"
    )


def test_a_part_that_picamera2_lacks_is_named(tmp_path: Path) -> None:
    text = str(unavailable(ModuleNotFoundError("No module named 'pykms'", name="pykms"), packages=tmp_path))
    assert text == "camera 'pi' needs python3-picamera2, which cannot be loaded here: No module named 'pykms'"


def test_a_build_for_another_numpy_is_reported_as_it_is(tmp_path: Path) -> None:
    text = str(unavailable(ValueError("numpy.dtype size changed,\nmay indicate"), packages=tmp_path))
    assert text.endswith("which cannot be loaded here: numpy.dtype size changed, may indicate")


@pytest.mark.parametrize(("debug", "want"), [(False, "50 *:FATAL"), (True, "10 None")])
def test_the_vendor_is_silent_unless_debug(want: str, *, debug: bool) -> None:
    code = (
        "import logging, os; from edge.camera.pi.imports import quiet_logging; "
        f"quiet_logging(debug={debug}); "
        "print(logging.getLogger('picamera2').level, os.environ.get('LIBCAMERA_LOG_LEVELS'))"
    )
    env = environment({"LIBCAMERA_LOG_LEVELS": None})
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == want


@needs_models
@pytest.mark.skipif(find_spec("picamera2") is not None, reason="picamera2 is here")
def test_a_run_without_picamera2_ends_with_69_and_one_line() -> None:
    outcome = run("run", "--camera", "pi", "--jsonl", "-")
    assert (outcome.code, outcome.out) == (69, "")
    assert [line for line in outcome.error_lines() if line.startswith("camera 'pi' needs python3-picamera2")]
    assert len(outcome.error_lines()) == 1


def test_the_driver_is_imported_without_the_vendor() -> None:
    code = "import edge.camera.pi.driver, sys; sys.exit('picamera2' in sys.modules or 'libcamera' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
