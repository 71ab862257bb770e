"""A service on the starter, as a whole: it goes over to the default by itself."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from brokers import Ear, Mosquitto, eventually, free_port, needs_mosquitto, states
from command import NO_MIRROR, environment, start
from http_server import Answer, FaultyServer, file, serving, stall, status
from managers import Manager

pytestmark = needs_mosquitto

WAIT_S = 60.0
"""For whatever has to happen, on a machine that may have much else to do."""
Start = Callable[[Mapping[str, str | None]], subprocess.Popen[str]]
ON_STARTER = "model: starter in place of the default, which could not be had"
IMPATIENT_RUN = """
import sys
from edge.agent.run import Run, RunOptions
from edge.models.selection import RetryPolicy
from edge.config import load
from edge.errors import EdgeError
from edge.host.logs import say, set_up
from edge.host.process import Signals, leave

set_up()
signals = Signals()
url = sys.argv[1]
config = load(None, {"camera.source": "scene", "mqtt.url": url, "device.name": "hall"})
run = Run(config, RunOptions(), policy=RetryPolicy(start_s=0, first_s=0.2, max_s=0.2))
signals.hand_over(run.stop)
try:
    run.run()
except EdgeError as error:
    say(f"edge-pose: {error}")
    leave(error.exit_code)
leave(0)
"""
"""What the command does, in a process of its own, with other waits."""


def is_online(ear: Ear) -> bool:
    return bool(ear.of("pose")) and states(ear)[-1:] == [("online", "")]


@pytest.fixture
def start_impatient(broker: Mosquitto) -> Iterator[Start]:
    started = []

    def start(env: Mapping[str, str | None]) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", IMPATIENT_RUN, f"mqtt://127.0.0.1:{broker.port}"]
        started.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment(env)))
        return started[-1]

    yield start
    for command in started:
        command.kill()
        command.communicate()


def service(tmp_path: Path, mirror: str, socket: str) -> dict[str, str | None]:
    """Return variables of a service whose mirror is the only place in the world that can be reached."""
    own = {"EDGE_POSE_MODEL_MIRROR": mirror, "EDGE_POSE_CACHE": str(tmp_path / "cache"), "NOTIFY_SOCKET": socket}
    return {**NO_MIRROR, "no_proxy": "127.0.0.1", **own}


def publish_default(server: FaultyServer, content: bytes, *answers: Answer) -> None:
    lines = ['default = "own"', "[own]", 'file = "own.tflite"', 'kind = "multipose"', 'licence = "MIT"']
    digest = hashlib.sha256(content).hexdigest()
    server.on("/own.tflite", *answers, file(content))
    server.on("/models.toml", file("\n".join([*lines, f'sha256 = "{digest}"']).encode()))


def test_a_service_on_the_starter_restarts_with_the_default_once_it_can_be_had(
    broker: Mosquitto, start_impatient: Start, tiny: Path, tmp_path: Path
) -> None:
    port = free_port()
    with Manager(str(tmp_path / "notify")) as manager, Ear(broker.port, "edge-pose/hall/+") as ear:
        env = service(tmp_path, f"http://127.0.0.1:{port}", manager.address)
        command = start_impatient(env)
        eventually(lambda: states(ear)[-1:] == [("degraded", ON_STARTER)], WAIT_S)
        with serving(port=port) as server:
            publish_default(server, tiny.read_bytes())
            _, err = command.communicate(timeout=WAIT_S)
        assert command.returncode == 75, err
        here = "restarts: the default model is here"
        eventually(lambda: states(ear)[-2:] == [("degraded", ON_STARTER), ("offline", here)])
        assert err.count(here) == 1
        assert err.splitlines()[-1] == f"edge-pose: {here}"
        assert "the service goes on trying for the default" in err
        eventually(lambda: manager.lines[-2:] == ["STOPPING=1", f"STATUS=offline: {here}"])
        assert [message["count"] for message in ear.of("people")[-1:]] == [None]

        url = f"mqtt://127.0.0.1:{broker.port}"
        again = start("run", "--camera", "scene", "--mqtt", url, "--set", "device.name=hall", env=env)
        eventually(lambda: is_online(ear) and ear.of("pose")[-1]["model"] == "own", WAIT_S)
        again.terminate()
        _, err = again.communicate(timeout=10)
        assert again.returncode == 0, err


def test_a_service_that_is_stopped_while_the_default_comes_in_goes_on_with_it_at_its_next_start(
    broker: Mosquitto, start_impatient: Start, tiny: Path, tmp_path: Path
) -> None:
    content = tiny.read_bytes()
    part = tmp_path / "cache" / "own.tflite.part"
    with Ear(broker.port, "edge-pose/hall/+") as ear, serving() as server:
        env = service(tmp_path, server.url, str(tmp_path / "missing"))
        server.on("/models.toml", status(503))
        command = start_impatient(env)
        eventually(lambda: states(ear)[-1:] == [("degraded", ON_STARTER)], WAIT_S)
        publish_default(server, content, stall(content, 100))
        eventually(lambda: part.exists() and part.stat().st_size == 100, WAIT_S)
        command.terminate()
        _, err = command.communicate(timeout=10)  # a server that sends nothing is waited for a minute
        assert command.returncode == 0, err
        eventually(lambda: states(ear)[-1:] == [("offline", "stopped")])
        command = start_impatient(env)
        eventually(lambda: is_online(ear), WAIT_S)
        command.terminate()
        _, err = command.communicate(timeout=10)
        assert command.returncode == 0, err
        assert server.ranges("/own.tflite") == [None, "bytes=100-"]
