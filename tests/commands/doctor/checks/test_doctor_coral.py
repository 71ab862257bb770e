import json
from pathlib import Path
from typing import Any

import pytest

from edge.commands.doctor.checks.coral import check_coral, check_libedgetpu, check_pages, check_pycoral
from edge.commands.doctor.finding import Finding
from edge.commands.doctor.host import CommandResult
from machines import Commands, machine, python

USB = "sys/bus/usb/devices/2-1"
PCI = {"sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ac1\n", "sys/bus/pci/devices/0000:01:00.0/device": "0x089a\n"}
NEW_PACKAGE = {"dpkg-query -W -f=${Version} libedgetpu1-std": CommandResult(0, "16.0TF2.17.1-1.bookworm")}
OLD_PACKAGE = {"dpkg-query -W -f=${Version} libedgetpu1-max": CommandResult(0, "16.0")}
LIBRARY = "probe library libedgetpu.so.1"
DELEGATE = "probe delegate libedgetpu.so.1"
VERSION = "BuildLabel(COMPILER=11,DATE=2024,TF_COMMIT=ad6), RuntimeVersion(14)"


def usb(speed: str = "5000", ids: tuple[str, str] = ("18d1", "9302")) -> dict[str, str | None]:
    vendor, product = ids
    return {
        f"{USB}/idVendor": f"{vendor}\n",
        f"{USB}/idProduct": f"{product}\n",
        f"{USB}/speed": f"{speed}\n",
        f"{USB}/busnum": "2\n",
        f"{USB}/devnum": "7\n",
        "dev/bus/usb/002/007": "",
    }


def printed(**facts: Any) -> CommandResult:
    return CommandResult(0, json.dumps(facts))


@pytest.mark.parametrize("ids", [("18d1", "9302"), ("1a6e", "089a")])
def test_a_coral_on_usb_3_is_ok_under_either_of_its_names(tmp_path: Path, ids: tuple[str, str]) -> None:
    (found,) = check_coral(machine(tmp_path, usb(ids=ids)), wanted=False)
    asleep = "" if ids[0] == "18d1" else ", not used since it was plugged in"
    assert found == Finding("coral", "ok", f"USB Coral{asleep}, 5000 Mbit/s", subject="/dev/bus/usb/002/007")


def test_a_coral_on_usb_2_is_a_warning(tmp_path: Path) -> None:
    (found,) = check_coral(machine(tmp_path, usb("480")), wanted=False)
    assert found.state == "warning"
    assert "USB 2" in found.found
    assert "blue" in found.fix


def test_a_coral_that_this_user_may_not_use_is_a_problem(tmp_path: Path) -> None:
    host = machine(tmp_path, usb(), may_use=lambda path: "usb" not in str(path))
    (found,) = check_coral(host, wanted=False)
    assert found.state == "problem"
    assert "may not be used by ada" in found.found
    assert found.fix.startswith("sudo cp systemd/70-edge-pose-coral.rules /etc/udev/rules.d/")
    assert found.fix.endswith("then plug it in again")


def test_with_the_udev_rule_in_place_it_is_the_group_that_is_missing(tmp_path: Path) -> None:
    files = {**usb(), "etc/udev/rules.d/70-edge-pose-coral.rules": ""}
    (found,) = check_coral(machine(tmp_path, files, may_use=lambda _path: False), wanted=False)
    assert "usermod -aG plugdev ada" in found.fix


def test_the_user_of_a_coral_is_named(tmp_path: Path) -> None:
    user = {"proc/812/fd/5": "-> /dev/bus/usb/002/007", "proc/812/comm": "frigate\n"}
    (found,) = check_coral(machine(tmp_path, {**usb(), **user}), wanted=False)
    assert "in use by 812 (frigate)" in found.found


def test_no_coral_is_a_problem_only_where_one_is_asked_for(tmp_path: Path) -> None:
    (wanted,) = check_coral(machine(tmp_path), wanted=True)
    (unasked,) = check_coral(machine(tmp_path), wanted=False)
    assert (wanted.state, unasked.state) == ("problem", "unknown")


def test_an_m2_coral_without_its_driver_is_a_problem_and_with_it_is_ok(tmp_path: Path) -> None:
    (found,) = check_coral(machine(tmp_path, PCI), wanted=False)
    assert found.state == "problem"
    assert "gasket" in found.fix
    (found,) = check_coral(machine(tmp_path, {"dev/apex_0": ""}), wanted=False)
    assert found == Finding("coral", "ok", "M.2 Coral", subject="/dev/apex_0")


def test_an_m2_coral_that_may_not_be_used_gets_the_rule_without_being_unplugged(tmp_path: Path) -> None:
    (found,) = check_coral(machine(tmp_path, {"dev/apex_0": ""}, may_use=lambda _path: False), wanted=False)
    assert found.state == "problem"
    assert found.fix.endswith("sudo udevadm trigger --subsystem-match=apex")


