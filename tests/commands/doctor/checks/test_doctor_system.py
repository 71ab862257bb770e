from pathlib import Path

import pytest

from edge.commands.doctor.checks.resources import (
    check_disks,
    check_memory,
    check_memory_cgroup,
    check_power,
    check_temperature,
    check_throttling,
)
from edge.commands.doctor.checks.system import check_architecture, check_board, check_clock, check_os, check_python
from edge.commands.doctor.finding import Finding
from edge.commands.doctor.host import this_host
from machines import machine, python

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
HEAT = "sys/class/thermal/thermal_zone0/temp"


def test_a_board_is_named_as_the_firmware_does(tmp_path: Path) -> None:
    host = machine(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    assert check_board(host) == Finding("board", "ok", "Raspberry Pi 5 Model B Rev 1.0")
    assert host.is_pi


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n', "ok"),
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_CODENAME=trixie\n', "ok"),
        ('PRETTY_NAME="Raspbian GNU/Linux 11 (bullseye)"\nVERSION_CODENAME=bullseye\n', "warning"),
        ("", "unknown"),
        ("=\nno pairs here\n", "unknown"),
    ],
)
def test_an_operating_system_is_ok_where_it_is_tested(tmp_path: Path, release: str, state: str) -> None:
    assert check_os(machine(tmp_path, {"etc/os-release": release})).state == state


@pytest.mark.parametrize(
    ("kernel", "bits", "state", "words"),
    [
        ("aarch64", 64, "ok", "aarch64, 64-bit"),
        ("x86_64", 64, "ok", "x86_64, 64-bit"),
        ("aarch64", 32, "problem", "32-bit programs on a 64-bit kernel"),
        ("armv7l", 32, "problem", "no TFLite runtime"),
        ("riscv64", 64, "warning", "not tested"),
    ],
)
def test_32_bit_arm_is_a_problem_even_on_a_64_bit_kernel(
    tmp_path: Path, kernel: str, bits: int, state: str, words: str
) -> None:
    found = check_architecture(machine(tmp_path, python=python(machine=kernel, bits=bits)))
    assert found.state == state
    assert words in found.found
    assert ("64-bit" in found.fix) == (bits == 32)


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 9, 2), "problem"), ((3, 11, 2), "ok"), ((3, 13, 5), "ok"), ((3, 15, 0), "warning")],
)
def test_python_is_needed_in_a_version_that_has_wheels(
    tmp_path: Path, version: tuple[int, int, int], state: str
) -> None:
    assert check_python(machine(tmp_path, python=python(version=version))).state == state


@pytest.mark.parametrize(
    ("synced", "now_s", "uses_tls", "state"),
    [
        (True, 1_790_000_000.0, True, "ok"),
        (None, 1_790_000_000.0, True, "ok"),
        (False, 1_790_000_000.0, False, "warning"),
        (False, 1_790_000_000.0, True, "problem"),
        (False, 40.0, False, "problem"),
        (True, 40.0, False, "problem"),
    ],
)
def test_a_clock_that_is_not_set_is_worse_with_tls(
    tmp_path: Path, synced: bool | None, now_s: float, uses_tls: bool, state: str
) -> None:
    found = check_clock(machine(tmp_path, clock_synced=synced, now_s=now_s), uses_tls=uses_tls)
    assert found.state == state
    assert bool(found.fix) == (state != "ok")


@pytest.mark.parametrize(
    ("sys", "asked", "power", "throttling"),
    [
        ("0", None, "ok", "ok"),
        ("1", None, "problem", "ok"),
        ("10000", None, "warning", "ok"),
        ("0", 0x10000, "warning", "ok"),
        ("4", None, "ok", "warning"),
        ("0", 0x40000, "ok", "warning"),
        ("", 0x50005, "problem", "warning"),
        ("", None, "unknown", "unknown"),
        ("nonsense", None, "unknown", "unknown"),
    ],
)
def test_power_and_heat_are_judged_by_what_is_now_and_what_was(
    tmp_path: Path, sys: str, asked: int | None, power: str, throttling: str
) -> None:
    host = machine(tmp_path, {FIRMWARE: sys}, firmware=lambda: asked)
    assert check_power(host).state == power
    assert check_throttling(host).state == throttling


