"""The whole examination: on a healthy Pi, on one where everything is wrong, and on this machine by the command."""

import json
from pathlib import Path

import pytest

from command import NO_MIRROR, run
from edge.commands.doctor.checkup import Checkup, Section, examine
from edge.commands.doctor.finding import ok, problem, unknown, warning
from edge.commands.doctor.host import CommandResult, Host
from edge.commands.doctor.report import as_json, as_text
from edge.errors import UnavailableError
from edge.mqtt.errors import LinkError
from edge.mqtt.settings import MqttSettings
from machines import machine, python
from tiny_models import echo_model

KEYS = ["group", "name", "subject", "state", "found", "fix"]


def tree(root: Path) -> list[str]:
    return sorted(f"{path} {path.lstat().st_mtime_ns}" for path in root.rglob("*"))


def sick(tmp_path: Path) -> Host:
    """A Pi on which hardly anything is right."""
    files: dict[str, str | None] = {
        "etc/edge-pose/edge-pose.toml": '[mqtt]\nurl = "mqtt://hall.local"\n[camera]\nsource = "/dev/v4l/by-id/gone"\n'
        '[model]\nname = "movenet-multipose-lightning-f16"\n',
        "etc/os-release": 'PRETTY_NAME="Raspbian GNU/Linux 11 (bullseye)"\nVERSION_CODENAME=bullseye\n',
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4",
        "proc/cmdline": "cgroup_disable=memory",
        "proc/meminfo": "MemTotal: 948304 kB\nMemAvailable: 9000 kB\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50005",
        "sys/class/thermal/thermal_zone0/temp": "83000",
        "sys/bus/usb/devices/1-1/idVendor": "18d1",
        "sys/bus/usb/devices/1-1/idProduct": "9302",
        "sys/bus/usb/devices/1-1/speed": "480",
        "etc/group": "video:x:44:\nplugdev:x:46:\n",
        "run/systemd/system": None,
    }
    return machine(
        tmp_path,
        files,
        {
            "probe runtime": CommandResult(-11),
            "probe library libedgetpu.so.1": CommandResult(0, '{"error": "none", "kind": "OSError"}'),
        },
        python=python(version=(3, 9, 2), bits=32, machine="armv7l"),
        clock_synced=False,
        now_s=3.0,
        free_bytes=lambda _path: 1000,
    )


def refuse(_settings: MqttSettings) -> None:
    raise UnavailableError("broker hall.local:1883 cannot be reached (No route to host)") from LinkError("no")


def test_everything_that_is_wrong_is_found_and_each_has_its_remedy(tmp_path: Path) -> None:
    found = [finding for section in examine(sick(tmp_path), login=refuse).sections for finding in section.findings]
    problems = {finding.name for finding in found if finding.state == "problem"}
    assert problems >= {"architecture", "python", "clock", "power", "disk", "model", "runtime", "camera", "broker"}
    assert {"os", "throttling", "temperature", "memory", "memory-cgroup", "coral", "groups"} <= {
        finding.name for finding in found if finding.state in ("warning", "problem")
    }
    assert all(finding.fix for finding in found if finding.state in ("warning", "problem"))
    assert not [finding for finding in found if finding.name == "doctor"]


def test_an_examination_changes_nothing(tmp_path: Path) -> None:
    host = sick(tmp_path)
    before = tree(tmp_path)
    examine(host, login=refuse)
    assert tree(tmp_path) == before


def test_a_check_that_fails_itself_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    def fail(_settings: MqttSettings) -> None:
        raise ZeroDivisionError("by\nzero")

    sections = examine(sick(tmp_path), login=fail).sections
    (broker,) = next(section.findings for section in sections if section.title == "broker")
    assert (broker.name, broker.state) == ("doctor", "unknown")
    assert broker.found == "a bug in a check: ZeroDivisionError: by zero"
    assert sections[-1].title == "service"


def test_a_bare_machine_can_be_examined(tmp_path: Path) -> None:
    checkup = examine(machine(tmp_path))
    assert checkup.count("unknown") > 5
    assert checkup.sections[0].title == "machine"


EXAMPLE = Checkup(
    (
        Section("machine", (ok("board", "Raspberry Pi 5 Model B Rev 1.0"), warning("clock", "not set", "set it"))),
        Section("edge tpu", (problem("coral", "no Edge TPU", "plug it in", "/dev/apex_0"), unknown("pages", "4 KB"))),
    )
)


def test_people_get_groups_marks_and_what_to_do() -> None:
    assert as_text(EXAMPLE) == (
        "Machine\n"
        "  ✓ board          Raspberry Pi 5 Model B Rev 1.0\n"
        "  ! clock          not set\n"
        "                   → set it\n"
        "\n"
        "Edge TPU\n"
        "  ✗ coral          /dev/apex_0: no Edge TPU\n"
        "                   → plug it in\n"
        "  - pages          4 KB\n"
        "\n"
        "1 problem, 1 warning; after → is what to do."
    )


def test_a_terminal_without_unicode_gets_ascii_and_one_with_colours_gets_colours() -> None:
    assert as_text(EXAMPLE, plain=True).isascii()
    assert "\x1b[31m✗\x1b[0m coral" in as_text(EXAMPLE, colour=True)


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ((ok("os", "x"),), "No problems found."),
        ((warning("os", "x", "y"), warning("os", "x", "y")), "No problems, 2 warnings; after → is what to do."),
        ((problem("os", "x", "y"),), "1 problem; after → is what to do."),
    ],
)
def test_the_summary_counts(findings: tuple, summary: str) -> None:  # type: ignore[type-arg]
    assert as_text(Checkup((Section("machine", findings),))).splitlines()[-1] == summary


def test_programs_get_the_same_keys_for_every_finding() -> None:
    said = json.loads(json.dumps(as_json(EXAMPLE)))
    assert (said["v"], said["problems"], said["warnings"]) == (1, 1, 1)
    assert [list(finding) for finding in said["findings"]] == [KEYS] * 4
    assert said["findings"][0]["fix"] is None
    assert said["findings"][2] == {
        "group": "edge tpu", "name": "coral", "subject": "/dev/apex_0", "state": "problem", "found": "no Edge TPU",
        "fix": "plug it in",
    }  # fmt: skip


# The command, on this machine


def config(tmp_path: Path, text: str = "") -> Path:
    file = tmp_path / "own.toml"
    model = echo_model(tmp_path / "own.tflite", height=32, width=64)
    file.write_text(f'{text}\n[model]\nfile = "{model}"\n')
    return file


def test_the_command_ends_with_69_where_there_is_a_problem(tmp_path: Path) -> None:
    outcome = run(
        "doctor", "--json", "--config", config(tmp_path, '[camera]\nsource = "/dev/video9999"'), env=NO_MIRROR
    )
    said = json.loads(outcome.out)
    assert outcome.code == 69, outcome.err
    assert [f["subject"] for f in said["findings"] if f["state"] == "problem" and f["name"] == "camera"] == [
        "/dev/video9999"
    ]


def test_the_command_prints_text_and_examines_the_real_runtime(tmp_path: Path) -> None:
    outcome = run("doctor", "--config", config(tmp_path), env=NO_MIRROR)
    assert outcome.code in (0, 69), outcome.err
    assert "✓ runtime        ai-edge-litert" in outcome.out
    assert f"{tmp_path}/own.toml: no mistakes found" in outcome.out


def test_a_config_that_is_not_there_is_one_line_and_66(tmp_path: Path) -> None:
    outcome = run("doctor", "--config", tmp_path / "none.toml")
    assert outcome.code == 66
    (line,) = outcome.error_lines()
    assert "none.toml" in line
