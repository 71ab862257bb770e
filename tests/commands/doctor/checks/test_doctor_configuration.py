"""The config and its model; and the broker, which is a real one where a login is tried."""

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers import ANONYMOUS, Mosquitto, free_port, needs_mosquitto
from edge.commands.doctor.checks.broker import check_broker, log_in
from edge.commands.doctor.checks.configuration import SYSTEM_CONFIG, check_config, check_model, read_setup
from edge.commands.doctor.checkup import _outputs
from edge.commands.doctor.finding import Finding
from edge.commands.doctor.host import Host
from edge.errors import InputError, UnavailableError
from edge.mqtt.errors import (
    ClockError,
    LinkError,
    RefusedError,
    RejectedError,
    UnsupportedProtocolError,
    UntrustedError,
    WrongPortError,
)
from edge.mqtt.settings import MqttSettings
from machines import machine
from sinks import accounts
from tiny_models import echo_model

CONFIG = SYSTEM_CONFIG.lstrip("/")


def written(tmp_path: Path, text: str, **files: str) -> Host:
    return machine(tmp_path, {CONFIG: text, **files}, environ={"HOME": str(tmp_path / "home")})


# Config and model


def test_without_a_config_the_defaults_are_examined(tmp_path: Path) -> None:
    setup = read_setup(machine(tmp_path), None)
    assert setup.config.camera.source == "scene"
    assert check_config(setup).state == "ok"


