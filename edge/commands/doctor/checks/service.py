"""Checks the systemd service: installed, enabled, running, restarts."""

from dataclasses import dataclass

from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host

__all__ = ["Unit", "check_service", "read_units"]

SERVICE = "edge-pose.service"
PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result,ExecMainStatus,User,SupplementaryGroups"
SYSTEMD = "/run/systemd/system"
"""Exists while systemd is the init system (sd_booted(3))."""
CONFIG_CODE = "78"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Properties of one service, as systemd reports them.

    Attributes:
        name: of the unit.
        active: ActiveState: `active`, `failed`, `inactive`, `activating` and so on.
        sub: SubState, such as `auto-restart`.
        enabled: UnitFileState; `enabled` if it starts at boot.
        restarts: number of restarts by systemd.
        result: reason of its last end.
        status: exit code of its last end.
        user: user that it runs as.
        groups: SupplementaryGroups of the unit.
    """

    name: str = SERVICE
    active: str = "active"
    sub: str = "running"
    enabled: str = "enabled"
    restarts: int = 0
    result: str = "success"
    status: str = "0"
    user: str = "root"
    groups: tuple[str, ...] = ()


def read_units(host: Host) -> list[Unit] | None:
    """Return the installed services of this program; None without systemd."""
    if not host.exists(SYSTEMD):
        return None
    instances = host.run(("systemctl", "list-units", "--all", "--plain", "--no-legend", "edge-pose@*.service"))
    names = [line.split()[0] for line in instances.out.splitlines() if line.startswith("edge-pose@")]
    shown = host.run(("systemctl", "show", f"--property={PROPERTIES}", SERVICE, *names))
    blocks = [_fields(block) for block in shown.out.split("\n\n")]
    return [_unit(fields) for fields in blocks if fields.get("LoadState") == "loaded"]


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _unit(fields: dict[str, str]) -> Unit:
    restarts = fields.get("NRestarts", "")
    return Unit(
        name=fields.get("Id", SERVICE),
        active=fields.get("ActiveState", ""),
        sub=fields.get("SubState", ""),
        enabled=fields.get("UnitFileState", ""),
        restarts=int(restarts) if restarts.isdecimal() else 0,
        result=fields.get("Result", ""),
        status=fields.get("ExecMainStatus", ""),
        user=fields.get("User") or "root",
        groups=tuple(fields.get("SupplementaryGroups", "").split()),
    )


def check_service(units: list[Unit] | None) -> list[Finding]:
    """Check the state of the services."""
    if units is None:
        return [unknown("service", "no systemd here")]
    if not units:
        return [unknown("service", "not installed: nothing starts at boot", "sudo systemd/install.sh")]
    in_use = [unit for unit in units if unit.name != SERVICE or unit.active != "inactive"] or units
    return [_judge(unit) for unit in in_use]


def _judge(unit: Unit) -> Finding:
    state = f"{unit.active} ({unit.sub})"
    logs = f"journalctl -u {unit.name} -n 50"
    if unit.active == "failed" and unit.status == CONFIG_CODE:
        return problem("service", f"{state}: its config or model is wrong (exit code 78)", logs, unit.name)
    if unit.active == "failed" or unit.sub == "auto-restart":
        found = f"{state}, {unit.result}, exit code {unit.status}, restarted {unit.restarts} times"
        return problem("service", found, logs, unit.name)
    if unit.active not in ("active", "activating", "reloading"):
        return warning("service", f"{state}: not running", f"sudo systemctl enable --now {unit.name}", unit.name)
    if unit.enabled not in ("enabled", "enabled-runtime", "static", "generated"):
        return warning("service", f"{state}, not started at boot", f"sudo systemctl enable {unit.name}", unit.name)
    if unit.restarts:
        return warning("service", f"{state}, failed and restarted {unit.restarts} times", logs, unit.name)
    return ok("service", f"{state}, starts at boot, user {unit.user}", unit.name)
