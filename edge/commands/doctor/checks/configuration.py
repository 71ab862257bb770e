"""Checks the config of this machine and the model it names."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host
from edge.config import Config, load
from edge.config.schema import SYSTEM_CONFIG
from edge.errors import ConfigError, EdgeError, InputError, UnavailableError
from edge.models.files import model_row, resolve_file
from edge.models.manifest import load_manifest
from edge.models.places import MIRROR_VARIABLE, Places, places
from edge.models.selection import PACKAGE_ONLY, STARTER

__all__ = [
    "SYSTEM_CONFIG",
    "Setup",
    "check_config",
    "check_model",
    "read_setup",
    "where_models_are",
    "working_folder",
]

SYSTEM_FOLDER = "/var/lib/edge-pose"
"""The service's WorkingDirectory; that of edge-pose@NAME is the folder NAME in it."""
SYSTEM_CACHE = "/var/cache/edge-pose"
"""The service's CacheDirectory."""
FETCH_VARIABLES = ("CACHE_DIRECTORY", "EDGE_POSE_CACHE", MIRROR_VARIABLE)
SYSTEM_ENVIRONMENT = "/etc/edge-pose/environment"
"""The service's EnvironmentFile: one variable per line."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The config under examination and where it is from.

    Attributes:
        config: as a run would have it; the defaults if it cannot be read.
        path: the file; None if there is none.
        problems: what is wrong with it, one line each.
        is_unreadable: whether this user may not read it.
        is_system: whether it is a service's, with its cache, mirror and password.
    """

    config: Config
    path: Path | None = None
    problems: tuple[str, ...] = ()
    is_unreadable: bool = False
    is_system: bool = False

    @property
    def is_known(self) -> bool:
        """Whether `config` is what a run would have."""
        return not self.problems and not self.is_unreadable


def read_setup(host: Host, path: Path | None) -> Setup:
    """Read a config file, or the service's if none is named.

    Raises:
        InputError: the named file cannot be read.
    """
    system = host.path(SYSTEM_CONFIG)
    file = path or (system if host.exists(SYSTEM_CONFIG) else None)
    is_system = file is not None and file.parent == system.parent
    try:
        return Setup(load(file), file, is_system=is_system)
    except InputError:
        if path is not None:
            raise
        return Setup(load(), file, is_unreadable=True, is_system=True)
    except ConfigError as error:
        return Setup(load(), file, error.problems, is_system=is_system)


def check_config(setup: Setup) -> Finding:
    """Report which config was examined and what is wrong with it."""
    if setup.path is None:
        return ok("config", f"none at {SYSTEM_CONFIG}: the defaults are examined; --config FILE names another")
    if setup.is_unreadable:
        return unknown("config", f"{setup.path} cannot be read by this user", "sudo edge-pose doctor")
    if setup.problems:
        more = f" (and {len(setup.problems) - 1} more)" if setup.problems[1:] else ""
        fix = f"edge-pose config check {shlex.quote(str(setup.path))}"
        return problem("config", f"{setup.problems[0]}{more}", fix)
    return ok("config", f"{setup.path}: no mistakes found")


def working_folder(config: Path | None) -> str:
    """Return the folder in which the service with this config writes files without a path."""
    is_instance = config is not None and config.name != Path(SYSTEM_CONFIG).name
    return f"{SYSTEM_FOLDER}/{config.stem}" if is_instance and config is not None else SYSTEM_FOLDER


def where_models_are(host: Host, setup: Setup) -> Places:
    """Return the model folders of a run with this config. Raises UnavailableError."""
    return places(_environ(host, setup))


def _environ(host: Host, setup: Setup) -> Mapping[str, str]:
    """Return the environment of a run with this config; a service's is from systemd and a file."""
    if not setup.is_system:
        return host.environ
    lines = [line.strip() for line in host.text(SYSTEM_ENVIRONMENT).splitlines()]
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith(("#", ";")))
    listed = {key.strip(): value.strip().strip("\"'") for key, value in pairs}
    return {"CACHE_DIRECTORY": str(host.path(SYSTEM_CACHE)), **listed}


def check_model(host: Host, setup: Setup) -> Finding:
    """Check that the model's file is here and has its digest."""
    if not setup.is_known:
        return unknown("model", "not checked: the config, which names it, cannot be read")
    file, name = setup.config.model.file, setup.config.model.name
    try:
        if file:
            return ok("model", str(resolve_file(Path(file)).path), file)
        if _is_bundled(name):  # a mirror does not matter
            return _check_named(host, setup, name, PACKAGE_ONLY)
        away = _check_mirror(host, setup)
        if name:
            return away or _check_named(host, setup, name, where_models_are(host, setup))
        return _check_default(host, setup, away)
    except EdgeError as error:
        return problem("model", str(error).splitlines()[0], "edge-pose models list", file or name)


def _check_default(host: Host, setup: Setup, away: Finding | None) -> Finding:
    """Check that the default is here; without it a run falls back to the starter. Raises EdgeError."""
    how = "meanwhile a run takes"
    try:
        found = away or _check_named(host, setup, "", where_models_are(host, setup))
        how = how if away else "a run fetches it when it starts, else takes"
    except UnavailableError as error:
        found = problem("model", str(error), "edge-pose models list")
    if found.state != "problem" or setup.config.model.delegate == "edgetpu":
        return found
    starter = model_row(STARTER, load_manifest(), PACKAGE_ONLY)
    if starter.state != "ok":
        return found
    text = f"{found.found}: {how} '{STARTER}', which finds fewer people"
    return warning("model", text, found.fix, found.subject)


def _check_mirror(host: Host, setup: Setup) -> Finding | None:
    """Report a missing folder of the mirror, as before its disk is mounted: a run then fetches nothing."""
    mirror = _environ(host, setup).get(MIRROR_VARIABLE, "")
    if not mirror or "://" in mirror or not _is_missing(Path(mirror)):
        return None
    place = SYSTEM_ENVIRONMENT if setup.is_system else MIRROR_VARIABLE
    found = f"the mirror's folder {mirror} ({MIRROR_VARIABLE}) is not there"
    return problem("model", found, f"mount it, or name another one in {place}", setup.config.model.name)


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it may exist: `places` raises the error for that
        return False
    return False


def _is_bundled(name: str) -> bool:
    entry = load_manifest().entries.get(name)
    return entry is not None and entry.bundled


def _check_named(host: Host, setup: Setup, name: str, where: Places) -> Finding:
    row = model_row(name, load_manifest(where.mirror), where)
    name = row.entry.name
    fetch = _fetch_command(host, setup, name)
    if row.state == "missing":
        folders = ", ".join(str(folder) for folder in (where.mirror, where.cache) if folder)
        return problem("model", f"not on this machine: {folders}", fetch, name)
    if row.state == "no digest":
        found = f"{row.path}: not loaded, because no digest is known to verify it with"
        return problem("model", found, f"{fetch} --accept-digest {row.digest or 'SHA256'}", name)
    if row.state != "ok":
        return warning("model", f"{row.path}: {row.state}", fetch, name)
    return ok("model", f"{row.path}, verified", name)


def _fetch_command(host: Host, setup: Setup, name: str) -> str:
    command = f"edge-pose models fetch {name}"
    if not setup.is_system:
        return command
    variables = {key: value for key, value in _environ(host, setup).items() if key in FETCH_VARIABLES}
    words = " ".join(f"{key}={shlex.quote(value)}" for key, value in sorted(variables.items()))
    return f"sudo -u edge-pose env -C / {words} {command}"
