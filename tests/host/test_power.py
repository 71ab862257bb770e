from pathlib import Path

import pytest

from edge.host.power import Throttling, parse_vcgencmd, read_throttling, vcgencmd_flags
from trees import plant

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
NOTHING_AT_ALL = {
    "under_voltage": False, "frequency_capped": False, "throttled": False, "soft_temperature_limit": False,
    "under_voltage_since_boot": False, "frequency_capped_since_boot": False, "throttled_since_boot": False,
    "soft_temperature_limit_since_boot": False,
}  # fmt: skip


def report(**true: bool) -> Throttling:
    return Throttling(**{**NOTHING_AT_ALL, **true})


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (0x1, "under_voltage"),
        (0x2, "frequency_capped"),
        (0x4, "throttled"),
        (0x8, "soft_temperature_limit"),
        (0x10000, "under_voltage_since_boot"),
        (0x20000, "frequency_capped_since_boot"),
        (0x40000, "throttled_since_boot"),
        (0x80000, "soft_temperature_limit_since_boot"),
    ],
)
def test_every_bit_has_its_name_and_what_is_now_has_been_since_boot(flags: int, name: str) -> None:
    now_too = {} if name.endswith("_since_boot") else {f"{name}_since_boot": True}
    assert Throttling.of(flags) == report(**{name: True}, **now_too)


def test_the_firmware_is_read_from_sys_without_asking_anybody(tmp_path: Path) -> None:
    plant(tmp_path, {FIRMWARE: "50005\n"})
    asked: list[int] = []
    found = read_throttling(tmp_path, lambda: asked.append(1))
    assert found == Throttling.of(0x50005)
    assert not asked


def test_the_firmware_is_asked_where_sys_lacks_the_flags(tmp_path: Path) -> None:
    assert read_throttling(tmp_path, lambda: 0x20002) == report(frequency_capped=True, frequency_capped_since_boot=True)


def test_the_kernels_voltage_sensor_is_the_last_to_be_looked_at(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
            "sys/class/hwmon/hwmon0/in0_lcrit_alarm": "0\n",
            "sys/class/hwmon/hwmon2/name": "rpi_volt\n",
            "sys/class/hwmon/hwmon2/in0_lcrit_alarm": "1\n",
        },
    )
    assert read_throttling(tmp_path) == Throttling(under_voltage=True, under_voltage_since_boot=True)
    assert read_throttling(tmp_path, lambda: 0) == report()


def test_a_quiet_voltage_sensor_says_nothing_of_the_time_before(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/class/hwmon/hwmon1/name": "rpi_volt", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0"})
    assert read_throttling(tmp_path) == Throttling(under_voltage=False)


def test_what_was_true_once_stays_true_since_boot() -> None:
    later = Throttling.of(0).after(Throttling.of(0x10000)).after(None)
    assert later == report(under_voltage_since_boot=True)


def test_a_machine_is_slowed_by_what_is_now_only() -> None:
    assert Throttling.of(0xF0000).is_slowed is False
    assert Throttling.of(0x8).is_slowed is True
    assert Throttling().is_slowed is None


@pytest.mark.parametrize("text", ["", "throttled", "throttled=", "throttled=0xzz", "VCHI initialization failed", "=5"])
def test_what_is_no_answer_of_vcgencmd_is_nothing_known(text: str) -> None:
    assert parse_vcgencmd(text) is None


@pytest.mark.parametrize(
    ("script", "flags"),
    [("echo throttled=0x50005", 0x50005), ("echo throttled=0x1; exit 255", None), ("echo VCHI failed", None)],
)
def test_vcgencmd_is_asked_where_it_is_installed(tmp_path: Path, script: str, flags: int | None) -> None:
    command = tmp_path / "vcgencmd"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    assert vcgencmd_flags(str(tmp_path)) == flags


def test_an_answer_of_vcgencmd_is_hexadecimal() -> None:
    assert parse_vcgencmd("throttled=0x50005\n") == 0x50005


@pytest.mark.parametrize("text", ["", "zz", "0x", "-1", "5 0", "123456789"])
def test_garbage_from_the_firmware_or_the_sensor_is_nothing_known(tmp_path: Path, text: str) -> None:
    sensor = {"sys/class/hwmon/hwmon1/name": "rpi_volt", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": text}
    assert read_throttling(plant(tmp_path, {FIRMWARE: text, **sensor})) is None


def test_a_machine_without_any_figure_is_no_error(tmp_path: Path) -> None:
    assert read_throttling(tmp_path) is None
    assert vcgencmd_flags(str(tmp_path)) is None
