"""Asked to stop, the service is gone within two seconds, whatever state it is in: else systemd kills it and says so."""

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import cv2
import pytest

from brokers import ANONYMOUS, Ear, eventually
from data import needs_models
from device import INSTALL_ENV, WAIT_S, Broker, Device, device, states, topic
from edgetpu_double import Double, needs_compiler, write_tpu_mirror
from http_server import file, mute, serving, stall
from nspawn import HOST_ADDRESS
from videos import numbered_image

pytestmark = needs_models

INSTALL = "/srv/edge-pose/systemd/install.sh"
TPU = "/var/lib/edge-pose/tpu"
TPU_MODEL = '[model]\nname = "own-edgetpu"\n'
PIPE = "/var/lib/edge-pose/pipe"

State = Callable[[Device, Broker], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with device(tmp_path_factory.mktemp("device")) as machine:
        machine.run(f"{INSTALL_ENV} {INSTALL}")
        yield machine


@pytest.fixture
def service(machine: Device) -> Device:
    """The service configured, stopped, and with two seconds for a stop."""
    machine.clear()
    machine.override("RestartSec=200ms", "TimeoutStopSec=2")
    return machine


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path, ANONYMOUS)
    running.start()
    yield running
    running.kill()


def start_until(service: Device, status: str) -> None:
    service.run("systemctl start edge-pose")
    service.wait_for_status(status)


def stop(service: Device) -> None:
    """Stop it; the result is `timeout`, and the state `failed`, where systemd lost its patience."""
    was_active = service.is_active()
    service.run("systemctl stop edge-pose")
    assert (service.show("ActiveState"), service.show("Result")) == ("inactive", "success")
    if was_active:
        from_us, to_us = (int(service.show(f"{name}TimestampMonotonic")) for name in ("ActiveExit", "InactiveEnter"))
        print(f"stopped in {(to_us - from_us) / 1e6:.2f} s")  # noqa: T201 - the figure of docs/benchmarks.md


# States in which a broker is there to hear the last word


@contextmanager
def at_work(service: Device, broker: Broker) -> Iterator[None]:
    with Ear(broker.port, topic("pose")) as ear:
        start_until(service, "online")
        eventually(lambda: len(ear.of("pose")) > 3, WAIT_S)
        yield


@contextmanager
def without_a_camera(service: Device, broker: Broker) -> Iterator[None]:
    with Ear(broker.port, topic("status")) as ear:
        service.configure(camera=f"http://{HOST_ADDRESS}:9/live")
        start_until(service, "cannot be opened")
        eventually(lambda: states(ear), WAIT_S)
        yield


@contextmanager
def with_a_camera_that_never_answers(service: Device, broker: Broker) -> Iterator[None]:
    with serving(host=HOST_ADDRESS) as server, Ear(broker.port, topic("status")) as ear:
        service.configure(camera=server.on("/live", mute))
        start_until(service, "starting")
        eventually(lambda: server.count("/live") and states(ear), WAIT_S)
        yield


@contextmanager
def with_a_camera_that_hangs(service: Device, broker: Broker) -> Iterator[None]:
    with serving(host=HOST_ADDRESS) as server, Ear(broker.port, topic("status")) as ear:
        service.configure(camera=server.on("/live", pictures_then_nothing))
        start_until(service, "camera: no frame for")
        eventually(lambda: "online" in states(ear), WAIT_S)
        yield