def test_the_services_config_is_found_and_a_named_one_goes_before_it(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[mqtt]\nurl = "mqtt://yard.local"\n')
    host = written(tmp_path, '[mqtt]\nurl = "mqtt://hall.local"\n')
    assert read_setup(host, None).config.mqtt.url == "mqtt://hall.local"
    assert read_setup(host, own).config.mqtt.url == "mqtt://yard.local"


def test_a_config_beside_the_services_is_that_of_another_service(tmp_path: Path) -> None:
    host = machine(tmp_path, {"etc/edge-pose/front.toml": ""}, environ={"HOME": "/root"})
    setup = read_setup(host, tmp_path / "etc/edge-pose/front.toml")
    assert str(tmp_path / "var/cache/edge-pose") in check_model(host, setup).found


def test_a_config_with_mistakes_is_a_problem_that_names_the_first(tmp_path: Path) -> None:
    found = check_config(read_setup(written(tmp_path, "[camera]\nfpss = 3\nrotate = 91\n"), None))
    assert found.state == "problem"
    assert "camera.fpss" in found.found
    assert "(and 1 more)" in found.found
    assert found.fix.startswith("edge-pose config check ")


def test_a_named_config_that_is_missing_ends_the_examination(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_setup(machine(tmp_path), tmp_path / "none.toml")


def test_a_services_config_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    found = check_config(read_setup(machine(tmp_path, {CONFIG: None}), None))  # a folder: not even root reads it
    assert (found.state, found.fix) == ("unknown", "sudo edge-pose doctor")


def model_of(host: Host) -> Finding:
    return check_model(host, read_setup(host, None))


def test_a_model_given_by_path_must_be_there(tmp_path: Path) -> None:
    file = echo_model(tmp_path / "own.tflite", height=32, width=64)
    assert model_of(written(tmp_path, f'[model]\nfile = "{file}"\n')).state == "ok"
    (tmp_path / CONFIG).unlink()
    found = model_of(written(tmp_path, '[model]\nfile = "/nonexistent/x.tflite"\n'))
    assert found.state == "problem"
    assert "/nonexistent/x.tflite" in found.found


def mirror(tmp_path: Path, *, digest: str) -> Host:
    content = echo_model(tmp_path / "m.tflite", height=32, width=64).read_bytes()
    sha = hashlib.sha256(content).hexdigest() if digest == "right" else digest
    table = f'default = "own"\n[own]\nfile = "m.tflite"\nkind = "multipose"\nlicence = "CC0-1.0"\nsha256 = "{sha}"\n'
    (tmp_path / "models.toml").write_text(table)
    variables = {"EDGE_POSE_MODEL_MIRROR": str(tmp_path), "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    return machine(tmp_path, environ=variables)


def test_a_model_in_the_mirror_is_verified(tmp_path: Path) -> None:
    found = model_of(mirror(tmp_path, digest="right"))
    assert (found.state, found.subject) == ("ok", "own")
    assert "verified" in found.found


def test_a_model_of_another_content_is_reported(tmp_path: Path) -> None:
    found = model_of(mirror(tmp_path, digest="0" * 64))
    assert found.state == "warning"
    assert "wrong digest" in found.found
    assert found.fix == "edge-pose models fetch own"


def test_a_missing_model_is_looked_for_where_the_service_keeps_it(tmp_path: Path) -> None:
    host = machine(tmp_path, {CONFIG: ""}, environ={"HOME": "/root", "EDGE_POSE_CACHE": "/elsewhere"})
    found = model_of(host)
    assert found.state == "warning"
    assert str(tmp_path / "var/cache/edge-pose") in found.found
    cache = f"CACHE_DIRECTORY={tmp_path}/var/cache/edge-pose"
    assert found.fix.startswith(f"sudo -u edge-pose env -C / {cache} edge-pose models fetch ")


def test_the_mirror_that_the_service_was_installed_with_counts(tmp_path: Path) -> None:
    content = echo_model(tmp_path / "m.tflite", height=32, width=64).read_bytes()
    sha = hashlib.sha256(content).hexdigest()
    (tmp_path / "models.toml").write_text(
        f'default = "own"\n[own]\nfile = "m.tflite"\nkind = "multipose"\nlicence = "CC0-1.0"\nsha256 = "{sha}"\n'
    )
    variables = f'# a comment = no variable\nEDGE_POSE_MODEL_MIRROR="{tmp_path}"\nnonsense\n'
    host = machine(tmp_path, {CONFIG: "", "etc/edge-pose/environment": variables}, environ={})
    assert (model_of(host).state, model_of(host).subject) == ("ok", "own")


def test_an_unknown_model_is_a_problem(tmp_path: Path) -> None:
    found = model_of(written(tmp_path, '[model]\nname = "no-such-model"\n'))
    assert found.state == "problem"
    assert "no-such-model" in found.found


def test_a_mirrors_folder_that_is_not_there_is_named_with_the_model_that_a_run_takes_meanwhile(tmp_path: Path) -> None:
    found = model_of(machine(tmp_path, environ={"EDGE_POSE_MODEL_MIRROR": f"{tmp_path}/gone"}))
    assert found.state == "warning"
    assert found.found == (
        f"the mirror's folder {tmp_path}/gone (EDGE_POSE_MODEL_MIRROR) is not there: meanwhile a run takes 'starter', "
        "which finds fewer people"
    )
    assert found.fix == "mount it, or name another one in EDGE_POSE_MODEL_MIRROR"


def test_the_file_that_names_the_services_mirror_is_reported_where_its_folder_is_not_there(tmp_path: Path) -> None:
    variables = f"EDGE_POSE_MODEL_MIRROR={tmp_path}/gone\n"
    found = model_of(machine(tmp_path, {CONFIG: "", "etc/edge-pose/environment": variables}))
    assert found.fix == "mount it, or name another one in /etc/edge-pose/environment"


@pytest.mark.parametrize("key", ['name = "own"', 'delegate = "edgetpu"'])
def test_a_mirrors_folder_that_is_not_there_is_a_problem_where_nothing_may_replace_the_model(
    tmp_path: Path, key: str
) -> None:
    variables = f"EDGE_POSE_MODEL_MIRROR={tmp_path}/gone\n"
    found = model_of(machine(tmp_path, {CONFIG: f"[model]\n{key}\n", "etc/edge-pose/environment": variables}))
    assert (found.state, found.found) == (
        "problem",
        f"the mirror's folder {tmp_path}/gone (EDGE_POSE_MODEL_MIRROR) is not there",
    )


def test_a_mirror_that_is_no_folder_is_reported_with_the_model_that_a_run_takes_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = model_of(machine(tmp_path, environ={"EDGE_POSE_MODEL_MIRROR": f"{tmp_path}/file"}))
    assert found.state == "warning"
    assert found.found.startswith(f"EDGE_POSE_MODEL_MIRROR: {tmp_path}/file is not a folder")
    assert found.found.endswith("meanwhile a run takes 'starter', which finds fewer people")


def test_a_missing_model_is_reported_with_every_folder_that_it_was_looked_for_in(tmp_path: Path) -> None:
    host = machine(tmp_path, environ={"EDGE_POSE_MODEL_MIRROR": str(tmp_path), "EDGE_POSE_CACHE": f"{tmp_path}/cache"})
    assert model_of(host).found.startswith(f"not on this machine: {tmp_path}, {tmp_path}/cache: a run fetches it")


def test_the_starter_by_name_needs_no_mirror(tmp_path: Path) -> None:
    variables = f"EDGE_POSE_MODEL_MIRROR={tmp_path}/gone\n"
    config = '[model]\nname = "starter"\n'
    assert model_of(machine(tmp_path, {CONFIG: config, "etc/edge-pose/environment": variables})).state == "ok"


def test_a_default_that_is_missing_is_no_problem_while_the_starter_is_there(tmp_path: Path) -> None:
    found = model_of(written(tmp_path, ""))
    assert (found.state, found.subject) == ("warning", "movenet-multipose")
    assert found.found.endswith("a run fetches it when it starts, else takes 'starter', which finds fewer people")
    assert found.fix.endswith("edge-pose models fetch movenet-multipose")


@pytest.mark.parametrize("key", ['name = "movenet-multipose-lightning-f16"', 'delegate = "edgetpu"'])
def test_a_missing_model_that_nothing_may_replace_is_a_problem(tmp_path: Path, key: str) -> None:
    found = model_of(written(tmp_path, f"[model]\n{key}\n"))
    assert found.state == "problem"
    assert "starter" not in found.found


def test_the_starter_by_name_is_verified_in_the_package(tmp_path: Path) -> None:
    found = model_of(written(tmp_path, '[model]\nname = "starter"\n'))
    assert (found.state, found.subject) == ("ok", "starter")
    assert found.found.endswith("starter.tflite, verified")


# Broker


def broker_of(host: Host) -> Finding:
    return check_broker(host, read_setup(host, None), log_in)


def refused(tmp_path: Path, error: Exception) -> Finding:
    host = written(tmp_path, '[mqtt]\nurl = "mqtt://hall.local"\n')

    def refuse(_settings: MqttSettings) -> None:
        raise UnavailableError("broker hall.local:1883: no") from error

    return check_broker(host, read_setup(host, None), refuse)


def test_what_a_broken_config_asks_for_is_not_looked_for(tmp_path: Path) -> None:
    host = written(tmp_path, '[mqtt]\nurl = "mqtt://127.0.0.1:9"\n[camera]\nfpss = 3\n')
    assert [broker_of(host).state, model_of(host).state] == ["unknown", "unknown"]


def test_without_a_broker_there_is_nothing_to_judge(tmp_path: Path) -> None:
    assert broker_of(machine(tmp_path)).state == "unknown"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RefusedError("Not authorized"), "mqtt.password_file"),
        (RefusedError("Bad user name or password"), "mqtt.password_file"),
        (RefusedError("Banned"), "banned this client"),
        (RefusedError("Client identifier not valid"), "client ids"),
        (RefusedError("Server busy"), "broker's log"),
        (ClockError("its certificate: not yet valid", 9), "set-ntp"),
        (UntrustedError("its certificate: self-signed", 18), "mqtt.ca_file"),
        (RejectedError("certificate required"), "mqtt.cert_file"),
        (WrongPortError("no TLS is spoken on this port"), "mqtts://HOST:8883"),
        (UnsupportedProtocolError("Unsupported protocol version"), 'mqtt.version = "auto"'),
        (LinkError("No route to host"), "ping hall.local"),
        (OSError("a file"), "correct the file"),
    ],
)
def test_every_refusal_has_its_own_remedy(tmp_path: Path, error: Exception, words: str) -> None:
    found = refused(tmp_path, error)
    assert (found.state, found.subject) == ("problem", "mqtt://hall.local:1883")
    assert words in found.fix


