"""Which model a run takes: the one that it names, else the default, else the starter, which came with the program.

A name is a choice, and nothing takes its place. The default is only the best that there is: where it cannot be had,
people found by a small model are better than none, as long as that is told. A service on the starter goes on trying
for the default (`edge.agent.model_watch`).
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.config.schema import ModelConfig
from edge.errors import EdgeError, UnavailableError
from edge.models.files import ResolvedModel, resolve, resolve_file
from edge.models.manifest import Manifest, ModelEntry, load_manifest
from edge.models.places import MIRROR_VARIABLE, Places, is_folder, places

# What downloads stands inside the functions: with a model on this machine it is never loaded.
# ruff: noqa: PLC0415

__all__ = [
    "NOWHERE",
    "STARTER",
    "WAITS",
    "Choice",
    "Fetch",
    "Waits",
    "asked_for",
    "choose_model",
    "find_named",
    "is_named",
    "may_pass",
    "stand_in",
]

STARTER = "starter"
NOWHERE = Places(None, Path("/nonexistent"))
"""Only what came with the program."""

log = logging.getLogger(__name__)

Fetch = Callable[[ModelEntry, Places], Path]
"""Brings the file of a model into the cache, verified, and returns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """When a service tries for the default: before it starts without, and while it runs on the starter.

    Attributes:
        start_s: what the network is given to come up before the start: WiFi takes longer than a boot.
        start_pause_s: between two tries before the start.
        first_s: from the start on the starter to the next try; doubled for each one after it.
        max_s: the longest pause between two tries.
        hopeless_s: instead, after a failure that no network mends: each such try may fetch a whole wrong file.
    """

    start_s: float = 20.0
    start_pause_s: float = 1.0
    first_s: float = 60.0
    max_s: float = 15 * 60.0
    hopeless_s: float = 6 * 3600.0


WAITS = Waits()
"""What a service uses; tests have less patience."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The model of a run.

    Attributes:
        model: its file.
        manifest: the models known by name; without any where the model was given by its path.
        where: where others of the manifest come from.
        trouble: that it stands in for another; empty where it is the one that was wanted.
        awaited: why the other could not be had, where a service should go on trying for it.
    """

    model: ResolvedModel
    manifest: Manifest
    where: Places
    trouble: str = ""
    awaited: UnavailableError | None = None


def choose_model(
    config: ModelConfig,
    environ: Mapping[str, str] = os.environ,
    *,
    waits: Waits = WAITS,
    box: Places = NOWHERE,
) -> Choice:
    """Find and verify the model of a run, fetching it if need be; where no default can be had it is the starter.

    Args:
        config: of the run.
        environ: names mirror and cache, and tells whether this is a service (`NOTIFY_SOCKET`).
        waits: how long a service tries to reach the default.
        box: whose package has the starter.

    Raises:
        EdgeError: the model that was named cannot be had or read; the starter is damaged; a manifest has mistakes.
    """
    if is_named(config):
        return asked_for(config, environ)
    is_service = bool(environ.get("NOTIFY_SOCKET"))
    try:
        return _default(config, environ, waits.start_s if is_service else 0.0, waits.start_pause_s)
    except UnavailableError as error:
        return stand_in(error, config, box, awaited=error if is_service else None)


def fetch_shown(entry: ModelEntry, where: Places) -> Path:
    """Fetch a model, with progress on stderr. Raises UnavailableError."""
    from edge.download.progress import ConsoleProgress
    from edge.models.fetch import Fetcher

    return Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch(entry)


def asked_for(
    config: ModelConfig, environ: Mapping[str, str] = os.environ, *, fetch: Fetch | None = fetch_shown
) -> Choice:
    """Find and verify the model of a config and no other.

    Args:
        config: of the run.
        environ: names mirror and cache.
        fetch: what brings it where it is not on this machine; None: nothing is fetched.

    Raises:
        EdgeError: it cannot be had or read, or a manifest has mistakes.
    """
    if config.file:
        return Choice(resolve_file(Path(config.file)), Manifest("", {}), NOWHERE)
    own = load_manifest()
    if config.name in own.entries and own.entries[config.name].bundled:  # no mirror has a say in it
        return Choice(resolve(config.name, own, NOWHERE), own, NOWHERE)
    where = places(environ)
    manifest = _manifest(where)
    return Choice(find_named(config.name, manifest, where, fetch=fetch), manifest, where)


def find_named(name: str, manifest: Manifest, where: Places, *, fetch: Fetch | None = fetch_shown) -> ResolvedModel:
    """Find a model by name, "" being the default, and verify it; fetch it if need be. Raises EdgeError."""
    return resolve(name, manifest, where, fetch=None if fetch is None else lambda entry: fetch(entry, where))


def may_pass(error: UnavailableError, environ: Mapping[str, str]) -> bool:
    """Return whether another try for a model may help: a network that comes up, a mirror that is mounted."""
    from edge.download.http import TransferError

    if isinstance(error, TransferError):
        return error.hope != "none"
    mirror = environ.get(MIRROR_VARIABLE, "")
    return bool(mirror) and "://" not in mirror and not is_folder(Path(mirror))


def _default(config: ModelConfig, environ: Mapping[str, str], wait_s: float, pause_s: float) -> Choice:
    """Return the default; while nothing can be reached, try for `wait_s` more seconds."""
    until_s = time.monotonic() + wait_s
    is_told = False
    while True:
        try:
            return asked_for(config, environ)
        except UnavailableError as error:
            if time.monotonic() >= until_s or not may_pass(error, environ):
                raise
            if not is_told:
                log.info("no network for the model yet, or no mirror: trying for %g s", wait_s)
            is_told = True
        time.sleep(pause_s)


def is_named(config: ModelConfig) -> bool:
    """Return whether a run takes the model that the config asks for or none, so that there is no starter for it."""
    return bool(config.file or config.name or config.delegate == "edgetpu")


def stand_in(
    reason: EdgeError,
    config: ModelConfig,
    box: Places = NOWHERE,
    *,
    awaited: UnavailableError | None = None,
    why: str = "could not be had",
) -> Choice:
    """Return the starter, after saying what it stands in for. Raises UnavailableError where it is damaged."""
    manifest = load_manifest()
    try:
        model = resolve(STARTER, manifest, box)
    except UnavailableError as error:
        raise UnavailableError(f"{reason}; {error}") from error
    size = "" if config.size == "auto" else f" at its own size (not model.size {config.size})"
    next_step = (
        "the service goes on trying for the default" if awaited else "the next start tries for the default again"
    )
    text = "'%s' from the package is used%s, which finds fewer people; %s: %s"
    log.warning(text, STARTER, size, next_step, reason)
    trouble = f"{STARTER} in place of the default, which {why}"
    return Choice(model, manifest, box, trouble, awaited)


def _manifest(where: Places) -> Manifest:
    if not where.mirror_url:
        return load_manifest(where.mirror)
    from edge.models.mirror import known_models

    return known_models(where)