def test_the_names_of_what_slows_a_pi_down_are_reported(tmp_path: Path) -> None:
    found = check_throttling(machine(tmp_path, {FIRMWARE: "e"}))
    assert found.found == "slowed down now: throttled, frequency capped, soft temperature limit"


def test_the_kernels_voltage_sensor_alone_reports_power_and_not_of_throttling(tmp_path: Path) -> None:
    sensor = {"sys/class/hwmon/hwmon3/name": "rpi_volt", "sys/class/hwmon/hwmon3/in0_lcrit_alarm": "1"}
    host = machine(tmp_path, sensor)
    assert check_power(host).state == "problem"
    assert check_throttling(host).state == "unknown"


@pytest.mark.parametrize(("text", "state"), [("48000", "ok"), ("71500", "warning"), ("", "unknown"), ("x", "unknown")])
def test_a_hot_processor_is_a_warning(tmp_path: Path, text: str, state: str) -> None:
    assert check_temperature(machine(tmp_path, {HEAT: text})).state == state


@pytest.mark.parametrize(("available_kb", "state"), [(700_000, "ok"), (90_000, "warning")])
def test_little_memory_is_a_warning(tmp_path: Path, available_kb: int, state: str) -> None:
    host = machine(tmp_path, {"proc/meminfo": f"MemTotal: 948304 kB\nMemAvailable: {available_kb} kB\n"})
    assert check_memory(host).state == state


def test_a_memory_cgroup_that_is_on_is_ok(tmp_path: Path) -> None:
    host = machine(tmp_path, {"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"})
    assert check_memory_cgroup(host).state == "ok"


def test_the_memory_cgroup_of_raspberry_pi_os_is_off_and_the_fix_names_its_boot_file(tmp_path: Path) -> None:
    host = machine(
        tmp_path,
        {
            "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io pids\n",
            "proc/cmdline": "coherent_pool=1M cgroup_disable=memory console=tty1\n",
            "boot/cmdline.txt": "console=tty1",
        },
    )
    found = check_memory_cgroup(host)
    assert found.state == "warning"
    assert "cgroup_disable=memory" in found.found
    assert "cgroup_enable=memory" in found.fix
    assert "/boot/cmdline.txt" in found.fix


def test_a_machine_that_does_not_report_its_cgroups_or_memory_is_not_judged(tmp_path: Path) -> None:
    assert check_memory_cgroup(machine(tmp_path)).state == "unknown"
    assert check_memory(machine(tmp_path)).state == "unknown"


def test_disks_are_judged_each_by_what_is_left(tmp_path: Path) -> None:
    left = {"system": 5_000_000_000, "cache": 400_000_000, "record": 3_000_000, "jsonl": None}
    folders = {kind: Path("/", kind) for kind in left}
    found = check_disks(machine(tmp_path, free_bytes=lambda path: left[path.name]), folders)
    assert {finding.subject: finding.state for finding in found} == {
        "system": "ok", "cache": "warning", "record": "problem", "jsonl": "unknown",
    }  # fmt: skip
    assert "400 MB free for /cache" in found[1].found


def test_one_disk_is_reported_once(tmp_path: Path) -> None:
    folders = {"system": Path("/"), "record": Path("/mnt/x.mp4"), "cache": Path("/var/cache/edge-pose")}
    left = {"/": 7_000_000_000, "/mnt/x.mp4": 9_000_000_000, "/var/cache/edge-pose": 7_000_000_100}
    found = check_disks(machine(tmp_path, free_bytes=lambda path: left[str(path)]), folders)
    assert [finding.subject for finding in found] == ["system, cache", "record"]
    assert found[0].found == "7.0 GB free for /, /var/cache/edge-pose"


def test_this_machine_can_be_examined() -> None:
    host = this_host()
    assert check_python(host).state in ("ok", "warning")
    assert host.run(("cat", "/proc/self/comm")).out == "cat\n"
    assert host.run(("edge-pose-has-no-such-command",)).code is None
