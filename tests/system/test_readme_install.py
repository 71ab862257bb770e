"""The ways to a device in README.md and docs/install.md, followed line by line on a fresh machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import ANONYMOUS, Ear, eventually
from data import MIRROR_VARIABLE, needs_models
from device import PROJECT, WAIT_S, Broker, device, topic
from model_server import model_server
from nspawn import HOST_ADDRESS

pytestmark = needs_models

BROKER = "broker.local"
INSTALL = "sudo systemd/install.sh"
HOSTS = f"127.0.0.1 localhost attic\n{HOST_ADDRESS} {BROKER}\n"


def blocks(text: str) -> list[str]:
    """Return the commands of a page or section, block by block."""
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path, ANONYMOUS)
    yield running
    running.kill()


def test_the_block_of_the_readme_ends_with_people(tmp_path: Path, broker: Broker) -> None:
    section = (PROJECT / "README.md").read_text().split("\n## Install on a Pi\n")[1].split("\n## ")[0]
    (block,) = blocks(section)
    packages, *lines, watch = block.splitlines()
    assert packages == "sudo apt-get install -y mosquitto"  # the broker of this test is at the other end of the cable
    assert watch == "edge-pose watch"
    lines = [line.replace("mqtt://localhost", f"mqtt://{BROKER}") for line in lines]
    with device(tmp_path) as machine, model_server() as mirror:
        broker.start()
        machine.write("/etc/hosts", HOSTS)
        machine.run(with_mirror(mirror, "\n".join(["set -e", "cd /srv/edge-pose", *lines])))
        seen = f"{watch} --mqtt mqtt://{BROKER} --once"
        eventually(lambda: re.search(r"^attic online, \d people: id \d", machine.run(seen)), WAIT_S)


def test_the_page_on_installing_leads_to_poses(tmp_path: Path, broker: Broker) -> None:
    install, configure, watch, password, second, remove = blocks((PROJECT / "docs/install.md").read_text())
    with device(tmp_path) as machine, model_server() as mirror, Ear(broker.start().port) as ear:
        machine.write("/etc/hosts", HOSTS)
        said = machine.run(with_mirror(mirror, f"cd /srv/edge-pose\n{install}"))
        assert ": fetched (/var/cache/edge-pose/" in said
        assert "service: not started" in said
        assert "active (running)" in machine.run(f"set -e\n{configure}")
        eventually(lambda: has(ear, topic("pose")), WAIT_S)
        eventually(lambda: re.search(r"^attic online, \d people: id \d", machine.run(watch)), WAIT_S)
        machine.run(f"set -e\n{password}\n{second}")
        eventually(lambda: has(ear, topic("pose", "attic-yard")), WAIT_S)
        machine.run(f"cd /srv/edge-pose\n{remove}")
        assert machine.run("ls /etc/edge-pose").split() == [
            "edge-pose.toml", "environment", "mqtt-password", "yard.toml",
        ]  # fmt: skip
        assert machine.show("LoadState") == "not-found"


def test_a_machine_that_reaches_no_model_gets_a_service_with_the_starter(tmp_path: Path) -> None:
    install = blocks((PROJECT / "docs/install.md").read_text())[0]
    with device(tmp_path) as machine:
        assert not machine.file("/etc/edge-pose").exists()
        said = machine.run(f"cd /srv/edge-pose\n{install}")
        assert "model: starter, which comes with the program, until the service can fetch the default" in said
        machine.run("systemctl restart --no-block edge-pose")
        assert machine.run("edge-pose --version")
        upgraded = machine.run(f"cd /srv/edge-pose\n{install}")
        assert "config: /etc/edge-pose/edge-pose.toml (kept)" in upgraded
        assert not machine.file("/etc/edge-pose/environment").exists()


def with_mirror(mirror: str, lines: str) -> str:
    """Return lines of a page, with the models from a mirror, as the page says for machines without internet."""
    assert lines.count(INSTALL) == 1
    return lines.replace(INSTALL, f"sudo {MIRROR_VARIABLE}={mirror} {INSTALL.removeprefix('sudo ')}")


def has(ear: Ear, wanted: str) -> bool:
    return any(message.topic == wanted for message in ear.heard)
