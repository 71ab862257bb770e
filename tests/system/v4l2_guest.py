"""Runs in the virtual machine: the daemon on a camera of the kernel's test driver vivid, which is plugged in and out.

Writes what was seen to report.json; `test_v4l2_in_vm.py` on the host judges it.

    python v4l2_guest.py OUT PROJECT MODEL
"""

import json
import os
import queue
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.camera.v4l2.device import device
from edge.camera.v4l2.open import open_node
from edge.errors import CameraLostError

OUT, PROJECT, MODEL = (Path(word) for word in sys.argv[1:4])
DRIVER = Path("/sys/bus/platform/drivers/vivid")
BY_PATH = "/dev/v4l/by-path/platform-vivid.0-video-index0"
WEBCAM, TV = "0", "1"
QUERYCTRL, S_CTRL, NEXT_CONTROL = 0xC0445624, 0xC008561C, 0x8000_0000
CYCLES = 20
PATIENCE_S = 60.0


class Daemon:
    """`edge-pose run` on a camera; its messages and log lines with the time at which they came."""

    def __init__(self, camera: str, *more: str) -> None:
        words = [sys.executable, "-m", "edge", "run", "--camera", camera, "--model", str(MODEL), "--jsonl", "-", *more]
        self.process = subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.messages: queue.SimpleQueue[tuple[float, dict[str, Any]]] = queue.SimpleQueue()
        self.seen: list[dict[str, Any]] = []
        self.lines: list[str] = []
        for work in (self._hear, self._read_log):
            threading.Thread(target=work, daemon=True).start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.messages.put((time.monotonic(), json.loads(line)))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            sys.stdout.write(f"{time.monotonic():8.2f} {self.process.pid} {line}")
            sys.stdout.flush()

    def next_after(self, time_s: float) -> tuple[float, dict[str, Any]]:
        """Return the first message that came, and whose picture was taken, after a time."""
        while True:
            at_s, message = self.messages.get(timeout=PATIENCE_S)
            self.seen.append(message)
            if at_s - message["age_ms"] / 1e3 > time_s:
                return at_s, message

    def find_line(self, pattern: str, after: int = 0) -> str | None:
        return next((line for line in self.lines[after:] if re.search(pattern, line)), None)

    def wait_for_line(self, pattern: str, after: int = 0) -> str:
        wait_until(lambda: self.find_line(pattern, after) is not None)
        return self.find_line(pattern, after) or ""

    def holds_a_camera(self) -> bool:
        folder = Path(f"/proc/{self.process.pid}/fd")
        return any(_target(fd).startswith("/dev/video") for fd in folder.iterdir())

    def footprint(self) -> dict[str, int]:
        process = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return {
            "fds": len(list((process / "fd").iterdir())),
            "threads": int(status["Threads"]),
            "rss_kb": int(status["VmRSS"].split()[0]),
        }

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed in the meantime
        return ""


def wait_until(holds: Callable[[], bool]) -> None:
    """Look a hundred times a second: sysfs and log lines tell nobody."""
    deadline_s, never = time.monotonic() + PATIENCE_S, threading.Event()
    while not holds():
        if time.monotonic() > deadline_s:
            raise TimeoutError
        never.wait(0.01)


def insert(input_type: str) -> None:
    """Load the camera's driver: a webcam of many sizes, or a TV card of one; either with an output node, too."""
    names = Path("/run/modules/order").read_text().split()
    options = ["n_devs=1", "num_inputs=1", f"input_types={input_type}", "node_types=0x101", "ccs_cap_mode=0"]
    for name in names[:-1]:
        subprocess.run(["insmod", f"/run/modules/{name}"], stderr=subprocess.DEVNULL, check=False)  # most are there
    subprocess.run(["insmod", f"/run/modules/{names[-1]}", *options], check=True)


def plug(*, is_in: bool) -> float:
    """Return the time at which the kernel is done with it."""
    (DRIVER / ("bind" if is_in else "unbind")).write_text("vivid.0")
    return time.monotonic()


