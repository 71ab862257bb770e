"""The driver `pi` on the real picamera2 and libcamera, whose virtual cameras stand where a Pi has its own."""

import itertools
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import cv2
import pytest

import trixie
from data import MIRROR_VARIABLE, needs_models
from edge.camera.scene import SceneCamera

GUEST = ("python3", "/opt/tests/pi_guest.py")
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def root() -> Path:
    """A system whose second camera shows two of the synthetic people."""
    root = trixie.system()
    frames = root / trixie.FRAMES.strip("/")
    frames.mkdir(exist_ok=True)
    camera = SceneCamera(size=(1280, 720), fps=25.0, paced=False)
    camera.open()
    for number in range(25):
        frame = camera.read()
        assert frame is not None
        cv2.imwrite(str(frames / f"{number}.jpg"), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    camera.close()
    return root


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    mirror = os.environ.get(MIRROR_VARIABLE)
    folders = {"/mnt/models": Path(mirror).resolve()} if mirror else {}
    line = trixie.command(root, [*GUEST, *words], folders)
    return subprocess.run(line, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def poses_of(root: Path, *words: str) -> tuple[list[dict[str, Any]], str]:
    """Run the command with JSON on stdout; return the messages and the log."""
    done = run(root, "edge", "run", "--jsonl", "-", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_the_contract_and_every_check_hold_on_the_real_picamera2(root: Path) -> None:
    done = run(root, "pytest", "-q", "-p", "no:cacheprovider", "/opt/tests/pi_checks.py")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_models
def test_a_run_publishes_what_the_camera_port_sees(root: Path) -> None:
    messages, log = poses_of(root, "--camera", "pi:1", "--max-frames", "12")
    assert 6 < len(messages) <= 12  # a slow reader of stdout loses some
    assert {tuple(message["size"]) for message in messages} == {(1280, 720)}
    assert {message["camera"] for message in messages} == {"pi:1"}
    assert max(len(message["poses"]) for message in messages) >= 1
    assert all(before["seq"] < after["seq"] for before, after in itertools.pairwise(messages))
    assert all(0 < message["age_ms"] < 5000 for message in messages)
    assert "pi:1 (Frames): 1280x720 NV12" in log


@needs_models
def test_options_of_the_camera_reach_it(root: Path) -> None:
    sets = ("camera.rotate=90", "camera.width=320", "camera.height=240", 'camera.controls={AfMode="Continuous"}')
    words = [word for item in sets for word in ("--set", item)]
    messages, log = poses_of(root, "--camera", "pi", "--max-frames", "12", *words)
    assert {tuple(message["size"]) for message in messages} == {(480, 640)}
    assert "asked for 320x240 at 30 fps" in log
    assert "pi (Bars) has no control AfMode; left out" in log
    assert "picamera2" not in log


@needs_models
def test_a_camera_that_is_not_there_is_waited_for(root: Path) -> None:
    line = trixie.command(root, [*GUEST, "edge", "run", "--jsonl", "-", "--camera", "pi:4"], _models())
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = threading.Timer(TIMEOUT_S, process.kill)
        deadline.start()
        assert process.stderr is not None
        told = next((text for text in process.stderr if "pi:4: " in text), "")
        deadline.cancel()
        process.kill()  # `unshare` heeds nothing else while it waits
    assert "pi:4: only 2 cameras are connected: check its cable" in told


def _models() -> dict[str, Path]:
    return {"/mnt/models": Path(os.environ[MIRROR_VARIABLE]).resolve()}
