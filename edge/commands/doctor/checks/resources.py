"""Checks power supply, temperature, memory and disk."""

import re
from collections.abc import Mapping
from pathlib import Path

from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host
from edge.host.machine import available_memory_bytes, cpu_temperature_c, total_memory_bytes
from edge.host.power import Throttling, firmware_flags, read_throttling

__all__ = ["check_disks", "check_memory", "check_memory_cgroup", "check_power", "check_temperature", "check_throttling"]

HOT_C = 80.0
"""A Raspberry Pi throttles from here on."""
WARM_C = 70.0
SCARCE_MEMORY_BYTES = 150 << 20
"""About what the program uses."""
FULL_DISK_BYTES = 100 << 20
SCARCE_DISK_BYTES = 1 << 30
NEW_SUPPLY = (
    "use the official power supply (Pi 4: 5.1 V 3 A, Pi 5: 5.1 V 5 A), a short cable, and a powered hub for cameras"
)
COOL = "give it a heat sink or a fan, and its case holes; vcgencmd measure_temp"
COMMAND_LINE = ("/boot/firmware/cmdline.txt", "/boot/cmdline.txt")


def check_power(host: Host) -> Finding:
    """Check for under-voltage, now and since boot."""
    report = _throttling(host)
    if report is None or report.under_voltage is None:
        return unknown("power", "this machine does not report under-voltage")
    if report.under_voltage:
        return problem("power", "under-voltage now: the power supply is too weak", NEW_SUPPLY)
    if report.under_voltage_since_boot:
        return warning("power", "under-voltage since the machine was switched on", NEW_SUPPLY)
    return ok("power", "no under-voltage")


def check_throttling(host: Host) -> Finding:
    """Check whether the firmware throttles the processor, now or since boot."""
    report = _throttling(host)
    if report is None or report.throttled is None:
        return unknown("throttling", "this machine does not report throttling")
    now = _slowdowns(report, "")
    past = _slowdowns(report, "_since_boot")
    if now:
        return warning("throttling", f"slowed down now: {', '.join(now)}", COOL)
    if past:
        return warning("throttling", f"was slowed down since it was switched on: {', '.join(past)}", COOL)
    return ok("throttling", "not slowed down since it was switched on")


def _throttling(host: Host) -> Throttling | None:
    """Return the throttling state, from sysfs and the firmware: only the latter has all flags since boot."""
    sysfs, firmware = firmware_flags(host.root), host.firmware()
    if sysfs is None and firmware is None:
        return read_throttling(host.root)
    return Throttling.of((sysfs or 0) | (firmware or 0))


def check_temperature(host: Host) -> Finding:
    """Check the processor's temperature."""
    celsius = cpu_temperature_c(host.root)
    if celsius is None:
        return unknown("temperature", "this machine does not report its temperature")
    if celsius >= WARM_C:
        found = f"{celsius:.0f} °C; a Raspberry Pi slows down from {HOT_C:.0f} °C on"
        return warning("temperature", found, COOL)
    return ok("temperature", f"{celsius:.0f} °C")


def check_memory(host: Host) -> Finding:
    """Check the available memory."""
    free, total = available_memory_bytes(host.root), total_memory_bytes(host.root)
    if free is None or total is None:
        return unknown("memory", "this machine does not report its memory")
    found = f"{_size_text(free)} of {_size_text(total)} available"
    if free < SCARCE_MEMORY_BYTES:
        return warning("memory", found, "stop the programs that use it: ps -eo rss,pid,args --sort=-rss | head")
    return ok("memory", found)


def check_memory_cgroup(host: Host) -> Finding:
    """Check that the kernel can limit a service's memory; Raspberry Pi OS disables it."""
    controllers = host.text("/sys/fs/cgroup/cgroup.controllers").split()
    if "memory" in controllers or host.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        return ok("memory-cgroup", "on: the service's MemoryMax holds")
    is_off = "cgroup_disable=memory" in host.text("/proc/cmdline").split()
    if not controllers and not is_off:
        return unknown("memory-cgroup", "not reported in /sys/fs/cgroup/cgroup.controllers")
    return warning(
        "memory-cgroup",
        f"off{' (cgroup_disable=memory)' if is_off else ''}: the service's MemoryMax has no effect",
        _enable_memory_cgroup(host),
    )


def _enable_memory_cgroup(host: Host) -> str:
    file = next((name for name in COMMAND_LINE if host.exists(name)), COMMAND_LINE[0])
    return f"sudo sed -i '1 s/$/ cgroup_enable=memory/' {file} && sudo reboot"


def check_disks(host: Host, folders: Mapping[str, Path]) -> list[Finding]:
    """Check the free space where the program writes.

    Args:
        host: the machine.
        folders: kind of output to its file or folder.
    """
    free = {kind: host.free_bytes(path) for kind, path in folders.items()}
    found = []
    for alike in dict.fromkeys(map(_shown, free.values())):  # one finding per disk, since most are on one
        kinds = [kind for kind in folders if _shown(free[kind]) == alike]
        paths = ", ".join(str(folders[kind]) for kind in kinds)
        found.append(_check_disk(", ".join(kinds), paths, free[kinds[0]]))
    return found


def _shown(free: int | None) -> str:
    return "" if free is None else _size_text(free)


def _check_disk(kind: str, paths: str, free: int | None) -> Finding:
    if free is None:
        return unknown("disk", f"{paths}: free space unknown", subject=kind)
    found = f"{_size_text(free)} free for {paths}"
    fix = "sudo apt clean; sudo journalctl --vacuum-size=50M; sudo du -xh --max-depth=3 / | sort -h | tail"
    if free < FULL_DISK_BYTES:
        return problem("disk", f"{found}: full", fix, kind)
    if free < SCARCE_DISK_BYTES:
        return warning("disk", f"{found}: nearly full", fix, kind)
    return ok("disk", found, kind)


def _size_text(size_bytes: int) -> str:
    """Return a size in MB or GB."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def _slowdowns(report: Throttling, suffix: str) -> list[str]:
    names = ("throttled", "frequency_capped", "soft_temperature_limit")
    return [re.sub("_", " ", name) for name in names if getattr(report, name + suffix)]