def test_a_missing_broker_on_this_machine_is_installed(tmp_path: Path) -> None:
    found = broker_of(written(tmp_path, f'[mqtt]\nurl = "mqtt://127.0.0.1:{free_port()}"\n'))
    assert found.state == "problem"
    assert found.found == "cannot be reached (Connection refused)"
    assert "systemctl enable --now mosquitto" in found.fix


def test_a_password_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    found = broker_of(
        written(tmp_path, '[mqtt]\nurl = "mqtt://hall.local"\nusername = "cam"\npassword_file = "/nonexistent"\n')
    )
    assert found.state == "problem"
    assert "/nonexistent" in found.found


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, *accounts(folder, cam="right")).start()
    yield broker
    broker.kill()


@needs_mosquitto
def test_the_services_password_is_used_for_a_real_login(tmp_path: Path, guarded: Mosquitto) -> None:
    config = f'[mqtt]\nurl = "mqtt://127.0.0.1:{guarded.port}"\nusername = "cam"\n'
    found = broker_of(written(tmp_path, config, **{"etc/edge-pose/mqtt-password": "right\n"}))
    assert found.state == "ok", found
    assert "as cam" in found.found


@needs_mosquitto
def test_a_wrong_password_is_refused_by_a_real_broker(tmp_path: Path, guarded: Mosquitto) -> None:
    config = f'[mqtt]\nurl = "mqtt://127.0.0.1:{guarded.port}"\nusername = "cam"\n'
    found = broker_of(written(tmp_path, config, **{"etc/edge-pose/mqtt-password": "wrong\n"}))
    assert found.state == "problem"
    assert "refuses the login" in found.found
    assert "mqtt.password_file" in found.fix


