"""The page on security: its commands, configurations and access list, run as they stand there."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from brokers import Mosquitto, eventually, needs_mosquitto
from certificates import needs_openssl
from command import start
from tiny_models import echo_model
from videos import write_video

PAGE = Path(__file__).parent.parent / "docs/security.md"
PASSWORDS = {"hall": "over the hills", "reader": "far away"}

pytestmark = [needs_mosquitto, needs_openssl]


class Section:
    """The blocks of one section, for a broker on this machine, and below a folder instead of `/etc`."""

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
        self._blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)

    def blocks(self, kind: str, port: int = 8883) -> list[str]:
        """Return the blocks of one kind with what differs on this machine: names of hosts, folders, users, the port."""
        swaps = {
            "/etc/": f"{self.folder}/etc/",
            "broker.local:8883": f"localhost:{port}",
            "broker.local -p 8883": f"localhost -p {port}",
            "listener 8883": f"listener {port}",
            "listener 1883": f"listener {port}",
            'broker.local"': f'localhost:{port}"',
            "broker.local --": f"localhost:{port} --",
            "broker.local": "localhost",
            "sudo ": "",
            " -g mosquitto": "",
            "chgrp mosquitto": "chgrp 0",
            "edge-pose watch": f"{sys.executable} -m edge watch",
        }
        found = [text for named, text in self._blocks if named == kind]
        for old, new in swaps.items():
            found = [text.replace(old, new) for text in found]
        return found

    def shell(self, script: str, *, answers: str = "") -> None:
        subprocess.run(
            ["sh", "-e", "-c", script], cwd=self.folder, check=True, capture_output=True, text=True, input=answers
        )

    def start(self, broker: Mosquitto) -> Mosquitto:
        """Start a broker with the section's configuration."""
        (text,) = self.blocks("mosquitto", broker.port)
        listener, *config = text.splitlines()
        assert listener == f"listener {broker.port}"
        broker.config = tuple(config)
        return broker.start()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Something to publish, the broker's folders, and the page's access list."""
    write_video(tmp_path / "v.mp4")
    echo_model(tmp_path / "tiny.tflite", height=64, width=96)
    (tmp_path / "etc/mosquitto/certs").mkdir(parents=True)
    (tmp_path / "etc/edge-pose").mkdir()
    (access,) = Section(tmp_path, "A password").blocks("acl")
    (tmp_path / "etc/mosquitto/edge-pose.acl").write_text(access)
    return tmp_path


@pytest.fixture
def section(folder: Path) -> Section:
    """The section on certificates, followed until the broker starts."""
    section = Section(folder, "Certificates")
    for script in section.blocks("sh")[:3]:
        section.shell(script)
    return section


@pytest.fixture
def broker(section: Section) -> Iterator[Mosquitto]:
    broker = section.start(Mosquitto(section.folder))
    yield broker
    broker.kill()


@pytest.fixture
def password_section(folder: Path) -> Section:
    """The section on passwords, followed until the broker starts."""
    section = Section(folder, "A password")
    make_passwords(section)
    return section


def make_passwords(section: Section) -> None:
    """Run the block that makes the broker's passwords, a line at a time: each asks for a password twice."""
    for line in section.blocks("sh")[0].splitlines():
        user = next((user for user in PASSWORDS if line.endswith(user)), None)
        section.shell(line, answers=f"{PASSWORDS[user]}\n" * 2 if user else "")


@pytest.fixture
def password_broker(password_section: Section) -> Iterator[Mosquitto]:
    broker = password_section.start(Mosquitto(password_section.folder))
    yield broker
    broker.kill()


def collect(lines: Iterable[str], log: list[str]) -> None:
    for line in lines:
        log.append(line.rstrip("\n"))  # noqa: PERF401 - each as it comes


@contextmanager
def agent(section: Section, port: int, *more: str, env: Mapping[str, str] | None = None) -> Iterator[list[str]]:
    """Run the agent with the section's config; the lines of its log appear in the list."""
    (text,) = section.blocks("toml", port)
    config = section.folder / "etc/edge-pose/edge-pose.toml"
    config.write_text(text)
    source = ("--camera", section.folder / "v.mp4", "--loop", "--model", section.folder / "tiny.tflite")
    process = start("run", "--config", config, *source, *more, env=env)
    log: list[str] = []
    reading = threading.Thread(target=collect, args=(process.stderr, log))
    reading.start()
    try:
        yield log
    finally:
        process.terminate()
        reading.join(20)
        process.communicate(timeout=20)


