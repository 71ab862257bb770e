"""The whole agent with a model for the Edge TPU, and the double in its place: what a dashboard sees."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from brokers import ANONYMOUS, Ear, Mosquitto, eventually, needs_mosquitto
from command import environment, run, start
from edgetpu_double import Double, needs_compiler, write_tpu_mirror
from managers import Manager
from videos import write_video

pytestmark = [needs_compiler, needs_mosquitto]

WAIT_S = 60.0
"""For whatever has to happen, on a machine that may have much else to do."""


SOON_AGAIN = """
from edge.cli import entry
from edge.engine.fallback import FallbackEngine, RetryPolicy

defaults = FallbackEngine.__init__.__kwdefaults__
assert defaults["retry_policy"] == RetryPolicy()
defaults["retry_policy"] = RetryPolicy(first_probe_s=1.0, last_probe_s=1.0)
entry()
"""
"""The command, which tries an Edge TPU that is lost every second, not after five, ten, twenty ..."""


class Machine:
    """A mirror with a model for the Edge TPU and its twin, a broker, and the double where libedgetpu would be."""

    def __init__(self, folder: Path) -> None:
        self.double = Double(folder / "lib")
        self.mirror = folder / "mirror"
        self.mirror.mkdir()
        write_tpu_mirror(self.mirror)
        self.video = write_video(folder / "v.mp4", 30)
        self.broker = Mosquitto(folder, ANONYMOUS)

    @property
    def env(self) -> Mapping[str, str | None]:
        return {"EDGE_POSE_MODEL_MIRROR": str(self.mirror), "LD_LIBRARY_PATH": str(self.double.folder)}

    def start(self, *, env: Mapping[str, str | None] | None = None) -> subprocess.Popen[str]:
        return start(*self._words(), env={**self.env, **(env or {})})

    def start_impatient(self) -> subprocess.Popen[str]:
        """Start the command as `SOON_AGAIN` has it."""
        command = [sys.executable, "-c", SOON_AGAIN, *(str(word) for word in self._words())]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(self.env)
        )

    def _words(self) -> list[str | Path]:
        common = ["--mqtt", f"mqtt://127.0.0.1:{self.broker.port}", "--set", "device.name=hall"]
        return [
            "run", "--camera", self.video, "--loop", "--model", "own-edgetpu", *common,
            "--set", "health.interval_s=0.2",
        ]  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    machine.broker.start()
    yield machine
    machine.broker.kill()


def engine_process(command: subprocess.Popen[str]) -> int:
    """Return the process id of the engine, 0 while there is none."""
    for tasks in Path(f"/proc/{command.pid}/task").iterdir():
        for child in (tasks / "children").read_text().split():
            if b"edge.engine.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return 0


def last(ear: Ear, topic: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = ear.of(topic)
    return messages[-1] if messages else {}


def is_on(ear: Ear, engine: str) -> bool:
    return last(ear, "status").get("state") == "online" and last(ear, "health").get("engine") == engine


def stop(command: subprocess.Popen[str]) -> str:
    command.send_signal(signal.SIGTERM)
    _, err = command.communicate(timeout=10)
    assert command.returncode == 0, err
    return err


def test_a_killed_engine_is_a_short_gap(machine: Machine) -> None:
    with Ear(machine.broker.port, "edge-pose/hall/+") as ear:
        command = machine.start()
        eventually(lambda: is_on(ear, "edgetpu"), 20)
        pid = engine_process(command)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: engine_process(command) not in (0, pid), 20)
        count = len(ear.of("pose"))
        eventually(lambda: len(ear.of("pose")) > count + 3 and is_on(ear, "edgetpu"), 20)
        err = stop(command)
        assert "its process was ended by SIGKILL; started again" in err
        assert "the Edge TPU is back" in err
        assert ("degraded", "engine: Edge TPU lost, no poses until it is back") in [
            (message["state"], message["reason"]) for message in ear.of("status")
        ]


def test_an_edge_tpu_that_stays_away_leaves_the_cpu_and_a_reason(machine: Machine) -> None:
    with Ear(machine.broker.port, "edge-pose/hall/+") as ear:
        command = machine.start_impatient()
        eventually(lambda: is_on(ear, "edgetpu"), 20)
        machine.double.tell("refuse")
        os.kill(engine_process(command), signal.SIGKILL)
        eventually(lambda: last(ear, "status")["reason"] == "engine: Edge TPU lost, running on the CPU", 20)
        eventually(lambda: last(ear, "health")["engine"] == "cpu")
        count = len(ear.of("pose"))
        eventually(lambda: len(ear.of("pose")) > count + 5)
        machine.double.tell()
        eventually(lambda: is_on(ear, "edgetpu"), 30)
        err = stop(command)
        assert "the CPU takes over, with model own" in err


def test_an_engine_that_hangs_is_ended_and_poses_come_again(machine: Machine) -> None:
    with Ear(machine.broker.port, "edge-pose/hall/+") as ear:
        command = machine.start()
        eventually(lambda: is_on(ear, "edgetpu"), WAIT_S)
        pid = engine_process(command)
        machine.double.tell("hang")
        eventually(lambda: machine.double.hangs, WAIT_S)
        machine.double.tell()
        eventually(lambda: not Path(f"/proc/{pid}").exists(), WAIT_S)
        count = len(ear.of("pose"))
        eventually(lambda: len(ear.of("pose")) > count + 5 and is_on(ear, "edgetpu"), WAIT_S)
        assert "its process hangs" in stop(command)


def test_an_engine_that_ends_while_the_run_stops_is_not_started_again(machine: Machine, tmp_path: Path) -> None:
    with Manager(str(tmp_path / "notify")) as manager, Ear(machine.broker.port, "edge-pose/hall/+") as ear:
        command = machine.start(env={"NOTIFY_SOCKET": manager.address})
        eventually(lambda: is_on(ear, "edgetpu"), WAIT_S)
        pid = engine_process(command)
        machine.double.tell("hang")
        eventually(lambda: machine.double.hangs, WAIT_S)
        command.terminate()
        eventually(lambda: "STOPPING=1" in manager.lines, WAIT_S)
        os.kill(pid, signal.SIGKILL)
        assert "engine: " not in stop(command)
        eventually(lambda: last(ear, "status")["state"] == "offline")
        assert [message["state"] for message in ear.of("status")][-2:] == ["online", "offline"]


def test_a_run_stops_cleanly_while_its_engine_hangs_and_leaves_no_process(machine: Machine) -> None:
    with Ear(machine.broker.port, "edge-pose/hall/+") as ear:
        command = machine.start()
        eventually(lambda: is_on(ear, "edgetpu"), 20)
        machine.double.tell("hang")
        eventually(lambda: machine.double.hangs)
        pid = engine_process(command)
        stop(command)
        eventually(lambda: not Path(f"/proc/{pid}").exists())
        eventually(lambda: last(ear, "status")["state"] == "offline")


def test_a_run_that_is_killed_takes_its_engine_along(machine: Machine) -> None:
    with Ear(machine.broker.port, "edge-pose/hall/+") as ear:
        command = machine.start()
        eventually(lambda: is_on(ear, "edgetpu"), 20)
        pid = engine_process(command)
        command.kill()
        command.communicate()
        eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_without_a_pace_every_frame_comes_once_although_the_engine_crashes_in_between(
    machine: Machine, tmp_path: Path
) -> None:
    machine.double.tell("abort 12")
    out = tmp_path / "p.jsonl"
    done = run("run", "--camera", machine.video, "--no-pace", "--model", "own-edgetpu", "--jsonl", out, env=machine.env)
    assert done.code == 0, done.err
    assert "ended by SIGABRT" in done.err
    assert len(out.read_text().splitlines()) == 30


def test_a_machine_without_the_library_names_what_to_install_if_the_tpu_is_required(machine: Machine) -> None:
    words = ("run", "--camera", machine.video, "--model", "own-edgetpu", "--jsonl", "-", "--no-pace")
    env = {**machine.env, "LD_LIBRARY_PATH": None}
    done = run(*words, "--set", "model.delegate=edgetpu", env=env)
    assert done.code == 69
    (line,) = done.error_lines()
    assert "no Edge TPU runtime" in line
    assert "install a libedgetpu" in line
    for choice in ("auto", "cpu"):
        done = run(*words, "--set", f"model.delegate={choice}", env=env)
        assert done.code == 0, done.err
        assert len(done.out.splitlines()) == 30
