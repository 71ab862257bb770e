"""Checks board, operating system, processor, Python and clock."""

from datetime import UTC, datetime

from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host

__all__ = ["check_architecture", "check_board", "check_clock", "check_os", "check_python"]

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 14)
"""The newest with wheels of ai-edge-litert."""
TESTED = ("bookworm", "trixie")
MACHINES = ("aarch64", "x86_64")
NEW_SYSTEM = "install Raspberry Pi OS Lite (64-bit), Bookworm or Trixie, with Raspberry Pi Imager"
FIRST_YEAR = 2025
"""A clock before that is not set: this program is newer."""


def check_board(host: Host) -> Finding:
    """Report the board."""
    return ok("board", host.board) if host.board else ok("board", "no Raspberry Pi")


def check_os(host: Host) -> Finding:
    """Check that the operating system is one of the tested ones."""
    fields = _os_release(host)
    name = fields.get("PRETTY_NAME", "")
    if not name:
        return unknown("os", "no name of the operating system in /etc/os-release")
    if fields.get("VERSION_CODENAME") in TESTED:
        return ok("os", name)
    return warning("os", f"{name}; tested on Debian and Raspberry Pi OS Bookworm and Trixie", NEW_SYSTEM)


def check_architecture(host: Host) -> Finding:
    """Check that the runtime has wheels for this processor; none for 32-bit ARM."""
    machine, bits = host.python.machine, host.python.bits
    if bits == 32 and machine in MACHINES:
        return problem("architecture", f"32-bit programs on a 64-bit kernel ({machine}): no TFLite runtime", NEW_SYSTEM)
    if bits == 32:
        return problem("architecture", f"{machine}, 32-bit: there is no TFLite runtime for it", NEW_SYSTEM)
    if machine not in MACHINES:
        return warning("architecture", f"{machine}, 64-bit: not tested", f"use one of {', '.join(MACHINES)}")
    return ok("architecture", f"{machine}, 64-bit")


def check_python(host: Host) -> Finding:
    """Check Python's version against the program and the runtime's wheels."""
    version = host.python.version
    found = f"{'.'.join(map(str, version))} in {host.python.prefix}"
    if version[:2] < OLDEST_PYTHON:
        return problem("python", f"{found}: 3.11 or later is needed", NEW_SYSTEM)
    if version[:2] > NEWEST_PYTHON:
        return warning("python", f"{found}: newer than the TFLite runtime's wheels", "use Python 3.11 to 3.14")
    return ok("python", found)


def check_clock(host: Host, *, uses_tls: bool) -> Finding:
    """Check that the clock is set and synchronized.

    Messages carry its time, and TLS certificates are not valid before their date.
    """
    clock = datetime.fromtimestamp(host.now_s, UTC)
    shown, fix = f"{clock:%Y-%m-%d %H:%M} UTC", "sudo timedatectl set-ntp true; timedatectl timesync-status"
    if clock.year < FIRST_YEAR:
        return problem("clock", f"{shown}: not set since the machine was switched on", fix)
    if host.clock_synced is False:
        found = f"{shown}, not synchronized with a time server"
        return problem("clock", f"{found}; TLS needs it", fix) if uses_tls else warning("clock", found, fix)
    return ok("clock", f"{shown}, synchronized" if host.clock_synced else shown)


def _os_release(host: Host) -> dict[str, str]:
    lines = host.text("/etc/os-release").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}