@contextmanager
def with_a_reader_that_reads_nothing(service: Device, broker: Broker, more: str = "") -> Iterator[None]:
    service.run(f"install -d -o edge-pose {Path(PIPE).parent}; rm -f {PIPE}; mkfifo --mode=666 {PIPE}")
    reader = os.open(service.file(PIPE), os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        service.configure(f'[output]\njsonl = "{PIPE}"\nrecord = "out.mp4"\n{more}')
        with Ear(broker.port, topic("health")) as ear:
            start_until(service, "online")
            eventually(lambda: any(message["drops"]["outputs"]["jsonl"] > 3 for message in ear.of("health")), WAIT_S)
            yield
    finally:
        os.close(reader)


@contextmanager
def frozen(service: Device, broker: Broker) -> Iterator[None]:
    with at_work(service, broker):
        service.run("systemctl kill --signal=STOP edge-pose")
        yield


@contextmanager
def with_an_engine_that_hangs(service: Device, broker: Broker) -> Iterator[None]:
    with Ear(broker.port, topic("pose")) as ear:
        double = give_tpu(service)
        start_until(service, "online")
        eventually(lambda: ear.of("pose"), WAIT_S)
        double.tell("hang")
        eventually(lambda: double.hangs, WAIT_S)
        yield


@contextmanager
def with_an_engine_that_is_lost(service: Device, broker: Broker) -> Iterator[None]:
    with Ear(broker.port, topic("status")) as ear:
        give_tpu(service).tell("refuse")
        start_until(service, "running on the CPU")
        eventually(lambda: "degraded" in states(ear), WAIT_S)
        yield


GREETED = [
    at_work,
    without_a_camera,
    with_a_camera_that_never_answers,
    with_a_camera_that_hangs,
    with_a_reader_that_reads_nothing,
    frozen,
    pytest.param(with_an_engine_that_hangs, marks=needs_compiler),
    pytest.param(with_an_engine_that_is_lost, marks=needs_compiler),
]


# States in which nobody hears it


@contextmanager
def just_started(service: Device, broker: Broker) -> Iterator[None]:  # noqa: ARG001 - the form of a state
    service.run("systemctl start --no-block edge-pose")
    yield


@contextmanager
def fetching_its_model(service: Device, broker: Broker) -> Iterator[None]:  # noqa: ARG001
    with serving(host=HOST_ADDRESS) as server:
        manifest = f'[tiny]\nfile = "tiny.tflite"\nkind = "multipose"\nlicence = "none"\nsha256 = "{"0" * 64}"\n'
        service.use_mirror(server.on("/models.toml", file(manifest.encode())).removesuffix("/models.toml"))
        server.on("/tiny.tflite", stall(bytes(1000), 10))
        service.configure('[model]\nname = "tiny"\n')
        service.run("systemctl start --no-block edge-pose")
        eventually(lambda: "tiny.tflite.part" in service.run("ls /var/cache/edge-pose"), WAIT_S)
        yield


@contextmanager
def with_an_engine_that_never_starts(service: Device, broker: Broker) -> Iterator[None]:  # noqa: ARG001
    double = give_tpu(service)
    double.tell("hang-load")
    service.run("systemctl start --no-block edge-pose")
    eventually(lambda: double.hangs, WAIT_S)
    yield


@contextmanager
def without_a_broker(service: Device, broker: Broker) -> Iterator[None]:
    broker.kill()
    start_until(service, "online")
    service.wait_for_log("cannot be reached")
    yield


@contextmanager
def with_a_broker_that_hangs(service: Device, broker: Broker) -> Iterator[None]:
    with at_work(service, broker):
        broker.signal(signal.SIGSTOP)
        yield
        broker.signal(signal.SIGCONT)


@contextmanager
def cut_off(service: Device, broker: Broker) -> Iterator[None]:
    with at_work(service, broker):
        service.unplug()
        yield


@contextmanager
def without_a_network(service: Device, broker: Broker) -> Iterator[None]:  # noqa: ARG001
    service.unplug()
    start_until(service, "online")
    yield


@contextmanager
def where_all_that_can_hang_hangs(service: Device, broker: Broker) -> Iterator[None]:
    double = give_tpu(service)
    with with_a_reader_that_reads_nothing(service, broker, TPU_MODEL):
        double.tell("hang")
        eventually(lambda: double.hangs, WAIT_S)
        broker.signal(signal.SIGSTOP)
        yield
        broker.signal(signal.SIGCONT)


UNHEARD = [
    just_started,
    fetching_its_model,
    pytest.param(with_an_engine_that_never_starts, marks=needs_compiler),
    without_a_broker,
    with_a_broker_that_hangs,
    cut_off,
    without_a_network,
    pytest.param(where_all_that_can_hang_hangs, marks=needs_compiler),
]


@pytest.mark.parametrize("state", GREETED)
def test_the_service_says_good_bye_and_is_gone_in_time(service: Device, broker: Broker, state: State) -> None:
    with Ear(broker.port, topic("status")) as ear, state(service, broker):
        stop(service)
        eventually(lambda: states(ear)[-1:] == ["offline"])
        assert ear.of("status")[-1]["reason"] == "stopped"


@pytest.mark.parametrize("state", UNHEARD)
def test_the_service_is_gone_in_time_although_nobody_hears_it(service: Device, broker: Broker, state: State) -> None:
    with state(service, broker):
        stop(service)


def test_a_service_that_waits_for_its_restart_is_not_started_again(service: Device) -> None:
    service.override("RestartSec=60", "TimeoutStopSec=2")
    start_until(service, "online")
    service.run("systemctl kill --signal=KILL edge-pose")
    service.wait_for(SubState="auto-restart")
    service.run("systemctl stop edge-pose")
    assert service.show("ActiveState") == "inactive"


def give_tpu(service: Device) -> Double:
    """Let the service use a model for the Edge TPU, and the double where libedgetpu would be."""
    folder = service.file(TPU)
    service.run(f"rm -rf {TPU}; mkdir -p {TPU}")
    double = Double(folder)
    write_tpu_mirror(folder)
    service.write("/etc/edge-pose/environment", f"EDGE_POSE_MODEL_MIRROR={TPU}\nLD_LIBRARY_PATH={TPU}\n")
    service.configure(TPU_MODEL)
    service.run(f"chown -R edge-pose: {Path(TPU).parent}")
    return double


def pictures_then_nothing(request: BaseHTTPRequestHandler) -> None:
    """Send a second of a motion-JPEG stream, and keep the connection."""
    request.send_response(200)
    request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
    request.end_headers()
    for index in range(30):
        jpeg = cv2.imencode(".jpg", numbered_image(index))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        request.wfile.write(head.encode() + jpeg + b"\r\n")
    mute(request)