def test_the_16_kb_pages_of_a_pi_5_keep_an_m2_coral_from_working(tmp_path: Path) -> None:
    host = machine(tmp_path, {**PCI, "boot/firmware/config.txt": ""}, page_bytes=16384)
    (found,) = check_pages(host)
    assert found.state == "problem"
    assert found.fix == "echo kernel=kernel8.img | sudo tee -a /boot/firmware/config.txt && sudo reboot"


def test_page_size_does_not_matter_without_an_m2_coral(tmp_path: Path) -> None:
    assert check_pages(machine(tmp_path, usb(), page_bytes=16384)) == []
    assert [finding.state for finding in check_pages(machine(tmp_path, {"dev/apex_0": ""}))] == ["ok"]


def test_a_missing_library_is_a_problem_with_a_coral_and_nothing_without(tmp_path: Path) -> None:
    missing = {LIBRARY: printed(error="libedgetpu.so.1: cannot open shared object file", kind="OSError")}
    found = check_libedgetpu(machine(tmp_path / "a", usb(), missing), wanted=False)
    assert found.state == "problem"
    assert "feranick/libedgetpu" in found.fix
    assert check_libedgetpu(machine(tmp_path / "b", {}, missing), wanted=False).state == "unknown"
    assert check_libedgetpu(machine(tmp_path / "b", {}, missing), wanted=True).state == "problem"


def test_a_library_that_crashes_by_itself_is_reported(tmp_path: Path) -> None:
    found = check_libedgetpu(machine(tmp_path, usb(), {LIBRARY: CommandResult(-6)}), wanted=False)
    assert (found.state, found.found) == ("problem", "libedgetpu.so.1 crashes when it is loaded (SIGABRT)")


def test_a_library_without_a_debian_package_is_reported_by_its_own_version(tmp_path: Path) -> None:
    commands = {LIBRARY: printed(version=VERSION)}
    found = check_libedgetpu(machine(tmp_path, {}, commands), wanted=False)
    assert (found.state, found.found) == ("ok", "libedgetpu (no Debian package), runtime 14")


def test_a_library_that_crashes_the_runtime_is_too_old(tmp_path: Path) -> None:
    commands = {LIBRARY: printed(version=VERSION), DELEGATE: CommandResult(-11), **OLD_PACKAGE}
    found = check_libedgetpu(machine(tmp_path, usb(), commands), wanted=False)
    assert found.state == "problem"
    assert "libedgetpu 16.0, runtime 14 is too old" in found.found
    assert "feranick/libedgetpu" in found.fix


def test_a_library_that_refuses_the_coral_is_a_problem_with_its_reason(tmp_path: Path) -> None:
    refused = printed(error="Failed to load delegate from libedgetpu.so.1", kind="ValueError")
    commands = {LIBRARY: printed(version=VERSION), DELEGATE: refused, **NEW_PACKAGE}
    found = check_libedgetpu(machine(tmp_path, usb(), commands), wanted=False)
    assert found.state == "problem"
    assert "Failed to load delegate" in found.found


def test_a_library_that_opens_the_coral_is_ok(tmp_path: Path) -> None:
    commands = {LIBRARY: printed(version=VERSION), DELEGATE: printed(delegate="libedgetpu.so.1"), **NEW_PACKAGE}
    found = check_libedgetpu(machine(tmp_path, usb(), commands), wanted=False)
    assert found.state == "ok"
    assert "16.0TF2.17.1-1.bookworm" in found.found


def test_a_coral_in_use_is_not_opened_and_its_library_judged_by_the_package(tmp_path: Path) -> None:
    user = {"proc/812/fd/5": "-> /dev/bus/usb/002/007", "proc/812/comm": "edge-pose"}
    commands = {LIBRARY: printed(version=VERSION), **OLD_PACKAGE}
    host = machine(tmp_path, {**usb(), **user}, commands)
    found = check_libedgetpu(host, wanted=False)
    assert found.state == "warning"
    assert isinstance(host.run, Commands)
    assert DELEGATE not in host.run.asked


def test_the_pycoral_of_pypi_is_found_and_googles_is_not_blamed(tmp_path: Path) -> None:
    files = {
        "pypi/pycoral/cli.py": "",
        "pypi/pycoral-1.4.2.dist-info/METADATA": "",
        "google/pycoral/utils/edgetpu.py": "",
        "google/pycoral-2.0.0.dist-info/METADATA": "",
    }
    host = machine(tmp_path, files, python=python(path=(tmp_path / "google", tmp_path / "none", tmp_path / "pypi")))
    (found,) = check_pycoral(host)
    assert found.state == "warning"
    assert str(tmp_path / "pypi") in found.found
    assert found.fix.endswith("-m pip uninstall pycoral")
