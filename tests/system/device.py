"""A machine on which edge-pose is installed as a service, with a broker at the other end of its cable."""

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from brokers import Ear, Mosquitto, eventually
from data import MIRROR_VARIABLE
from nspawn import HOST_ADDRESS, HOST_NAME, Machine, base_system
from packages import require

__all__ = ["INSTALL_ENV", "PROJECT", "WAIT_S", "Broker", "Device", "device", "states", "topic"]

PROJECT = Path(__file__).parent.parent.parent
LOCK = PROJECT / "tools/locks/bookworm.txt"
UNIT = "edge-pose.service"
INSTALL_ENV = f"{MIRROR_VARIABLE}=/srv/models"
"""Names the folder of model files to install.sh."""
PORT = 1883
WAIT_S = 40.0
"""For whatever has to happen: two busy cores, and a service that starts a model."""

CONFIG = f"""\
[camera]
source = "scene"
fps = 4.0

[mqtt]
url = "mqtt://{HOST_ADDRESS}"

[health]
interval_s = 1.0
"""
PIP = """\
[global]
no-index = true
find-links = /srv/wheels
"""


def wheels() -> Path:
    """Return a folder with all that the program needs from the package index, filled once for each lock."""
    needs = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    names = [*needs["project"]["dependencies"], *needs["build-system"]["requires"]]
    key = hashlib.sha256("\n".join([*names, LOCK.read_text()]).encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir(), f"edge-pose-wheels-{key}")
    if not folder.exists():
        with tempfile.TemporaryDirectory(prefix="edge-pose-wheels-") as made:
            pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--wheel-dir", f"{made}/wheels", "-c", LOCK, *names], check=True)
            Path(made, "wheels").replace(folder)
    return folder


class Device(Machine):
    """The machine: nothing of ours, Python's packages and model files at hand, and no network but the cable.

    Without `INSTALL_ENV` an installation finds no model.
    """

    def __init__(self, folder: Path) -> None:
        mirror = Path(os.environ[MIRROR_VARIABLE])
        self._since_s = "0"
        super().__init__(
            base_system(), folder, {"/srv/edge-pose": PROJECT, "/srv/wheels": wheels(), "/srv/models": mirror}
        )
        self.write("/etc/pip.conf", PIP)

    def use_mirror(self, mirror: str) -> None:
        """Set where the installed service has its model files from; empty: from the internet."""
        self.write("/etc/edge-pose/environment", f"{MIRROR_VARIABLE}={mirror}\n" if mirror else "")

    def configure(self, more: str = "", *, camera: str = "scene", url: str = f"mqtt://{HOST_ADDRESS}") -> None:
        """Write the service's config."""
        text = CONFIG.replace("scene", camera).replace(f"mqtt://{HOST_ADDRESS}", url)
        self.write("/etc/edge-pose/edge-pose.toml", text + more)

    def override(self, *lines: str) -> None:
        """Change the unit by a drop-in with these lines."""
        self.write(f"/etc/systemd/system/{UNIT}.d/test.conf", "\n".join(["[Service]", *lines, ""]))
        self.run("systemctl daemon-reload")

    def show(self, name: str, unit: str = UNIT) -> str:
        """Return what systemd knows about the service."""
        return self.run(f"systemctl show --value --property={name} {unit}").strip()

    def state(self) -> str:
        """Return what the service says of camera and model, without its broker, which most tests have not."""
        return self.show("StatusText").partition("; broker ")[0]

    def is_active(self) -> bool:
        return self.show("ActiveState") == "active"

    def wait_for(self, **properties: str) -> None:
        """Wait until systemd says so; `StatusText` is without the broker, see `state`."""

        def found(name: str) -> str:
            return self.state() if name == "StatusText" else self.show(name)

        try:
            eventually(lambda: all(found(name) == value for name, value in properties.items()), WAIT_S)
        except AssertionError:
            pytest.fail(f"not {properties}: {self.run(f'systemctl status {UNIT}', check=False)}")

    def wait_for_status(self, text: str) -> None:
        """Wait until the service says of itself what contains `text`."""
        try:
            eventually(lambda: text in self.show("StatusText"), WAIT_S)
        except AssertionError:
            pytest.fail(f"not {text}: {self.run(f'systemctl status {UNIT}', check=False)}")

    def wait_for_log(self, text: str) -> None:
        """Wait until the service has logged what contains `text`."""
        try:
            eventually(lambda: text in self.log(), WAIT_S)
        except AssertionError:
            pytest.fail(f"not {text}: {self.log()}")

    def log(self) -> str:
        """Return what the service has logged since the machine's log was last cleared."""
        return self.run(f"journalctl --no-pager --output=cat --unit={UNIT} --since=@{self._since_s}")

    def clear(self) -> None:
        """Stop the service, make it a healthy one again, and forget what was logged."""
        self.plug()
        self.run(f"systemctl stop {UNIT}; systemctl reset-failed {UNIT}", check=False)
        self.use_mirror("/srv/models")
        self.configure()
        self.override("RestartSec=200ms")
        self._since_s = self.run("journalctl --sync; date +%s.%N").strip()


@contextmanager
def device(folder: Path) -> Iterator[Device]:
    """Boot a machine on which nothing is installed yet."""
    with Device(folder) as machine:
        machine.boot()
        yield machine


class Broker(Mosquitto):
    """A mosquitto that the device reaches through its cable, and the test without."""

    def __init__(self, folder: Path, *config: str) -> None:
        require("mosquitto")
        super().__init__(folder, f"listener {PORT} {HOST_ADDRESS}", *config)


def states(ear: Ear) -> list[str]:
    """Return the states that were heard."""
    return [message["state"] for message in ear.of("status")]


def topic(name: str = "+", device_name: str = HOST_NAME) -> str:
    return f"edge-pose/{device_name}/{name}"
