"""What systemd's own tools say of the unit files, and shellcheck of the scripts."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from packages import require

UNITS = Path(__file__).parent.parent.parent / "systemd"
MAX_EXPOSURE = 2.0


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    require("systemd", "shellcheck")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system on which the program seems to be installed."""
    shutil.copytree("/lib/systemd/system", tmp_path / "lib/systemd/system", symlinks=True)
    program = tmp_path / "opt/edge-pose/current/bin/edge-pose"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    for name in ("edge-pose.service", "edge-pose@.service"):
        file = tmp_path / "etc/systemd/system" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(UNITS / name, file)
    return tmp_path


def output_of(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def verify(root: Path, unit: str) -> tuple[int, str]:
    return output_of("systemd-analyze", "verify", "--recursive-errors=yes", "--man=no", f"--root={root}", unit)


@pytest.mark.parametrize("unit", ["edge-pose.service", "edge-pose@front.service"])
def test_systemd_understands_every_line_of_a_unit(root: Path, unit: str) -> None:
    assert verify(root, unit) == (0, "")


def test_systemd_would_have_told_of_an_unknown_key(root: Path) -> None:
    file = root / "etc/systemd/system/edge-pose.service"
    file.write_text(file.read_text().replace("WatchdogSec=", "WatchDogSec="))
    code, told = verify(root, "edge-pose.service")
    assert code != 0
    assert "WatchDogSec" in told


@pytest.mark.parametrize("unit", ["edge-pose.service", "edge-pose@.service"])
def test_a_unit_is_exposed_little(unit: str) -> None:
    limit = f"--threshold={MAX_EXPOSURE * 10:.0f}"
    code, told = output_of("systemd-analyze", "security", "--no-pager", "--offline=true", limit, UNITS / unit)
    assert code == 0, told


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_shellcheck_finds_nothing_in_a_script(script: str) -> None:
    assert output_of("shellcheck", "--severity=style", UNITS / script) == (0, "")


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_a_script_explains_itself_and_refuses_what_it_does_not_know(script: str) -> None:
    code, told = output_of(UNITS / script, "--help")
    assert code == 0
    assert f"sudo systemd/{script}" in told
    assert "set -e" not in told
    assert output_of(UNITS / script, "--frobnicate") == (64, f"{script}: --frobnicate: unknown option (try --help)\n")


def test_a_second_camera_without_a_config_is_refused_and_not_started_for_ever() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNITS / "edge-pose@.service")
    needed = unit["Unit"]["AssertPathExists"]
    assert needed == "/etc/edge-pose/%i.toml"
    assert unit["Service"]["ExecStart"].endswith(f" --config {needed}")
