"""Libraries that do not go together, as their children would end; and the real child once."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.commands.doctor.checks.software import check_opencv, check_picamera2, check_runtime
from edge.commands.doctor.finding import Finding
from edge.commands.doctor.host import CommandResult, this_host
from edge.commands.doctor.probe import main
from edge.commands.doctor.run_probe import run_probe
from machines import machine, python

OLD_NUMPY = "numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88"
APT = {"usr/lib/python3/dist-packages/picamera2/__init__.py": ""}
PI = {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}


def printed(**facts: Any) -> CommandResult:
    return CommandResult(0, f"a library's chat\n{json.dumps(facts)}\n")


def runtime(tmp_path: Path, ran: CommandResult) -> Finding:
    return check_runtime(machine(tmp_path, commands={"probe runtime": ran}))


def test_a_runtime_that_infers_is_named_with_its_numpy(tmp_path: Path) -> None:
    found = runtime(tmp_path, printed(runtime="ai-edge-litert 2.1.0", numpy="2.2.6"))
    assert found == Finding("runtime", "ok", "ai-edge-litert 2.1.0 with NumPy 2.2.6")


def test_no_runtime_is_a_problem_that_pip_mends(tmp_path: Path) -> None:
    found = runtime(tmp_path, printed(error="No module named 'tflite_runtime'", kind="ModuleNotFoundError"))
    assert found.state == "problem"
    assert found.fix == "/opt/edge-pose/bin/python -m pip install ai-edge-litert"


def test_a_runtime_built_for_another_numpy_is_named_with_it(tmp_path: Path) -> None:
    found = runtime(
        tmp_path,
        printed(runtime="tflite-runtime 2.14.0", numpy="2.2.6", error="initialization failed", kind="construct"),
    )
    assert found.state == "problem"
    assert "tflite-runtime 2.14.0 does not work with NumPy 2.2.6" in found.found
    assert "ai-edge-litert" in found.fix
    assert "numpy<2" in found.fix


def test_a_runtime_that_crashes_is_named_by_its_signal(tmp_path: Path) -> None:
    found = runtime(tmp_path, CommandResult(-11))
    assert found.state == "problem"
    assert found.found == "the TFLite runtime crashes when it is used (SIGSEGV)"


def test_a_runtime_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    found = runtime(tmp_path, printed(error="libstdc++.so.6: no such file", kind="ImportError"))
    assert found.state == "problem"
    assert found.found == "the TFLite runtime cannot be loaded: libstdc++.so.6: no such file"


def test_an_import_that_fails_for_numpy_is_reported_as_such(tmp_path: Path) -> None:
    found = runtime(tmp_path, printed(error=OLD_NUMPY, kind="ValueError"))
    assert found.found.startswith("the TFLite runtime does not work with NumPy: ")


def test_a_runtime_that_never_answers_is_not_judged(tmp_path: Path) -> None:
    assert runtime(tmp_path, CommandResult(None, err="no answer in 30 s")).state == "unknown"


@pytest.mark.parametrize(
    ("ran", "kind", "error"),
    [
        (CommandResult(-11), "crash", "SIGSEGV"),
        (CommandResult(-99), "crash", "signal 99"),
        (CommandResult(1, err="Traceback\nImportError: no module"), "failed", "ImportError: no module"),
        (CommandResult(3), "failed", "exit code 3"),
        (CommandResult(0, ""), "failed", "no answer"),
        (CommandResult(0, "chat\n"), "failed", "no answer"),
        (CommandResult(0, "[1]\n"), "failed", "no answer"),
        (CommandResult(None, err="Permission denied"), "hang", "Permission denied"),
    ],
)
def test_every_end_of_a_child_is_reported(tmp_path: Path, ran: CommandResult, kind: str, error: str) -> None:
    facts = run_probe(machine(tmp_path, commands={"probe runtime": ran}), "runtime")
    assert facts == {"kind": kind, "error": error}


def test_sudo_stands_before_pip_where_the_environment_belongs_to_root(tmp_path: Path) -> None:
    host = machine(tmp_path, commands={"probe runtime": CommandResult(-11)}, may_use=lambda _path: False)
    assert check_runtime(host).fix.startswith("sudo /opt/edge-pose/bin/python -m pip install")


@pytest.mark.parametrize(
    ("ran", "state", "words"),
    [
        (printed(file="/x/cv2.so", version="4.12.0"), "ok", "4.12.0"),
        (printed(error=OLD_NUMPY, kind="ValueError"), "problem", "this NumPy"),
        (printed(error="libGL.so.1: cannot open", kind="ImportError"), "problem", "cannot be loaded: libGL.so.1"),
        (CommandResult(-4), "problem", "crashes (SIGILL)"),
        (CommandResult(None, err="no answer in 30 s"), "unknown", "no answer"),
    ],
)
def test_opencv_is_imported_in_a_child(tmp_path: Path, ran: CommandResult, state: str, words: str) -> None:
    found = check_opencv(machine(tmp_path, commands={"probe module cv2": ran}))
    assert found.state == state
    assert words in found.found


def picamera2(
    tmp_path: Path, ran: CommandResult, files: dict[str, str | None], *, wanted: bool = True, config: str = ""
) -> Finding:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/pyvenv.cfg").write_text(config)
    host = machine(tmp_path, files, {"probe module picamera2": ran}, python=python(prefix=tmp_path / "venv"))
    return check_picamera2(host, wanted=wanted)


NOT_THERE = printed(error="No module named 'picamera2'", kind="ModuleNotFoundError")


def test_apts_picamera2_is_not_visible_from_an_environment_of_its_own(tmp_path: Path) -> None:
    found = picamera2(tmp_path, NOT_THERE, {**APT, **PI}, config="include-system-site-packages = false\n")
    assert found.state == "problem"
    assert "not visible" in found.found
    assert "include-system-site-packages = true" in found.fix
    assert str(tmp_path / "venv/pyvenv.cfg") in found.fix


def test_a_picamera2_that_is_not_installed_comes_from_apt(tmp_path: Path) -> None:
    found = picamera2(tmp_path, NOT_THERE, {**PI}, config="include-system-site-packages = true\n")
    assert found.state == "problem"
    assert found.fix.startswith("sudo apt install")


def test_picamera2_is_only_a_warning_where_no_camera_needs_it(tmp_path: Path) -> None:
    assert picamera2(tmp_path, NOT_THERE, {**PI}, wanted=False).state == "warning"


def test_picamera2_is_not_missed_without_a_pi(tmp_path: Path) -> None:
    assert picamera2(tmp_path, NOT_THERE, {}, wanted=False).state == "unknown"


def test_a_picamera2_built_for_numpy_1_wants_numpy_1(tmp_path: Path) -> None:
    found = picamera2(tmp_path, printed(error=OLD_NUMPY, kind="ValueError"), {**APT, **PI})
    assert found.state == "problem"
    assert "numpy<2" in found.fix


def test_a_picamera2_that_can_be_imported_is_ok(tmp_path: Path) -> None:
    found = picamera2(tmp_path, printed(file="/usr/lib/x.py", version=""), {**APT, **PI})
    assert found == Finding("picamera2", "ok", "/usr/lib/x.py")


def test_the_real_child_constructs_the_real_runtime() -> None:
    facts = run_probe(this_host(), "runtime")
    assert facts["runtime"].startswith("ai-edge-litert ")
    assert "error" not in facts


def test_a_library_that_is_missing_is_reported_by_the_real_child() -> None:
    facts = run_probe(this_host(), "library", "libno-such-thing.so.1")
    assert facts["kind"] == "OSError"
    assert "libno-such-thing.so.1" in facts["error"]


def test_a_probe_prints_one_line_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["module", "edge_pose_has_no_such_module"]) == 0
    assert main(["no such probe"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["kind"] == "ModuleNotFoundError"
    assert second["kind"] == "KeyError"
