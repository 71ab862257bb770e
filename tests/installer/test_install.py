"""What systemd/install.sh says of the model: only what the service will do."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from http_server import FaultyServer, file, serving

INSTALL = Path(__file__).resolve().parents[2] / "systemd" / "install.sh"
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
        done = self.bash("-c", script)
        assert (done.returncode, done.stderr) == (0, "")
        line, has_model = done.stdout.splitlines()
        return line.removeprefix("model: "), has_model == "yes"

    def bash(self, *words: str, stdin: str = "", path: str = "") -> "subprocess.CompletedProcess[str]":
        """Run bash in the machine's folder; `path` is looked through for programs too."""
        env = os.environ | {
            "PATH": f"{self.folder}/sbin:{path or '/nonexistent'}:{os.environ['PATH']}",
            "EDGE_POSE_CACHE": f"{self.folder}/cache",
            "EDGE_POSE_MODEL_MIRROR": "",
        }
        command = ["bash", *words]
        return subprocess.run(
            command, capture_output=True, text=True, env=env, check=False, cwd=self.folder, input=stdin
        )


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


def test_a_default_that_no_network_brings_is_still_tried_for(machine: Machine, server: FaultyServer) -> None:
    server.on("/own.tflite", file(CONTENT[::-1]))
    line, is_waited_for = machine.fetch_model(server.url)
    assert line.startswith(LATER)
    assert not is_waited_for


@pytest.mark.parametrize(
    "words",
    [("-c", str(INSTALL)), (str(INSTALL),), ("install.sh",), ("link.sh",), ("-c", "./link.sh"), ("-c", "install.sh")],
    ids=["itself", "bash", "bash by PATH", "bash by a link", "a link", "by PATH"],
)
def test_it_runs_however_it_is_started(machine: Machine, words: tuple[str, ...]) -> None:
    (machine.folder / "link.sh").symlink_to(INSTALL)
    done = machine.bash(*words, path=str(INSTALL.parent))
    assert (done.returncode, done.stderr) == (69, f"install.sh: needs root: sudo {INSTALL}\n")


def test_the_variables_of_the_service_are_read_as_systemd_reads_them(machine: Machine) -> None:
    text = """
# a comment
https_proxy=http://proxy.example:3128
 npm_config_registry = no
npm_config_registry="http://registry.example/a b"
TOKEN='a=b "c"'\t
; EMPTY=no
EMPTY=
last=x y"""
    (machine.folder / "environment").write_text(text)
    done = machine.bash("-c", f"source {INSTALL}; service_variables {machine.folder}/environment | tr '\\0' '\\n'")
    assert done.stdout.splitlines() == [
        "https_proxy=http://proxy.example:3128",
        "npm_config_registry=http://registry.example/a b",
        'TOKEN=a=b "c"',
        "EMPTY=",
        "last=x y",
    ]


def test_a_machine_that_was_never_told_of_a_mirror_has_none(machine: Machine) -> None:
    assert not Path("/etc/edge-pose").exists(), "this test needs a machine without edge-pose"
    done = machine.bash("-c", f'source {INSTALL}; choose_mirror; echo "mirror: $mirror."')
    assert (done.returncode, done.stdout, done.stderr) == (0, "mirror: .\n", "")


TRAP = 'trap \'unexpected "$LINENO" "$BASH_COMMAND"\' ERR'


def test_the_installer_has_one_line_for_what_it_does_not_expect() -> None:
    for script in (INSTALL, INSTALL.with_name("uninstall.sh")):
        text = script.read_text()
        assert TRAP in text
        assert "set -Eeuo pipefail" in text


@pytest.mark.parametrize("failing", ["false", "x=$(false)", "x=$(false | cat)", "in_function"])
def test_what_nobody_expected_ends_with_one_line_and_its_own_code(machine: Machine, failing: str) -> None:
    function = "in_function() { x=$(cat /nonexistent 2>/dev/null | tail -n 1); }"
    script = f"source {INSTALL}; {TRAP}; {function}; {failing}; echo on"
    done = machine.bash("-c", script)
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.startswith("install.sh: line ")
    assert "a bug of this script" in done.stderr
    assert done.stderr.count("\n") == 1


def test_too_little_room_is_told_before_anything_is_done(machine: Machine) -> None:
    program(machine.folder / "sbin" / "df", "echo Avail; echo 12")
    done = machine.bash("-c", f"source {INSTALL}; check_disk; echo on")
    assert (done.returncode, done.stdout) == (69, "")
    assert re.fullmatch(r"install\.sh: needs \d+ MB in /opt\S*, 12 MB are free: make room there\n", done.stderr)


@pytest.mark.parametrize("is_pi", [True, False])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("venv", [True, False])
def test_the_pi_camera_library_is_installed_where_apt_has_it_and_missed_in_one_line(
    machine: Machine, is_pi: bool, known: bool, venv: bool
) -> None:
    issue = machine.folder / "rpi-issue"
    if is_pi:
        issue.touch()
    asked = machine.folder / "asked"
    asked.touch()
    program(machine.folder / "sbin" / "apt-get", f'echo "$@" >>{asked}')
    program(machine.folder / "sbin" / "apt-cache", f"echo 'Candidate: {'0.3' if known else '(none)'}'")
    program(
        machine.folder / "sbin" / "dpkg-query",
        'case "$3" in',
        f"python3-venv) {'printf installed' if venv else 'exit 1'} ;;",
        f"*) grep -q 'install .*picamera2' {asked} && printf installed ;;",
        "esac",
    )
    script = machine.folder / "install.sh"
    script.write_text(INSTALL.read_text().replace("/etc/rpi-issue", str(issue)))
    done = machine.bash("-c", f"source {script}; install_packages")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("python3-picamera2" in asked.read_text()) == known
    assert ("python3-venv" in asked.read_text()) == (not venv)
    assert ("no Pi camera, but USB cameras" in done.stdout) == (not known)


def test_read_by_another_script_it_does_nothing(machine: Machine) -> None:
    (machine.folder / "other.sh").write_text(f"read_it() {{ source {INSTALL}; }}\nread_it\ntype -t fail")
    done = machine.bash("other.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "function\n", "")


def test_without_its_repository_it_says_that_it_needs_it(machine: Machine) -> None:
    done = machine.bash(stdin=INSTALL.read_text())
    assert done.returncode == 66
    assert done.stderr == (
        "install.sh: needs the repository that it stands in: run it there, sudo systemd/install.sh\n"
    )
