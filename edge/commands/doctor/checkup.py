"""Runs all checks in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.agent.vitals import written_paths
from edge.commands.doctor.checks.broker import check_broker, log_in
from edge.commands.doctor.checks.cameras import check_configured_camera, check_pi_cameras, check_video_nodes
from edge.commands.doctor.checks.configuration import (
    Setup,
    check_config,
    check_model,
    read_setup,
    where_models_are,
    working_folder,
)
from edge.commands.doctor.checks.coral import check_coral, check_libedgetpu, check_pages, check_pycoral
from edge.commands.doctor.checks.groups import check_groups
from edge.commands.doctor.checks.resources import (
    check_disks,
    check_memory,
    check_memory_cgroup,
    check_power,
    check_temperature,
    check_throttling,
)
from edge.commands.doctor.checks.service import Unit, check_service, read_units
from edge.commands.doctor.checks.software import check_opencv, check_picamera2, check_runtime
from edge.commands.doctor.checks.system import check_architecture, check_board, check_clock, check_os, check_python
from edge.commands.doctor.finding import Finding, State, unknown
from edge.commands.doctor.host import Host
from edge.engine.coral import list_tpus
from edge.errors import EdgeError
from edge.mqtt.settings import MqttSettings

__all__ = ["Checkup", "Section", "examine"]

Check = Callable[[], Finding | Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Section:
    """Findings of one part of the machine."""

    title: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Checkup:
    """Findings of all checks."""

    sections: tuple[Section, ...]

    def count(self, state: State) -> int:
        """Return the number of findings with a state."""
        return sum(finding.state == state for section in self.sections for finding in section.findings)


def examine(host: Host, config: Path | None = None, login: Callable[[MqttSettings], None] = log_in) -> Checkup:
    """Run all checks.

    Args:
        host: the machine.
        config: a config file; None for the service's.
        login: logs in to the broker and leaves.

    Raises:
        InputError: `config` cannot be read.
    """
    setup = read_setup(host, config)
    units = read_units(host)
    sections = (
        _section("machine", *_machine(host, setup)),
        _section("power and room", *_resources(host, setup)),
        _section("program", *_program(host, setup)),
        _section("edge tpu", *_coral(host, setup)),
        _section("cameras", *_cameras(host, setup, _unit_of(units))),
        _section("broker", lambda: check_broker(host, setup, login)),
        _section("service", lambda: check_service(units)),
    )
    return Checkup(tuple(section for section in sections if section.findings))


def _machine(host: Host, setup: Setup) -> tuple[Check, ...]:
    return (
        lambda: check_board(host),
        lambda: check_os(host),
        lambda: check_architecture(host),
        lambda: check_python(host),
        lambda: check_clock(host, uses_tls=setup.config.mqtt.url.startswith("mqtts:")),
    )


def _resources(host: Host, setup: Setup) -> tuple[Check, ...]:
    return (
        lambda: check_power(host),
        lambda: check_throttling(host),
        lambda: check_temperature(host),
        lambda: check_memory(host),
        lambda: check_memory_cgroup(host),
        lambda: check_disks(host, _outputs(host, setup)),
    )


def _program(host: Host, setup: Setup) -> tuple[Check, ...]:
    return (
        lambda: check_config(setup),
        lambda: check_model(host, setup),
        lambda: check_runtime(host),
        lambda: check_opencv(host),
    )


def _coral(host: Host, setup: Setup) -> tuple[Check, ...]:
    wanted = setup.config.model.delegate == "edgetpu"
    return (
        lambda: check_coral(host, wanted=wanted),
        lambda: check_pages(host),
        lambda: check_libedgetpu(host, wanted=wanted),
        lambda: check_pycoral(host),
    )


def _cameras(host: Host, setup: Setup, unit: Unit | None) -> tuple[Check, ...]:
    source = setup.config.camera.source
    wants_pi = source == "pi" or source.startswith("pi:")
    nodes = _attempt(lambda: check_video_nodes(host))
    own = _attempt(lambda: check_pi_cameras(host, wanted=wants_pi))
    has_own = any(finding.subject.startswith("pi:") for finding in own)
    return (
        lambda: nodes or ([] if has_own else [unknown("camera", "none on USB")]),
        lambda: own,
        lambda: check_configured_camera(host, source),
        lambda: check_picamera2(host, wanted=wants_pi or has_own),
        lambda: check_groups(host, unit, has_cameras=bool(nodes) or has_own, has_coral=bool(list_tpus(host.root, []))),
    )


def _outputs(host: Host, setup: Setup) -> dict[str, Path]:
    """Return each kind of output and its path."""
    try:
        cache = where_models_are(host, setup).cache
    except EdgeError:  # reported by check_model
        cache = Path("/var/cache")
    written = written_paths(setup.config.output, cache)
    if setup.is_system:  # relative paths are the service's
        folder = host.path(working_folder(setup.path))
        written = {kind: folder / path for kind, path in written.items()}
    return {"system": host.path("/"), **written}


def _unit_of(units: list[Unit] | None) -> Unit | None:
    return units[0] if units else None


def _section(title: str, *checks: Check) -> Section:
    return Section(title, tuple(finding for check in checks for finding in _attempt(check)))


def _attempt(check: Check) -> list[Finding]:
    """Run a check; a bug in it becomes a finding, so that the others still run."""
    try:
        found = check()
    except Exception as error:  # noqa: BLE001 - reported as a finding
        text = " ".join(str(error).split())
        return [unknown("doctor", f"a bug in a check: {type(error).__name__}: {text}")]
    return [found] if isinstance(found, Finding) else list(found)
