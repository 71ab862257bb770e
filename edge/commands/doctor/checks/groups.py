"""Checks that the user is in the groups of the devices."""

from edge.commands.doctor.checks.service import Unit
from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host

__all__ = ["check_groups"]

GROUPS = {"video": "cameras", "render": "graphics", "plugdev": "the USB Coral"}


def check_groups(host: Host, unit: Unit | None, *, has_cameras: bool, has_coral: bool) -> Finding:
    """Check the groups of the service's user, or of this user without a service.

    Args:
        host: the machine.
        unit: the service; None: not installed.
        has_cameras: whether a missing `video` is a problem.
        has_coral: whether a missing `plugdev` is one.
    """
    user, has = (host.user.name, host.user.groups) if unit is None else (unit.user, _groups_of(host, unit))
    known = _members(host)
    if user in ("root", ""):
        return ok("groups", "root needs none")
    if not known:
        return unknown("groups", "no groups found in /etc/group")
    missing = [group for group in GROUPS if group in known and group not in has]
    if not missing:
        return ok("groups", f"{user} is in {', '.join(group for group in GROUPS if group in known) or 'all there are'}")
    what = "; ".join(f"{group} for {GROUPS[group]}" for group in missing)
    needed = ("video" in missing and has_cameras) or ("plugdev" in missing and has_coral)
    judge = problem if needed else warning
    again = "log in again" if unit is None else "sudo systemctl restart edge-pose"
    return judge("groups", f"{user} is not in {what}", f"sudo usermod -aG {','.join(missing)} {user}; then {again}")


def _groups_of(host: Host, unit: Unit) -> frozenset[str]:
    members = _members(host)
    listed = {group for group, users in members.items() if unit.user in users}
    return frozenset({*unit.groups, *listed, *_primary(host, unit.user)})


def _members(host: Host) -> dict[str, list[str]]:
    rows = (line.split(":") for line in host.text("/etc/group").splitlines())
    return {row[0]: row[3].split(",") for row in rows if len(row) == 4}


def _primary(host: Host, user: str) -> list[str]:
    rows = [line.split(":") for line in host.text("/etc/passwd").splitlines()]
    gid = next((row[3] for row in rows if len(row) > 3 and row[0] == user), None)
    groups = (line.split(":") for line in host.text("/etc/group").splitlines())
    return [row[0] for row in groups if len(row) == 4 and row[2] == gid]
