"""The service on a machine with a systemd of its own: what it survives, and what it leaves behind."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import ANONYMOUS, Ear, eventually
from data import needs_models
from device import INSTALL_ENV, PROJECT, WAIT_S, Broker, Device, device, states, topic
from http_server import file, serving, stall
from model_server import model_server
from nspawn import HOST_ADDRESS

pytestmark = needs_models

INSTALL = "/srv/edge-pose/systemd/install.sh"
UNINSTALL = "/srv/edge-pose/systemd/uninstall.sh"
PHRASE = "over the hills"
STAND_IN = "degraded: model: starter in place of the default, which could not be had"
DEFAULT = "movenet-multipose-lightning-f16"
CONFIG_FILES = ("edge-pose.toml", "environment", "front.toml", "mqtt-password")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with device(tmp_path_factory.mktemp("device")) as machine:
        yield machine


@pytest.fixture(scope="module")
def pristine(machine: Device) -> set[str]:
    """The files of the machine before anything was installed."""
    return files_of(machine)


@pytest.fixture
def service(machine: Device, pristine: set[str]) -> Device:
    """The service installed, configured and stopped."""
    assert "/usr/bin/python3" in pristine
    if not machine.file("/etc/systemd/system/edge-pose.service").exists():
        machine.run(f"{INSTALL_ENV} {INSTALL}")
    machine.clear()
    return machine


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path, ANONYMOUS)
    yield running
    running.kill()


def start(service: Device) -> None:
    service.run("systemctl start edge-pose")
    assert service.is_active()


def is_online(ear: Ear) -> bool:
    return states(ear)[-1:] == ["online"]


def test_the_service_publishes_and_says_that_it_is_online(service: Device, broker: Broker) -> None:
    broker.start()
    with Ear(broker.port, topic()) as ear:
        start(service)
        eventually(lambda: len(ear.of("pose")) > 3 and ear.of("health"), WAIT_S)
        assert service.show("StatusText") == "online"
        service.run("systemctl stop edge-pose")
        eventually(lambda: states(ear)[-1] == "offline")
        assert ear.of("status")[-1]["reason"] == "stopped"
    assert service.show("Result") == "success"


def test_the_service_is_a_user_without_rights_who_may_use_cameras(service: Device) -> None:
    start(service)
    text = service.run(f"cat /proc/{service.show('MainPID')}/status")
    facts = {line.split(":")[0]: line.split(":")[1].split() for line in text.splitlines()}
    assert facts["CapEff"] == ["0000000000000000"]
    assert facts["NoNewPrivs"] == ["1"]
    assert service.run(f"id --name --user {facts['Uid'][0]}").strip() == "edge-pose"
    groups = {service.run(f"getent group {number}").split(":")[0] for number in facts["Groups"]}
    assert groups == {"edge-pose", "video", "render", "plugdev"}


def test_a_service_that_hangs_is_killed_by_the_watchdog_and_started_again(service: Device) -> None:
    service.override("RestartSec=200ms", "WatchdogSec=3")
    start(service)
    service.wait_for_status("online")
    service.run("systemctl kill --signal=STOP edge-pose")
    service.wait_for(NRestarts="1", ActiveState="active", StatusText="online")
    assert "Watchdog timeout" in service.log()


def test_a_camera_that_stays_away_does_not_wake_the_watchdog(service: Device, broker: Broker) -> None:
    service.override("WatchdogSec=1")
    service.configure(camera=f"http://{HOST_ADDRESS}:9/live")
    broker.start()
    with Ear(broker.port, topic()) as ear:
        start(service)
        eventually(lambda: ear.of("health") and ear.of("health")[-1]["uptime_s"] > 4, WAIT_S)
    assert service.show("NRestarts") == "0"
    assert "cannot be opened" in service.show("StatusText")


def test_a_service_that_is_killed_is_back_and_was_offline_meanwhile(service: Device, broker: Broker) -> None:
    broker.start()
    with Ear(broker.port, topic()) as ear:
        start(service)
        eventually(lambda: is_online(ear), WAIT_S)
        service.run("systemctl kill --signal=KILL edge-pose")
        eventually(lambda: "offline" in states(ear), WAIT_S)
        eventually(lambda: is_online(ear), WAIT_S)
    assert service.show("NRestarts") == "1"


def test_a_wrong_config_ends_with_78_and_is_not_tried_again(service: Device) -> None:
    service.configure("[track]\nmetrik = 3\n")
    assert service.attempt("systemctl start edge-pose").returncode != 0
    service.wait_for(ActiveState="failed", ExecMainStatus="78", NRestarts="0")
    assert "track.metrik: unknown key (did you mean 'metric'?)" in service.log()


def test_a_config_that_goes_away_while_running_changes_nothing(service: Device, broker: Broker) -> None:
    broker.start()
    with Ear(broker.port, topic("pose")) as ear:
        start(service)
        service.file("/etc/edge-pose/edge-pose.toml").unlink()
        seen = len(ear.of("pose"))
        eventually(lambda: len(ear.of("pose")) > seen + 3, WAIT_S)
    assert service.show("NRestarts") == "0"


@pytest.fixture
def strict_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker where anybody may read, and only `hall` may write, who has a password."""
    passwords, rules = tmp_path / "passwords", tmp_path / "rules"
    running = Broker(tmp_path, ANONYMOUS, f"password_file {passwords}", f"acl_file {rules}")
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "hall", PHRASE], check=True, capture_output=True)
    rules.write_text("topic read #\nuser hall\ntopic readwrite #\n")
    running.start()
    yield running
    running.kill()


