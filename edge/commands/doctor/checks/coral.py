"""Checks the Edge TPU: present, port, permissions, libedgetpu."""

import re
from pathlib import Path

from edge.commands.doctor.checks.software import pip
from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host
from edge.commands.doctor.run_probe import run_probe
from edge.engine.coral import ADVICE, EDGETPU_LIBRARY, Tpu, list_tpus

__all__ = ["check_coral", "check_libedgetpu", "check_pages", "check_pycoral"]

USB_3_MBIT_S = 5000
PCI_ID = ("0x1ac1", "0x089a")
"""Vendor and device id of the M.2 and Mini PCIe Coral (google-coral's gasket driver)."""
UDEV_RULE = "70-edge-pose-coral.rules"
PACKAGES = ("libedgetpu1-std", "libedgetpu1-max")
BIG_PAGE_BYTES = 16384
BOOT_CONFIG = ("/boot/firmware/config.txt", "/boot/config.txt")


def check_coral(host: Host, *, wanted: bool) -> list[Finding]:
    """Check the Edge TPUs on USB and PCI Express.

    Args:
        host: the machine.
        wanted: whether the config asks for one.
    """
    found = [_judge(host, tpu) for tpu in list_tpus(host.root, [])]
    if found:
        return found
    if _is_on_pci(host):
        fix = "sudo apt install gasket-dkms (built at github.com/feranick/gasket-driver/releases) && sudo reboot"
        return [problem("coral", "an M.2 Coral without its driver: there is no /dev/apex_0", fix)]
    if wanted:
        fix = 'plug it in (lsusb shows 1a6e:089a or 18d1:9302), or set model.delegate = "auto"'
        return [problem("coral", "no Edge TPU, and model.delegate asks for one", fix)]
    return [unknown("coral", "no Edge TPU: models run on the CPU")]


def _judge(host: Host, tpu: Tpu) -> Finding:
    node = _device_node(host, tpu)
    if node and not host.may_use(host.path(node)):
        found = f"{node} may not be used by {host.user.name}"
        return problem("coral", f"{_kind(tpu)}: {found}", _permit(host, tpu), node)
    if tpu.speed_mbit_s is not None and tpu.speed_mbit_s < USB_3_MBIT_S:
        found = f"{_kind(tpu)} on a port of {tpu.speed_mbit_s} Mbit/s (USB 2): inference takes several times as long"
        return warning("coral", found, "move it to a blue USB 3 port, with a USB 3 cable", node)
    speed = f", {tpu.speed_mbit_s} Mbit/s" if tpu.speed_mbit_s else ""
    users = "".join(f", in use by {holder}" for holder in host.holders(node))
    return ok("coral", f"{_kind(tpu)}{speed}{users}", node)


def _kind(tpu: Tpu) -> str:
    if tpu.bus == "pci":
        return "M.2 Coral"
    return "USB Coral" if tpu.is_awake else "USB Coral, not used since it was plugged in"


def _device_node(host: Host, tpu: Tpu) -> str:
    """Return the device file of an Edge TPU; empty if unknown."""
    if tpu.bus == "pci":
        return f"/dev/{Path(tpu.path).name}"
    folder = f"/sys/bus/usb/devices/{Path(tpu.path).name}"
    bus, number = host.text(f"{folder}/busnum"), host.text(f"{folder}/devnum")
    is_known = bus.isdecimal() and number.isdecimal()
    return f"/dev/bus/usb/{int(bus):03}/{int(number):03}" if is_known else ""


def _permit(host: Host, tpu: Tpu) -> str:
    if UDEV_RULE in host.names("/etc/udev/rules.d"):
        return f"sudo usermod -aG plugdev {host.user.name}, then log in again"
    again = "plug it in again" if tpu.bus == "usb" else "sudo udevadm trigger --subsystem-match=apex"
    return f"sudo cp systemd/{UDEV_RULE} /etc/udev/rules.d/ && sudo udevadm control --reload; then {again}"


