"""What systemd/install.sh says of the model: only what the service will do."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from http_server import FaultyServer, file, serving

INSTALL = Path(__file__).parent.parent / "systemd" / "install.sh"
CONTENT = b"TFL3" + bytes(range(251))
CLOSED = "http://127.0.0.1:9"  # the port of `discard`: nobody listens
MANIFEST = f"""
default = "own"
[own]
file = "own.tflite"
sha256 = "{hashlib.sha256(CONTENT).hexdigest()}"
kind = "multipose"
licence = "MIT"
"""
LATER = "starter, which comes with the program, until the service can fetch the default: "
TRYING = "not here yet, and no other takes its place, so the service goes on trying: "
NOT_STARTING = "the service does not start until this is mended: "


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with the program installed, as far as the step of the model looks at it."""

    folder: Path

    def fetch_model(self, mirror: str, config: str = "") -> tuple[str, bool]:
        """Run that step; return its line, and whether the service is started and waited for after it."""
        path = self.folder / "edge-pose.toml"
        path.write_text(config)
        script = (
            f"source {INSTALL}; new={self.folder} mirror={mirror}; fetch_model {path}; new=; echo ${{has_model:-no}}"
        )
        env = os.environ | {
            "PATH": f"{self.folder}/sbin:{os.environ['PATH']}",
            "EDGE_POSE_CACHE": f"{self.folder}/cache",
            "EDGE_POSE_MODEL_MIRROR": "",
        }
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=True)
        assert done.stderr == ""
        line, has_model = done.stdout.splitlines()
        return line.removeprefix("model: "), has_model == "yes"


def program(path: Path, *lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    program(tmp_path / "bin" / "python", f'exec {sys.executable} "$@"')
    program(tmp_path / "bin" / "edge-pose", f'exec {sys.executable} -m edge "$@"')
    program(tmp_path / "sbin" / "id", "echo 1000")  # whoever runs the tests: nothing is ever installed here
    program(tmp_path / "sbin" / "runuser", "shift 3", 'exec "$@"')  # there is no user edge-pose to become
    return Machine(tmp_path)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as server:
        server.on("/own.tflite", file(CONTENT))
        server.on("/models.toml", file(MANIFEST.encode()))
        yield server


def test_a_model_that_was_fetched_is_named_with_its_file(machine: Machine, server: FaultyServer) -> None:
    assert machine.fetch_model(server.url) == (f"own: fetched ({machine.folder}/cache/own.tflite)", True)


def test_the_starter_is_promised_where_the_default_cannot_be_had_yet(machine: Machine, server: FaultyServer) -> None:
    line, is_waited_for = machine.fetch_model(CLOSED)
    assert line.startswith(f"{LATER}edge-pose: {CLOSED}/models.toml: connection refused")
    assert not is_waited_for
    server.on("/models.toml", file(b"<html>Log in"))
    line, is_waited_for = machine.fetch_model(server.url)
    assert line.startswith(LATER)
    assert line.endswith("looks like a web page (a login page of the network?)")
    assert not is_waited_for


@pytest.mark.parametrize("key", ['name = "movenet-lightning-heads-int8"', 'delegate = "edgetpu"'])
def test_the_starter_is_not_promised_where_nothing_may_take_a_models_place(machine: Machine, key: str) -> None:
    line, is_waited_for = machine.fetch_model(CLOSED, f"[model]\n{key}\n")
    assert line.startswith(f"{TRYING}edge-pose: {CLOSED}/models.toml: connection refused")
    assert not is_waited_for


@pytest.mark.parametrize("key", ["", 'name = "own"', 'delegate = "edgetpu"'])
def test_a_manifest_with_mistakes_is_told_as_what_keeps_the_service_from_starting(
    machine: Machine, server: FaultyServer, key: str
) -> None:
    server.on("/models.toml", file(MANIFEST.replace("sha256", "sha265").encode()))
    line, is_waited_for = machine.fetch_model(server.url, f"[model]\n{key}\n")
    assert line.startswith(f"{NOT_STARTING}edge-pose: {server.url}/models.toml: own")
    assert is_waited_for


def test_a_config_with_mistakes_is_told_with_what_finds_them(machine: Machine) -> None:
    line, is_waited_for = machine.fetch_model(CLOSED, "[model]\ncolour = 3\n")
    assert line == f"the config has mistakes; see: edge-pose config check {machine.folder}/edge-pose.toml"
    assert is_waited_for


@pytest.mark.parametrize(
    ("key", "line"), [('name = "starter"', "starter"), ('file = "/srv/my own.tflite"', "/srv/my own.tflite")]
)
def test_a_model_that_needs_no_fetching_needs_no_mirror(machine: Machine, key: str, line: str) -> None:
    assert machine.fetch_model(CLOSED, f"[model]\n{key}\n") == (line, True)
