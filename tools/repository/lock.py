"""Writes the locks: exact versions of everything that is installed, tested together.

    default.txt      Python 3.11 and 3.13: Raspberry Pi OS Trixie
    bookworm.txt     Python 3.11 with NumPy 1: Raspberry Pi OS Bookworm, whose picamera2 is built on it
    workstation.txt  with TensorFlow and PyTorch, for converting and training models; 7 GB are installed to write it

No hashes: piwheels.org, which Raspberry Pi OS asks too, builds its own wheels of the same versions.
After writing, asks the index for the aarch64 wheels of every package that runs on a device.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent / "locks"
PROJECT = FOLDER.parent.parent
LOCKS: dict[str, tuple[str, list[str], list[str]]] = {
    "default.txt": ("dev", [], ["3.11", "3.13"]),
    "bookworm.txt": ("dev", ["numpy<2", "opencv-python-headless<4.12"], ["3.11"]),
    "workstation.txt": ("workstation,train", ["-c", str(FOLDER / "default.txt")], []),
}
"""Lock -> (extra of the project, more requirements, Pythons whose aarch64 wheels are asked for)."""
GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34, 35, 36)
"""Bookworm has glibc 2.36; pip wants every platform tag by its exact number."""


def freeze(extra: str, more: list[str]) -> str:
    """Install the project with an extra in a new environment and return `name==version` lines."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", f"{PROJECT}[{extra}]", *more], check=True)
        listed = subprocess.run([*pip, "freeze", "--exclude", "edge-pose"], check=True, capture_output=True, text=True)
    # The same TensorFlow has another name on 64-bit ARM.
    return re.sub(r"^tensorflow_cpu==(.*)$", r"tensorflow==\1\ntensorflow_cpu==\1", listed.stdout, flags=re.MULTILINE)


def check_aarch64(lock: Path, python: str) -> None:
    """Fail unless every package of a device has a wheel for 64-bit ARM."""
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in GLIBC_MINORS]
    pyproject = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    needs = re.search(r"^dependencies = \[(.*?)^\]", pyproject, re.MULTILINE | re.DOTALL)
    assert needs is not None
    names = [name.split(";")[0].strip() for name in re.findall(r'"([^"]+)"', needs[1])]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "-d", folder]
        command += ["--only-binary=:all:", f"--python-version={python}", *platforms, "--platform=manylinux2014_aarch64"]
        subprocess.run([*command, "-c", str(lock), *names, "amqtt", "pygame-ce"], check=True)
        print(f"{lock.name}: {len(list(Path(folder).iterdir()))} wheels for aarch64, Python {python}")


def main() -> None:
    """Write and check all locks."""
    FOLDER.mkdir(exist_ok=True)
    for name, (extra, more, pythons) in LOCKS.items():
        path = FOLDER / name
        path.write_text(f"# Written by tools/repository/lock.py; see there.\n{freeze(extra, more)}", encoding="utf-8")
        for python in pythons:
            check_aarch64(path, python)


if __name__ == "__main__":
    main()
