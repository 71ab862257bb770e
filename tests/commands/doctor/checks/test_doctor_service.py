from pathlib import Path
from typing import Any

import pytest

from edge.commands.doctor.checks.service import PROPERTIES, Unit, check_service, read_units
from edge.commands.doctor.host import CommandResult
from machines import machine

LIST = "systemctl list-units --all --plain --no-legend edge-pose@*.service"
SYSTEMD: dict[str, str | None] = {"run/systemd/system": None}


def show(*names: str) -> str:
    return " ".join((f"systemctl show --property={PROPERTIES}", "edge-pose.service", *names))


def block(**fields: str) -> str:
    said = {
        "Id": "edge-pose.service", "LoadState": "loaded", "ActiveState": "active", "SubState": "running",
        "UnitFileState": "enabled", "NRestarts": "0", "Result": "success", "ExecMainStatus": "0", "User": "edge-pose",
        "SupplementaryGroups": "video render",
    }  # fmt: skip
    return "".join(f"{key}={value}\n" for key, value in {**said, **fields}.items())


def test_no_systemd_is_nothing_to_judge(tmp_path: Path) -> None:
    assert read_units(machine(tmp_path)) is None
    (found,) = check_service(None)
    assert found.state == "unknown"


def test_a_service_that_is_not_installed_is_reported_with_its_installer(tmp_path: Path) -> None:
    absent = CommandResult(0, block(LoadState="not-found", ActiveState="inactive"))
    units = read_units(machine(tmp_path, SYSTEMD, {LIST: CommandResult(0), show(): absent}))
    assert units == []
    (found,) = check_service(units)
    assert (found.state, found.fix) == ("unknown", "sudo systemd/install.sh")


def test_what_systemd_says_is_read(tmp_path: Path) -> None:
    host = machine(tmp_path, SYSTEMD, {LIST: CommandResult(0), show(): CommandResult(0, block(NRestarts="4"))})
    assert read_units(host) == [Unit(user="edge-pose", groups=("video", "render"), restarts=4)]


def test_every_instance_of_the_template_is_looked_at(tmp_path: Path) -> None:
    listed = "edge-pose@hall.service loaded active running edge-pose\nedge-pose@yard.service loaded failed failed x\n"
    instances = [
        block(LoadState="not-found"),
        block(Id="edge-pose@hall.service"),
        block(Id="edge-pose@yard.service", ActiveState="failed"),
    ]
    names = ("edge-pose@hall.service", "edge-pose@yard.service")
    host = machine(
        tmp_path, SYSTEMD, {LIST: CommandResult(0, listed), show(*names): CommandResult(0, "\n".join(instances))}
    )
    found = check_service(read_units(host))
    assert [(finding.subject, finding.state) for finding in found] == [(names[0], "ok"), (names[1], "problem")]


def test_the_plain_service_may_lie_idle_where_instances_run() -> None:
    units = [Unit(active="inactive"), Unit(name="edge-pose@hall.service")]
    assert [finding.subject for finding in check_service(units)] == ["edge-pose@hall.service"]


@pytest.mark.parametrize(
    ("changed", "state", "words", "fix"),
    [
        ({}, "ok", "starts at boot", ""),
        ({"restarts": 7}, "warning", "7 times", "journalctl -u edge-pose.service"),
        ({"enabled": "disabled"}, "warning", "not started at boot", "systemctl enable edge-pose.service"),
        ({"active": "inactive", "sub": "dead"}, "warning", "not running", "enable --now"),
        ({"active": "failed", "sub": "failed", "status": "78"}, "problem", "config", "journalctl"),
        (
            {"active": "failed", "sub": "failed", "result": "watchdog", "status": "6"},
            "problem",
            "watchdog",
            "journalctl",
        ),
        ({"active": "activating", "sub": "auto-restart", "status": "69"}, "problem", "69", "journalctl"),
    ],
)
def test_a_service_is_judged_by_its_state(changed: dict[str, Any], state: str, words: str, fix: str) -> None:
    (found,) = check_service([Unit(**changed)])
    assert found.state == state
    assert words in found.found
    assert fix in found.fix
    assert bool(found.fix) == bool(fix)


def test_garbage_from_systemctl_is_no_service(tmp_path: Path) -> None:
    assert (
        read_units(
            machine(
                tmp_path, SYSTEMD, {LIST: CommandResult(1, "", "x"), show(): CommandResult(1, "what=\n\n=\nno pair")}
            )
        )
        == []
    )
    half = CommandResult(0, "LoadState=loaded\nNRestarts=many\n")
    assert read_units(machine(tmp_path / "b", SYSTEMD, {show(): half})) == [
        Unit(active="", sub="", enabled="", result="", status="")
    ]
