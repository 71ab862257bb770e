"""Writes the lock files: exact versions that are tested together.

    python -m tools.repository.lock [--upgrade]

    default.txt      Python 3.11 and later: Raspberry Pi OS Trixie
    bookworm.txt     Python 3.11 with NumPy 1: Raspberry Pi OS Bookworm, whose picamera2 is built on it
    workstation.txt  with TensorFlow and PyTorch, for converting and training models

`uv pip compile` resolves them for x86-64 and 64-bit ARM at once and installs nothing. A version that is locked stays
unless something new needs another one; --upgrade takes the newest of all. No hashes: piwheels.org, which Raspberry Pi
OS asks too, builds its own wheels of the same versions. Every package of a device must have a wheel for 64-bit ARM.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UnavailableError
from tools.command_line import Parser, run

FOLDER = Path(__file__).parents[1] / "locks"
PROJECT = FOLDER.parents[1]
OLDEST_PYTHON = "3.11"
ARM = "aarch64-manylinux_2_36"
"""Bookworm has glibc 2.36."""
HEADER = "# Written by tools/repository/lock.py; see there.\n"


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file.

    Attributes:
        name: of the file.
        extras: of the project.
        constraints: versions that it must not leave.
        python: the only one it is for; None: OLDEST_PYTHON and later.
        device_pythons: Python versions of devices that are installed by it.
    """

    name: str
    extras: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    python: str | None = None
    device_pythons: tuple[str, ...] = ()


LOCKS = (
    Lock("default.txt", ("dev",), device_pythons=("3.11", "3.13")),
    Lock("bookworm.txt", ("dev",), ("numpy<2", "opencv-python-headless<4.12"), "3.11", ("3.11",)),
    Lock("workstation.txt", ("workstation", "train"), (f"-c {FOLDER / 'default.txt'}",)),
)
DEVICE_EXTRAS = ("demo", "display")


def main() -> None:
    """Write and check all lock files. Raises UnavailableError."""
    parser = Parser("repository.lock", __doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args()
    for lock in LOCKS:
        write(lock, upgrade=options.upgrade)
        for python in lock.device_pythons:
            print(f"{lock.name}: {count_arm_wheels(lock, python)} wheels for 64-bit ARM, Python {python}")


def write(lock: Lock, *, upgrade: bool = False) -> None:
    """Write a lock file, keeping its versions where possible. Raises UnavailableError."""
    path = FOLDER / lock.name
    with tempfile.TemporaryDirectory(prefix="lock_") as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(lock.constraints), encoding="utf-8")
        words = ["--python-version", lock.python or OLDEST_PYTHON, *([] if lock.python else ["--universal"])]
        words += ["--constraints", str(constraints), "--output-file", str(path), *["--upgrade"][:upgrade]]
        _compile(lock.extras, words)
    path.write_text(HEADER + _pins(path.read_text(encoding="utf-8").splitlines()), encoding="utf-8")


def _pins(lines: Sequence[str]) -> str:
    """Return a lock's pins, with markers only between several versions.

    Pins install nothing, so a single version needs none.
    """
    versions = Counter(line.split("==")[0] for line in lines)
    return "".join(f"{line if versions[line.split('==')[0]] > 1 else line.split(' ;')[0]}\n" for line in lines)


def count_arm_wheels(lock: Lock, python: str) -> int:
    """Return how many packages a device installs. Raises UnavailableError.

    Each must have a wheel.
    """
    words = ["--python-platform", ARM, "--python-version", python, "--only-binary", ":all:"]
    words += ["--constraints", str(FOLDER / lock.name)]
    return len(_compile(DEVICE_EXTRAS, words).splitlines())


def _compile(extras: Sequence[str], words: Sequence[str]) -> str:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["pyproject.toml", *(word for extra in extras for word in ("--extra", extra))]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, cwd=PROJECT)
    if done.returncode:
        raise UnavailableError(f"uv cannot resolve the requirements: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    run("lock", main)