def read_along(section: Section, port: int) -> str:
    """Return the first line that the section's last command prints."""
    (script,) = section.blocks("sh", port)[3:]
    done = subprocess.run(
        ["sh", "-c", f"{script.strip()} -C 1 -W 20"], cwd=section.folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_a_device_publishes_and_a_reader_reads_as_described(section: Section, broker: Mosquitto) -> None:
    with agent(section, broker.port) as log:
        line = read_along(section, broker.port)
    assert line.startswith('edge-pose/hall/people {"v":1,"device":"hall"')
    assert f"broker localhost:{broker.port} connected" in log
    assert not [line for line in log if "can be read by" in line or "retry" in line or "does not let" in line]


def test_a_device_cannot_write_in_anothers_name(section: Section, broker: Mosquitto) -> None:
    told = f"broker localhost:{broker.port} does not let this agent publish edge-pose/yard/people"
    with agent(section, broker.port) as hall, agent(section, broker.port, "--set", "device.name=yard") as yard:
        line = read_along(section, broker.port)
        eventually(lambda: any(line.startswith(told) for line in list(yard)))
    assert line.startswith("edge-pose/hall/people")
    assert not any("does not let" in line for line in hall)


def test_passwords_over_tls_in_place_of_client_certificates(section: Section, broker: Mosquitto) -> None:
    broker.kill()
    make_passwords(Section(section.folder, "A password"))
    certificates = ("require_certificate true", "use_identity_as_username true")
    passwords = f"password_file {section.folder}/etc/mosquitto/passwords"
    broker.config = (*(line for line in broker.config if line not in certificates), passwords)
    broker.start()
    words = ("--set", "mqtt.username=hall", "--set", "mqtt.cert_file=", "--set", "mqtt.key_file=")
    with agent(section, broker.port, *words, env=credential(section.folder)) as log:
        account = ("-u", "reader", "-P", PASSWORDS["reader"])
        where = ("-h", "localhost", "-p", str(broker.port), "--cafile", "ca.crt")
        done = subprocess.run(
            ["mosquitto_sub", *where, *account, "-t", "edge-pose/+/people", "-C", "1", "-W", "20"],
            cwd=section.folder,
            check=True,
            capture_output=True,
            text=True,
        )
    assert '"device":"hall"' in done.stdout
    assert PASSWORDS["hall"] not in " ".join(log)


def credential(folder: Path) -> dict[str, str]:
    """Hand over the service's password as systemd does."""
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "mqtt-password").write_text(f"{PASSWORDS['hall']}\n")
    return {"CREDENTIALS_DIRECTORY": str(credentials)}


def watch(section: Section, port: int) -> str:
    """Return what the section's last command shows."""
    script = section.blocks("sh", port)[-1].strip()
    done = subprocess.run(
        ["sh", "-e", "-c", f"{script} --once"], cwd=section.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_device_and_a_reader_log_in_with_their_passwords(
    password_section: Section, password_broker: Mosquitto
) -> None:
    service = password_section.blocks("sh")[1].splitlines()[0]
    password_section.shell(service)
    handed_over = {"CREDENTIALS_DIRECTORY": str(password_section.folder / "etc/edge-pose")}
    with agent(password_section, password_broker.port, env=handed_over) as log:
        eventually(lambda: "hall online" in watch(password_section, password_broker.port))
    assert f"broker localhost:{password_broker.port} connected" in log
    assert PASSWORDS["hall"] not in " ".join(log)


def test_a_device_with_a_wrong_password_or_anothers_name_is_refused(
    password_section: Section, password_broker: Mosquitto
) -> None:
    file = password_section.folder / "wrong"
    file.write_text("far and away\n")
    file.chmod(0o600)
    refusal = f"broker localhost:{password_broker.port} refuses the login"
    with agent(password_section, password_broker.port, "--set", f"mqtt.password_file={file}") as log:
        eventually(lambda: any(line.startswith(refusal) for line in list(log)))
    forbidden = f"broker localhost:{password_broker.port} does not let this agent publish edge-pose/yard/people"
    env = credential(password_section.folder)
    with agent(password_section, password_broker.port, "--set", "device.name=yard", env=env) as log:
        eventually(lambda: any(line.startswith(forbidden) for line in list(log)))