def test_the_password_of_root_reaches_the_broker_by_a_credential(service: Device, strict_broker: Broker) -> None:
    service.write("/etc/edge-pose/mqtt-password", PHRASE + "\n")
    service.run("chmod 600 /etc/edge-pose/mqtt-password")
    service.configure(url=f"mqtt://hall@{HOST_ADDRESS}")
    with Ear(strict_broker.port, topic("status")) as ear:
        start(service)
        eventually(lambda: is_online(ear), WAIT_S)
    assert service.attempt("runuser -u edge-pose -- cat /etc/edge-pose/mqtt-password").returncode != 0
    assert PHRASE not in service.log()
    service.run("rm /etc/edge-pose/mqtt-password")
    service.run("systemctl restart edge-pose", check=False)
    service.wait_for(ActiveState="failed", ExecMainStatus="78")  # a name without a password
    service.configure()
    start(service)  # nobody asked for a password: a missing file keeps nothing from starting
    service.write("/etc/edge-pose/mqtt-password", "")


def test_a_broker_that_is_cut_off_gets_poses_again_once_it_can_be_reached(service: Device, broker: Broker) -> None:
    broker.start()
    with Ear(broker.port, topic()) as ear:
        start(service)
        eventually(lambda: is_online(ear), WAIT_S)
        service.unplug()
        service.wait_for_log("gone: publishing stops")
        service.wait_for_status(f"online; broker {HOST_ADDRESS}: ")  # camera and model are fine
        seen = len(ear.of("pose"))
        service.plug()
        eventually(lambda: len(ear.of("pose")) > seen + 3 and is_online(ear), WAIT_S)
    assert service.show("NRestarts") == "0"


def test_the_service_starts_before_its_broker(service: Device, broker: Broker) -> None:
    start(service)
    service.wait_for_status("online")
    broker.start()
    with Ear(broker.port, topic()) as ear:
        eventually(lambda: is_online(ear) and ear.of("pose"), WAIT_S)


def test_the_service_starts_at_boot_without_a_network(service: Device, broker: Broker) -> None:
    service.shut_down()
    service.unplug()
    service.boot()
    service.wait_for(ActiveState="active", StatusText="online")
    broker.start()
    service.plug()
    with Ear(broker.port, topic()) as ear:
        eventually(lambda: is_online(ear) and ear.of("pose"), WAIT_S)
    assert service.show("NRestarts") == "0"


def test_a_first_boot_without_network_and_model_runs_with_the_starter_until_a_start_finds_the_default(
    service: Device,
) -> None:
    service.unplug()
    service.use_mirror("")
    service.run("systemctl start --no-block edge-pose")
    service.wait_for(StatusText=STAND_IN)
    assert f"model '{DEFAULT}' cannot be fetched" in service.log()
    assert service.show("NRestarts") == "0"
    service.use_mirror("/srv/models")
    service.run("systemctl restart edge-pose")
    service.wait_for(StatusText="online")


def test_a_network_that_comes_up_soon_after_the_boot_is_waited_for(service: Device) -> None:
    with model_server() as mirror:
        service.use_mirror(mirror)
        service.unplug()
        service.run("systemctl start --no-block edge-pose")
        service.wait_for_log("no network for the model yet")
        service.plug()
        service.wait_for(StatusText="online")
    assert "starter" not in service.log()


def test_a_model_by_name_that_cannot_be_had_is_tried_until_there_is_one(service: Device) -> None:
    service.use_mirror("")
    service.configure(f'[model]\nname = "{DEFAULT}"\n')
    service.run("systemctl start --no-block edge-pose")
    service.wait_for(NRestarts="2")
    assert service.show("StartLimitIntervalUSec") == "0"  # for ever
    service.wait_for(ActiveState="activating", ExecMainStatus="69")
    service.configure()
    service.use_mirror("/srv/models")
    service.wait_for(ActiveState="active", StatusText="online")


def test_a_stop_during_a_download_leaves_half_a_file_that_nobody_takes_for_a_model(service: Device) -> None:
    with serving(host=HOST_ADDRESS) as server:
        manifest = f'[tiny]\nfile = "tiny.tflite"\nkind = "multipose"\nlicence = "none"\nsha256 = "{"0" * 64}"\n'
        service.use_mirror(server.on("/models.toml", file(manifest.encode())).removesuffix("/models.toml"))
        server.on("/tiny.tflite", stall(b"\x1c\0\0\0TFL3" + bytes(1000), 8))
        service.configure('[model]\nname = "tiny"\n')
        service.run("systemctl start --no-block edge-pose")
        eventually(lambda: "tiny.tflite.part" in service.run("ls /var/cache/edge-pose"), WAIT_S)
        service.run("systemctl stop edge-pose")
    assert service.show("Result") == "success"
    assert "tiny.tflite" not in service.run("ls /var/cache/edge-pose").split()


