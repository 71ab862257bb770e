"""Figures of a machine, read from trees of files that a test wrote."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edge.host.files import free_disk_bytes
from edge.host.machine import (
    available_memory_bytes,
    cpu_temperature_c,
    rss_bytes,
    throttled,
    timesyncd_synced,
    total_memory_bytes,
    unit_memory_bytes,
    unit_memory_max_bytes,
)
from trees import plant

GROUP = "sys/fs/cgroup/system.slice/edge-pose.service"
GARBAGE = ["", "\n", "nan", "-", "0x", "1.5e9", "٣", "9" * 30, "\udcff", "MemAvailable: many kB"]


def test_a_temperature_in_thousandths_becomes_degrees(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "61835\n"})
    assert cpu_temperature_c(tmp_path) == 61.8


def test_a_temperature_below_zero_is_one_and_one_of_the_sun_is_not(tmp_path: Path) -> None:
    assert cpu_temperature_c(plant(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "-4500"})) == -4.5
    assert cpu_temperature_c(plant(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "5778000"})) is None


def test_memory_is_in_bytes(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/meminfo": "MemTotal:  948304 kB\nMemFree:  20000 kB\nMemAvailable:  514232 kB\n"})
    assert available_memory_bytes(tmp_path) == 514232 * 1024
    assert total_memory_bytes(tmp_path) == 948304 * 1024


def test_a_unit_knows_what_it_uses_and_the_tightest_limit_above_it(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/edge-pose.service\n",
            f"{GROUP}/memory.current": "131072000\n",
            f"{GROUP}/memory.max": "805306368\n",
            "sys/fs/cgroup/system.slice/memory.max": "536870912\n",
        },
    )
    assert unit_memory_bytes(tmp_path) == 131072000
    assert unit_memory_max_bytes(tmp_path) == 536870912


def test_a_unit_without_a_limit_has_none(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/self/cgroup": "0::/user.slice\n", "sys/fs/cgroup/user.slice/memory.max": "max\n"})
    assert unit_memory_max_bytes(tmp_path) is None


@pytest.mark.parametrize("group", ["0::/\n", "1:memory:/edge\n", "0::/../../outside\n", ""])
def test_no_group_of_our_own_is_no_figure(tmp_path: Path, group: str) -> None:
    plant(tmp_path, {"proc/self/cgroup": group, "sys/fs/cgroup/memory.current": "17", "memory.current": "17"})
    assert unit_memory_bytes(tmp_path) is None
    assert unit_memory_max_bytes(tmp_path) is None


def test_free_disk_is_that_of_the_folder_in_which_a_file_will_be(tmp_path: Path) -> None:
    here, there = free_disk_bytes(tmp_path), free_disk_bytes(tmp_path / "not" / "yet" / "out.mp4")
    assert here is not None
    assert there is not None
    assert abs(here - there) < 1e9


def test_a_file_where_a_folder_should_be_has_no_free_disk(tmp_path: Path) -> None:
    plant(tmp_path, {"file": "x"})
    assert free_disk_bytes(tmp_path / "file" / "out.mp4") is None


def test_the_firmware_says_throttled_for_what_is_now_and_not_for_what_was(tmp_path: Path) -> None:
    file = "sys/devices/platform/soc/soc:firmware/get_throttled"
    assert throttled(plant(tmp_path, {file: "50000\n"})) is False
    assert throttled(plant(tmp_path, {file: "50004\n"})) is True
    assert throttled(tmp_path / "elsewhere") is None


def test_a_machine_without_these_files_has_no_figures(tmp_path: Path) -> None:
    readers = (rss_bytes, cpu_temperature_c, available_memory_bytes, unit_memory_bytes, unit_memory_max_bytes)
    assert [read(tmp_path) for read in readers] == [None] * 5


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_in_these_files_is_unknown(tmp_path: Path, text: str) -> None:
    files = ("proc/self/statm", "sys/class/thermal/thermal_zone0/temp", "proc/meminfo", f"{GROUP}/memory.current")
    limits = {f"{GROUP}/memory.max": text, "sys/devices/platform/soc/soc:firmware/get_throttled": text}
    plant(tmp_path, {**dict.fromkeys(files, text), **limits, "proc/self/cgroup": "0::/system.slice/edge-pose.service"})
    readers = (rss_bytes, cpu_temperature_c, available_memory_bytes, unit_memory_bytes, unit_memory_max_bytes)
    assert [read(tmp_path) for read in (*readers, throttled)] == [None] * 6


def test_this_process_has_memory() -> None:
    assert (rss_bytes() or 0) > 1_000_000


def test_without_access_to_the_kernels_clock_systemds_daemon_decides(tmp_path: Path) -> None:
    assert timesyncd_synced(tmp_path) is None
    folder = tmp_path / "run/systemd/timesync"
    folder.mkdir(parents=True)
    assert timesyncd_synced(tmp_path) is False
    (folder / "synchronized").touch()
    assert timesyncd_synced(tmp_path) is True


FORBIDDEN = """
import ctypes, struct, sys
from pathlib import Path
from edge.host.machine import clock_synced

steps = [(0x20, 0, 0, 0), (0x15, 2, 0, 159), (0x15, 1, 0, 305), (6, 0, 0, 0x7FFF0000), (6, 0, 0, 0x50001)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
kernel = ctypes.CDLL(None)
assert kernel.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert kernel.prctl(22, 2, program) == 0  # PR_SET_SECCOMP: adjtimex and clock_adjtime are refused
print(clock_synced(Path(sys.argv[1])))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of the system calls")
def test_a_service_with_a_protected_clock_still_knows_whether_it_is_synchronized(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    done = subprocess.run([sys.executable, "-c", FORBIDDEN, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