def refusal(path: str, *, user: int = 0) -> str:
    """Return why a user cannot open a camera, as another process than the daemon."""
    os.seteuid(user)
    try:
        open_node(path, (640, 360), 30, prefer_compressed=False)
    except CameraLostError as error:
        return str(error)
    finally:
        os.seteuid(0)
    return "opened"


def control(name: str, value: int) -> None:
    """Set one of the driver's own controls, by its name."""
    asked, found = struct.Struct("II32s4iI8x"), ""
    with device(os.path.realpath(BY_PATH)) as call:
        identity = 0
        while found != name:  # ends with an error after the last one
            buffer = bytearray(asked.pack(identity | NEXT_CONTROL, 0, b"", 0, 0, 0, 0, 0))
            call(QUERYCTRL, buffer)
            identity, _, text, *_ = asked.unpack(buffer)
            found = text.split(b"\0")[0].decode()
        call(S_CTRL, bytearray(struct.pack("Ii", identity, value)))


def troubles(daemon: Daemon) -> dict[str, Any]:
    """Let the driver give nothing, then one and the same picture; each time it recovers."""
    facts = {}
    for key, name, bad, line in (
        ("stall", "Percentage of Dropped Buffers", 100, "gave no picture"),
        ("freeze", "OSD Text Mode", 2, "is frozen"),
    ):
        control(name, bad)
        facts[key] = daemon.wait_for_line(line)
        if key == "freeze":
            daemon.wait_for_line("still shows the same picture")
        control(name, 0)
        daemon.next_after(time.monotonic())
    return facts


def cycles(daemon: Daemon) -> dict[str, Any]:
    """Unplug and plug in again and again; every other time before the daemon can have let go of the device."""
    seconds, footprints = [], []
    for number in range(CYCLES):
        plug(is_in=False)
        if number % 2:
            wait_until(lambda: not daemon.holds_a_camera())
        plugged_s = plug(is_in=True)
        at_s, _ = daemon.next_after(plugged_s)
        seconds.append(round(at_s - plugged_s, 3))
        footprints.append(daemon.footprint())
    return {"seconds": seconds, "footprints": footprints}


def rivals(first: Daemon) -> dict[str, Any]:
    """Start a second daemon on the camera of the first; it gets the camera once the first has ended."""
    second = Daemon(BY_PATH)
    told = second.wait_for_line("is busy")
    first.next_after(time.monotonic())
    code = first.stop()
    second.next_after(time.monotonic())
    return {"told": told, "first": first.process.pid, "stop_codes": [code, second.stop()]}


def live() -> dict[str, Any]:
    """Let a daemon run from before its camera is there until after it has become another one."""
    daemon = Daemon(BY_PATH, "--set", "camera.fps=10")
    absent = Daemon("/dev/v4l/by-id/usb-Acme_Cam_7-video-index0")
    facts: dict[str, Any] = {}
    for each in (daemon, absent):
        each.wait_for_line("is not there")
    facts["absent_before"] = absent.footprint()
    insert(WEBCAM)
    for _ in range(20):
        daemon.next_after(0)
    facts["steady"] = list(daemon.seen)
    facts["negotiated"] = daemon.wait_for_line("asked for")
    facts["busy"], facts["pid"] = refusal(BY_PATH), daemon.process.pid
    facts["output_node"] = refusal("/dev/video1")
    facts["group"] = refusal(BY_PATH, user=65534)
    facts["troubles"] = troubles(daemon)
    facts["cycles"] = cycles(daemon)
    daemon.next_after(time.monotonic())
    plug(is_in=False)
    wait_until(lambda: subprocess.run(["rmmod", "vivid"], stderr=subprocess.DEVNULL, check=False).returncode == 0)
    inserted_s = time.monotonic()
    insert(TV)
    facts["other_size"] = daemon.next_after(inserted_s)[1]["size"]
    facts["absent_after"], facts["absent_log"] = absent.footprint(), absent.lines
    facts["absent_alive"] = absent.process.poll() is None
    facts["rivals"] = rivals(daemon)
    facts["stop_codes"] = [*facts["rivals"]["stop_codes"], absent.stop()]
    facts["log"], facts["messages"] = daemon.lines, daemon.seen
    return facts


if __name__ == "__main__":
    (OUT / "report.json").write_text(json.dumps(live()))