@needs_mosquitto
def test_an_open_broker_lets_everybody_in(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, ANONYMOUS).start()
    try:
        found = broker_of(written(tmp_path, f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\n'))
    finally:
        broker.kill()
    assert (found.state, found.found) == ("ok", "accepts this device without a name")


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user")
def test_a_password_that_only_root_reads_is_no_problem_of_the_machine(tmp_path: Path) -> None:
    config = '[mqtt]\nurl = "mqtt://127.0.0.1"\nusername = "cam"\npassword_file = "{}"\n'
    file = tmp_path / "password"
    file.write_text("right\n")
    file.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    host = written(tmp_path, config.format(file))
    os.seteuid(65534)
    try:
        found = broker_of(host)
    finally:
        os.seteuid(0)
    assert (found.state, found.fix) == ("unknown", "sudo edge-pose doctor")
    assert "Permission denied" in found.found


@pytest.mark.parametrize(("name", "hint"), [("hall.local", "libnss-mdns"), ("hall.invalid", "IP address")])
def test_a_host_whose_name_nobody_knows_is_to_be_corrected(tmp_path: Path, name: str, hint: str) -> None:
    def unknown(_settings: MqttSettings) -> None:
        cause = LinkError("cannot be reached (Name or service not known)")
        cause.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise UnavailableError(f"broker {name}:1883 {cause}") from cause

    host = written(tmp_path, f'[mqtt]\nurl = "mqtt://{name}"\n')
    found = check_broker(host, read_setup(host, None), unknown)
    assert found.fix.startswith("correct the host in mqtt.url")
    assert hint in found.fix
    assert "ping" not in found.fix


@pytest.mark.parametrize(
    ("file", "folder"), [("edge-pose.toml", "var/lib/edge-pose"), ("yard.toml", "var/lib/edge-pose/yard")]
)
def test_a_service_writes_relative_paths_into_its_own_folder(tmp_path: Path, file: str, folder: str) -> None:
    host = machine(tmp_path, {f"etc/edge-pose/{file}": '[output]\nrecord = "hall.mp4"\njsonl = "/data/a.jsonl"\n'})
    (tmp_path / folder).mkdir(parents=True)
    setup = read_setup(host, tmp_path / "etc/edge-pose" / file)
    found = _outputs(host, setup)
    assert found["record"] == tmp_path / folder / "hall.mp4"
    assert found["jsonl"] == Path("/data/a.jsonl")


def test_a_run_by_hand_writes_into_the_current_folder(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[output]\nrecord = "hall.mp4"\n')
    host = machine(tmp_path, environ={"HOME": str(tmp_path)})
    assert _outputs(host, read_setup(host, own))["record"] == Path("hall.mp4")