def _is_on_pci(host: Host) -> bool:
    folder = "/sys/bus/pci/devices"
    return any(
        (host.text(f"{folder}/{name}/vendor"), host.text(f"{folder}/{name}/device")) == PCI_ID
        for name in host.names(folder)
    )


def check_pages(host: Host) -> list[Finding]:
    """Check the page size for an M.2 Coral: its driver fails with the Pi 5 kernel's 16 KB."""
    if not _is_on_pci(host) and not any(name.startswith("apex_") for name in host.names("/dev")):
        return []
    if host.page_bytes != BIG_PAGE_BYTES:
        return [ok("pages", f"{host.page_bytes // 1024} KB")]
    file = next((name for name in BOOT_CONFIG if host.exists(name)), BOOT_CONFIG[0])
    fix = f"echo kernel=kernel8.img | sudo tee -a {file} && sudo reboot"
    return [problem("pages", "this kernel has 16 KB pages, with which an M.2 Coral's driver fails", fix)]


def check_libedgetpu(host: Host, *, wanted: bool) -> Finding:
    """Load libedgetpu in a child, then open a TPU unless it is in use.

    Args:
        host: the machine.
        wanted: whether the config asks for an Edge TPU.
    """
    tpus = list_tpus(host.root, [])
    loaded = run_probe(host, "library", EDGETPU_LIBRARY)
    kind, error = loaded.get("kind", ""), str(loaded.get("error", ""))
    if kind and not tpus and not wanted:
        return unknown("libedgetpu", "not installed; only a Coral needs it")
    if kind:
        what = f"crashes when it is loaded ({error})" if kind == "crash" else f"cannot be loaded: {error}"
        return problem("libedgetpu", f"{EDGETPU_LIBRARY} {what}", ADVICE)
    version = _version(host, str(loaded.get("version", "")))
    if not tpus or any(host.holders(_device_node(host, tpu)) for tpu in tpus):
        return _judge_version(host, version)
    opened = run_probe(host, "delegate", EDGETPU_LIBRARY)
    kind, error = opened.get("kind", ""), str(opened.get("error", ""))
    if kind == "crash":
        return problem("libedgetpu", f"{version} is too old for this TFLite runtime: it crashes ({error})", ADVICE)
    if kind:
        fix = f"plug the Coral in again; see coral and groups in this list; {ADVICE}"
        return problem("libedgetpu", f"{version} does not open the Edge TPU: {error}", fix)
    return ok("libedgetpu", f"{version}, opens the Edge TPU")


def _judge_version(host: Host, version: str) -> Finding:
    if _package(host) and "TF" not in _package(host).upper():
        return warning("libedgetpu", f"{version} is Google's of 2021: it crashes with a newer TFLite runtime", ADVICE)
    return ok("libedgetpu", version)


def _version(host: Host, reported: str) -> str:
    runtime = re.search(r"RuntimeVersion\((\d+)\)", reported)
    return f"libedgetpu {_package(host) or '(no Debian package)'}" + (f", runtime {runtime[1]}" if runtime else "")


def _package(host: Host) -> str:
    for package in PACKAGES:
        ran = host.run(("dpkg-query", "-W", "-f=${Version}", package))
        if ran.code == 0 and ran.out.strip():
            return ran.out.strip()
    return ""


def check_pycoral(host: Host) -> list[Finding]:
    """Check for PyPI's package `pycoral`, which is not Google's."""
    for folder in host.python.path:
        has_folder = (folder / "pycoral").is_dir()
        is_googles = (folder / "pycoral/utils/edgetpu.py").is_file()
        is_listed = any(folder.glob("pycoral-*.dist-info"))
        if (has_folder or is_listed) and not is_googles:
            found = f"the package pycoral in {folder} is not Google's, but a tool for maps of coral reefs"
            return [warning("pycoral", found, pip(host, "uninstall pycoral"))]
    return []
