"""A Debian 13 with libcamera's virtual cameras, PyPI's picamera2 and this project; it needs no camera and no boot."""

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packages import require

__all__ = ["CAMERAS", "FRAMES", "command", "system"]

PROJECT = Path(__file__).parent.parent.parent
SHIM = Path(__file__).parent / "pi_shim.c"
DEBIAN = ("python3", "python3-libcamera")
PICAMERA2 = ("picamera2==0.3.38", "piexif==1.1.3", "pillow", "simplejpeg", "videodev2", "av")
"""With what it imports; what is for screens and raw photographs is left out, see `pi_guest.py`."""
OURS = ("numpy", "opencv-python-headless", "paho-mqtt", "ai-edge-litert", "msgspec", "flatbuffers", "backports.strenum")
TESTS = ("pytest", "iniconfig", "pluggy", "packaging", "pygments")
LOCK = PROJECT / "tools" / "locks" / "default.txt"
GLIBC = range(17, 42)
"""Versions 2.x that wheels may be built for; Debian 13 has 2.41."""
FRAMES = "/srv/frames"
CAMERAS = f"""\
%YAML 1.1
---
"Virtual1":
  supported_formats:
  - {{width: 640, height: 480, frame_rates: [30]}}
  test_pattern: "bars"
  location: CameraLocationFront
  model: "Bars"
"Virtual0":
  supported_formats:
  - {{width: 1280, height: 720, frame_rates: [30]}}
  frames: {{path: "{FRAMES}/"}}
  location: CameraLocationFront
  model: "Frames"
"""
"""picamera2 lists cameras by falling id: the first is `pi`, the second `pi:1`."""


def system() -> Path:
    """Return the root of the system, built once and kept in the system's temporary folder; the project is put anew."""
    require("mmdebstrap", "gcc", "libc6-dev")
    recipe = repr((DEBIAN, PICAMERA2, OURS, TESTS, SHIM.read_text(), LOCK.read_text()))
    root = Path(tempfile.gettempdir(), f"edge-pose-libcamera-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}")
    if not root.exists():
        with tempfile.TemporaryDirectory(prefix="edge-pose-root-") as folder:
            made = Path(folder, "root")
            _build(made)
            made.replace(root)
    _put_project(root)
    return root


def command(root: Path, words: Sequence[str], folders: dict[str, Path]) -> list[str]:
    """Return a command for this machine that runs one in the system and dies with its whole family.

    Args:
        root: the system.
        words: the command inside.
        folders: shown inside, read-only: path inside -> folder here.
    """
    mounts = [f"mount -t proc proc {root}/proc"]
    for inside, here in folders.items():
        Path(f"{root}{inside}").mkdir(parents=True, exist_ok=True)
        mounts.append(f"mount --bind -o ro {here} {root}{inside}")
    inside_words = [
        "env", "-i", "PATH=/usr/bin", "HOME=/root", "PYTHONPATH=/opt/tests:/opt/edge:/opt/site",
        "PYTHONDONTWRITEBYTECODE=1", "LD_PRELOAD=/opt/shim.so", "EDGE_POSE_MODEL_MIRROR=/mnt/models", *words,
    ]  # fmt: skip
    script = " && ".join([*mounts, f'exec chroot {root} "$@"'])
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", *inside_words]


def _build(root: Path) -> None:
    trimmed = ["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"]
    include = f"--include={','.join(DEBIAN)}"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", *trimmed, include, "trixie", root], check=True)
    _install(root / "opt" / "site")
    library = root / "opt" / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SHIM, "-ldl"], check=True)
    cameras = root / "usr" / "share" / "libcamera" / "pipeline" / "virtual" / "virtual.yaml"
    cameras.parent.mkdir(parents=True, exist_ok=True)
    cameras.write_text(CAMERAS)


def _install(site: Path) -> None:
    """Fetch wheels for the other system's Python."""
    machine = platform.machine()
    tags = [word for minor in GLIBC for word in ("--platform", f"manylinux_2_{minor}_{machine}")]
    tags += ["--platform", f"manylinux2014_{machine}", "--python-version", "3.13", "--implementation", "cp"]
    names = [*PICAMERA2, *OURS, *TESTS]
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--constraint", str(LOCK), "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *tags, *names], check=True)


def _put_project(root: Path) -> None:
    tests, project = root / "opt" / "tests", root / "opt" / "edge"
    for folder in (tests, project):
        shutil.rmtree(folder, ignore_errors=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(project), str(PROJECT)]
    subprocess.run(install, check=True)
    tests.mkdir()
    for name in ("tests/live_contract.py", "tests/system/pi_guest.py", "tests/system/pi_checks.py"):
        shutil.copy(PROJECT / name, tests)