def test_every_camera_can_have_a_service_of_its_own(service: Device, broker: Broker) -> None:
    broker.start()
    config = service.file("/etc/edge-pose/edge-pose.toml").read_text()
    service.write("/etc/edge-pose/front.toml", config)
    with Ear(broker.port) as ear:
        service.run("systemctl start edge-pose edge-pose@front")
        both = {topic("status"), topic("status", "attic-front")}
        eventually(lambda: both <= {message.topic for message in ear.heard}, WAIT_S)
    assert service.show("StatusText", "edge-pose@front.service")
    service.run("systemctl stop edge-pose@front")


def test_an_upgrade_keeps_the_config_and_puts_a_wheel_in_place_of_the_old_version(
    service: Device, tmp_path: Path
) -> None:
    start(service)
    config, before = service.file("/etc/edge-pose/edge-pose.toml").read_text(), service.show("MainPID")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--wheel-dir", tmp_path, PROJECT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.copy(wheel, service.file("/srv"))
    told = service.run(f"{INSTALL} /srv/{wheel.name}; rm /srv/{wheel.name}")
    assert "config: /etc/edge-pose/edge-pose.toml (kept)" in told
    assert "service: started" in told
    assert service.file("/etc/edge-pose/edge-pose.toml").read_text() == config
    assert service.is_active()
    assert service.show("MainPID") != before
    assert len(service.run("ls -d /opt/edge-pose/version-*").split()) == 1


def test_an_upgrade_that_fails_says_why_in_one_line_and_leaves_the_old_version_running(service: Device) -> None:
    start(service)
    before = service.show("MainPID"), service.run("ls -l /opt/edge-pose")
    environment = service.file("/etc/edge-pose/environment").read_text()
    done = service.attempt(f"PIP_FIND_LINKS=/nowhere EDGE_POSE_MODEL_MIRROR=/srv {INSTALL}")
    assert done.returncode == 69
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("install.sh: ")]
    assert "installing the program failed: ERROR: No matching distribution" in line
    assert done.stdout.splitlines()[-1] == line
    assert service.file("/etc/edge-pose/environment").read_text() == environment
    assert (service.show("MainPID"), service.run("ls -l /opt/edge-pose")) == before


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (f"runuser -u nobody -- {INSTALL}", 69, f"needs root: sudo {INSTALL}"),
        (f"PATH=/tmp/armhf:$PATH {INSTALL}", 69, "this system is 32-bit (armhf): install the 64-bit Raspberry Pi OS"),
        (f"{INSTALL} no.whl", 66, "no.whl: no such wheel"),
        (f"EDGE_POSE_MODEL_MIRROR=/home/pi {INSTALL}", 69, "a service cannot see /home/pi: put it under /srv"),
        (f"{UNINSTALL} --all", 64, "--all: unknown option (try --help)"),
    ],
)
def test_what_cannot_be_installed_is_refused_in_one_line(machine: Device, line: str, code: int, says: str) -> None:
    machine.run("mkdir -p /tmp/armhf; printf '#!/bin/sh\necho armhf\n' >/tmp/armhf/dpkg; chmod +x /tmp/armhf/dpkg")
    done = machine.attempt(line)
    assert done.returncode == code
    assert done.stdout.splitlines()[-1].endswith(says)
    assert len(done.stdout.splitlines()) <= 2


def test_uninstalling_leaves_nothing_but_the_config_and_what_was_recorded(service: Device, pristine: set[str]) -> None:
    service.write("/etc/edge-pose/front.toml", "")
    service.run("systemctl enable edge-pose@front; touch /var/lib/edge-pose/poses.jsonl")
    start(service)
    said = service.run(UNINSTALL)
    assert files_of(service) - pristine == {
        "/etc/edge-pose", *(f"/etc/edge-pose/{name}" for name in CONFIG_FILES),
        "/etc/systemd/system/edge-pose.service.d", "/etc/systemd/system/edge-pose.service.d/test.conf",
        "/var/lib/edge-pose", "/var/lib/edge-pose/poses.jsonl",
    }  # fmt: skip
    assert "recordings: kept in /var/lib/edge-pose (" in said
    assert service.run("stat --format %U /var/lib/edge-pose/poses.jsonl").strip() == "root"
    assert "edge-pose" not in service.run("cat /etc/passwd /etc/group /etc/shadow")
    assert service.show("LoadState") == "not-found"
    service.run(f"{UNINSTALL} --purge")  # what is gone already is no mistake
    assert "edge-pose" not in "".join(files_of(service) - pristine)


def files_of(machine: Device) -> set[str]:
    """Return every file and folder of the machine, but for what the system writes about itself."""
    own = ("/var/log/", "/run/", "/tmp/", "/var/tmp/", "/var/cache/apt/", "/var/lib/systemd/")
    paths = machine.run("find / -xdev").splitlines()
    return {path for path in paths if not path.startswith(own) and not path.endswith("-")}
