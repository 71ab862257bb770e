"""Where the broker's password comes from, and who else can read it."""

import logging
from pathlib import Path

import pytest

from edge.config import credentials
from edge.config.credentials import (
    credentials_beside,
    exposure,
    find_password_file,
    mqtt_password,
    remedy,
    warn_if_exposed,
)
from edge.errors import ConfigError

PHRASE = "over the hills"


def secret(path: Path, mode: int = 0o600, text: str = PHRASE) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


def test_a_password_comes_from_the_file_of_the_config(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert mqtt_password("hall", str(secret(tmp_path / "password")), {}) == PHRASE
    assert not caplog.records


def test_without_a_file_it_comes_from_systemds_credential(tmp_path: Path) -> None:
    secret(tmp_path / "mqtt-password")
    assert mqtt_password("hall", "", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == PHRASE


def test_the_file_of_the_config_goes_before_the_credential(tmp_path: Path) -> None:
    secret(tmp_path / "mqtt-password", text="another")
    file = secret(tmp_path / "password")
    assert mqtt_password("hall", str(file), {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == PHRASE


@pytest.mark.parametrize("name", ["", "hall"])
def test_without_either_there_is_none(tmp_path: Path, name: str) -> None:
    assert mqtt_password(name, "", {}) is None
    assert mqtt_password(name, "", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


def test_without_a_user_the_credential_is_left_alone(tmp_path: Path) -> None:
    secret(tmp_path / "mqtt-password")
    assert find_password_file("", "", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        mqtt_password("hall", str(tmp_path / "missing"), {})
    assert str(caught.value) == f"mqtt.password_file: cannot read {tmp_path}/missing: No such file or directory"


@pytest.mark.parametrize("mode", [0o644, 0o604])
def test_a_secret_for_all_eyes_is_one_warning_with_the_way_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    file = secret(tmp_path / "my password", mode)
    assert mqtt_password("hall", str(file), {}) == PHRASE
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"{file} can be read by every user of this machine: chmod 600 '{file}'"
    assert PHRASE not in caplog.text


def test_a_key_is_looked_at_in_the_same_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_if_exposed(secret(tmp_path / "hall.key", 0o640), {})
    warn_if_exposed(secret(tmp_path / "fine.key", 0o600), {})
    warn_if_exposed(tmp_path / "missing.key", {})
    (record,) = caplog.records
    assert record.getMessage() == f"{tmp_path}/hall.key can be read by its whole group: chmod 600 {tmp_path}/hall.key"


def test_what_systemd_hands_over_is_its_own_affair(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It gives access by an access control list, which looks like a readable group."""
    warn_if_exposed(secret(tmp_path / "mqtt-password", 0o440), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert not caplog.records


def test_a_service_may_read_roots_file_through_its_group() -> None:
    assert exposure(0o100640, owner_uid=0, reader_uid=988) is None
    assert exposure(0o100640, owner_uid=988, reader_uid=988) == "its whole group"
    assert exposure(0o100640, owner_uid=0, reader_uid=0) == "its whole group"
    assert exposure(0o100644, owner_uid=0, reader_uid=988) == "every user of this machine"


def test_a_file_of_another_user_is_not_closed_to_its_reader() -> None:
    file = Path("/etc/edge-pose/mqtt-password")
    assert remedy(file, owner_uid=0, reader_uid=988, group="edge") == f"chgrp edge {file} && chmod 640 {file}"
    assert remedy(file, owner_uid=988, reader_uid=988, group="edge") == f"chmod 600 {file}"


def test_who_uses_the_services_config_reads_the_services_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "SYSTEM_CONFIG", str(tmp_path / "edge-pose.toml"))
    secret(tmp_path / "mqtt-password")
    monkeypatch.chdir(tmp_path)
    for config in (tmp_path / "edge-pose.toml", tmp_path / "yard.toml", Path("yard.toml")):
        assert mqtt_password("hall", "", credentials_beside(config, {})) == PHRASE
    for other in (None, tmp_path / "sub" / "yard.toml"):
        assert mqtt_password("hall", "", credentials_beside(other, {})) is None
    by_systemd = {"CREDENTIALS_DIRECTORY": "/run/credentials/edge-pose.service"}
    assert credentials_beside(tmp_path / "edge-pose.toml", by_systemd) == by_systemd
