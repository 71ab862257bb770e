"""The README's way to a device, followed line by line on a fresh machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import ANONYMOUS, Ear, eventually
from data import needs_models
from device import PROJECT, WAIT_S, Broker, device, topic
from model_server import model_server
from nspawn import HOST_ADDRESS

pytestmark = needs_models

SECTION = "Install on a Pi"


def blocks() -> list[str]:
    """Return the commands of the section, block by block."""
    text = (PROJECT / "README.md").read_text().split(f"\n## {SECTION}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path, ANONYMOUS)
    yield running
    running.kill()


def test_who_follows_the_readme_gets_poses(tmp_path: Path, broker: Broker) -> None:
    install, configure, password, second, remove = blocks()
    with device(tmp_path) as machine, model_server() as mirror, Ear(broker.start().port) as ear:
        machine.use_mirror(mirror)
        machine.write("/etc/hosts", f"127.0.0.1 localhost attic\n{HOST_ADDRESS} hall.local\n")
        told = machine.run(f"cd /srv/edge-pose\n{install}")
        assert ": fetched (/var/cache/edge-pose/" in told
        assert "service: not started" in told
        assert "active (running)" in machine.run(f"set -e\n{configure}")
        eventually(lambda: has(ear, topic("pose")), WAIT_S)
        machine.run(f"set -e\n{password}\n{second}")
        eventually(lambda: has(ear, topic("pose", "attic-yard")), WAIT_S)
        machine.run(f"cd /srv/edge-pose\n{remove}")
        assert machine.run("ls /etc/edge-pose").split() == [
            "edge-pose.toml", "environment", "mqtt-password", "yard.toml",
        ]  # fmt: skip
        assert machine.show("LoadState") == "not-found"


def has(ear: Ear, wanted: str) -> bool:
    return any(message.topic == wanted for message in ear.heard)
