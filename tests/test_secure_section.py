"""The README's section on security: its commands, configurations and access list, run as they stand there."""

import re
import subprocess
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

README = Path(__file__).parent.parent / "README.md"

pytestmark = [needs_mosquitto, needs_openssl]


class Section:
    """The section's blocks, for a broker on this machine, and below a folder instead of `/etc`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = README.read_text(encoding="utf-8")
        section = text[text.index("\n## Secure it\n") :]
        section = section[: section.index("\n## ", 4)]
        self._blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)

    def blocks(self, kind: str, port: int = 8883) -> list[str]:
        """Return the blocks of one kind with what differs on this machine: names of hosts, folders, users, the port."""
        swaps = {
            "/etc/": f"{self.folder}/etc/",
            "hall.local": "localhost",
            "sudo ": "",
            " -g mosquitto": "",
            "8883": str(port),
        }
        found = [text for named, text in self._blocks if named == kind]
        for old, new in swaps.items():
            found = [text.replace(old, new) for text in found]
        return found

    def shell(self, script: str) -> None:
        subprocess.run(["sh", "-e", "-c", script], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture
def section(tmp_path: Path) -> Section:
    """What the section has somebody do before the broker starts, done; and something to publish."""
    section = Section(tmp_path)
    write_video(tmp_path / "v.mp4")
    echo_model(tmp_path / "tiny.tflite", height=64, width=96)
    (tmp_path / "etc/mosquitto/certs").mkdir(parents=True)
    for script in section.blocks("sh")[:3]:
        section.shell(script)
    (access,) = section.blocks("acl")
    (tmp_path / "etc/mosquitto/edge-pose.acl").write_text(access)
    return section


@pytest.fixture
def broker(section: Section) -> Iterator[Mosquitto]:
    broker = Mosquitto(section.folder)
    (text,) = section.blocks("mosquitto", broker.port)
    listener, *config = text.splitlines()
    assert listener == f"listener {broker.port}"
    broker.config = tuple(config)
    yield broker.start()
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


def test_passwords_in_place_of_client_certificates(section: Section, broker: Mosquitto) -> None:
    broker.kill()
    passwords, credentials = section.folder / "etc/mosquitto/passwords", section.folder / "credentials"
    section.shell(f"mosquitto_passwd -c -b {passwords} hall 'over the hills'")
    section.shell(f"mosquitto_passwd -b {passwords} reader 'far away'")
    certificates = ("require_certificate true", "use_identity_as_username true")
    broker.config = (*(line for line in broker.config if line not in certificates), f"password_file {passwords}")
    broker.start()
    credentials.mkdir()
    (credentials / "mqtt-password").write_text("over the hills\n")
    words = ("--set", "mqtt.username=hall", "--set", "mqtt.cert_file=", "--set", "mqtt.key_file=")
    with agent(section, broker.port, *words, env={"CREDENTIALS_DIRECTORY": str(credentials)}) as log:
        account = ("-u", "reader", "-P", "far away")
        where = ("-h", "localhost", "-p", str(broker.port), "--cafile", "ca.crt")
        done = subprocess.run(
            ["mosquitto_sub", *where, *account, "-t", "edge-pose/+/people", "-C", "1", "-W", "20"],
            cwd=section.folder,
            check=True,
            capture_output=True,
            text=True,
        )
    assert '"device":"hall"' in done.stdout
    assert "over the hills" not in " ".join(log)
