"""Selects the model of a run: the requested one, or the starter.

A run knows order and rule from here only. A model that the config names is never replaced. If the default cannot
be fetched or loaded, the starter from the package replaces it, which finds fewer people, and the status reports that.
A service on the starter keeps trying to fetch the default (`edge.agent.model_watch`).
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge.config.schema import ModelConfig
from edge.errors import EdgeError, ModelError, UnavailableError
from edge.models.entry import ModelEntry
from edge.models.files import ResolvedModel, resolve, resolve_file
from edge.models.manifest import Manifest, load_manifest
from edge.models.places import MIRROR_VARIABLE, Places, is_folder, places

# The downloader is imported inside the functions: a machine that has the model never loads it.
# ruff: noqa: PLC0415

__all__ = [
    "PACKAGE_ONLY",
    "RETRY_POLICY",
    "STARTER",
    "Choice",
    "Fetch",
    "RetryPolicy",
    "find_named",
    "find_requested",
    "is_transient",
    "select",
]

STARTER = "starter"
PACKAGE_ONLY = Places(None, Path("/nonexistent"))
"""Only the bundled models."""
MAX_PACKAGE_S = 600.0
"""Before the start of a service, which systemd ends after 15 minutes (TimeoutStartSec)."""

log = logging.getLogger(__name__)

T = TypeVar("T")
Fetch = Callable[[ModelEntry, Places], Path]
"""Fetches the file of a model into the cache and returns it, verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a service tries to fetch the default, before and after it starts on the starter.

    Attributes:
        start_s: time for the network to come up before the start: WiFi takes longer than a boot.
        start_pause_s: pause between two tries before the start.
        first_s: pause from the start on the starter to the next try; doubled after each try.
        max_s: longest pause.
        permanent_error_s: pause after an error that is not transient: each such try may fetch a whole wrong file.
    """

    start_s: float = 20.0
    start_pause_s: float = 1.0
    first_s: float = 60.0
    max_s: float = 15 * 60.0
    permanent_error_s: float = 6 * 3600.0


RETRY_POLICY = RetryPolicy()
"""Of a service."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that a run may load.

    Attributes:
        model: its file.
        manifest: the models known by name; empty where the model was given by its path.
        where: where other models of the manifest come from.
        fallback_reason: why it replaces the default; empty for the requested model.
        retry_error: why the default could not be fetched, if a service should keep trying; else None.
    """

    model: ResolvedModel
    manifest: Manifest
    where: Places
    fallback_reason: str = ""
    retry_error: UnavailableError | None = None


def fetch_with_progress(entry: ModelEntry, where: Places) -> Path:
    """Fetch a model, with progress on stderr. Raises UnavailableError.

    A service that starts gives up on a slow package in time for the starter; it goes on trying beside the flow.
    """
    from edge.download.progress import ConsoleProgress
    from edge.models.fetch import Fetcher

    progress = ConsoleProgress(sys.stderr)
    if os.environ.get("NOTIFY_SOCKET"):
        return Fetcher(where, on_progress=progress, max_package_s=MAX_PACKAGE_S).fetch(entry)
    return Fetcher(where, on_progress=progress).fetch(entry)


def select(
    config: ModelConfig,
    load: Callable[[Choice], T],
    environ: Mapping[str, str] = os.environ,
    *,
    policy: RetryPolicy = RETRY_POLICY,
    bundled: Places = PACKAGE_ONLY,
) -> tuple[T, Choice]:
    """Find and load the model of a run; fetch it if needed.

    Args:
        config: of the run.
        load: loads a model. Raises ModelError or UnavailableError if it cannot be used on this machine.
        environ: names mirror and cache; `NOTIFY_SOCKET` marks a service.
        policy: how long a service tries to fetch the default.
        bundled: names the package folder with the starter.

    Returns:
        What `load` returned, and the choice that it loaded.

    Raises:
        EdgeError: a named model, or default and starter, cannot be found or loaded; or a manifest has mistakes.
    """
    is_service = bool(environ.get("NOTIFY_SOCKET"))
    try:
        requested = _find_in_time(config, environ, policy if is_service else None)
    except UnavailableError as error:
        if _is_required(config):
            raise
        starter = _starter(error, bundled, retry_error=error if is_service else None)
        return load(starter), starter
    try:
        return load(requested), requested
    except (ModelError, UnavailableError) as error:
        if _is_required(config):
            raise
        starter = _starter(error, bundled, is_found=True)
        try:
            return load(starter), starter
        except EdgeError:
            raise error from None  # the cause is not the model


def find_requested(
    config: ModelConfig, environ: Mapping[str, str] = os.environ, *, fetch: Fetch | None = fetch_with_progress
) -> Choice:
    """Find and verify the model of a config, without a fallback.

    Args:
        config: of the run.
        environ: names mirror and cache.
        fetch: fetches it if it is not on this machine; None: nothing is fetched.

    Raises:
        EdgeError: it cannot be found or read, or a manifest has mistakes.
    """
    if config.file:
        return Choice(resolve_file(Path(config.file)), Manifest("", {}), PACKAGE_ONLY)
    if config.name:
        own = load_manifest()
        if config.name in own.entries and own.entries[config.name].bundled:  # whatever the mirror holds
            return Choice(resolve(config.name, own, PACKAGE_ONLY), own, PACKAGE_ONLY)
    where = places(environ, offline=config.offline)
    manifest = _manifest(where)
    return Choice(find_named(config.name, manifest, where, fetch=fetch), manifest, where)


def find_named(
    name: str, manifest: Manifest, where: Places, *, fetch: Fetch | None = fetch_with_progress
) -> ResolvedModel:
    """Find a verified model by name, "" being the default. Raises EdgeError."""
    return resolve(name, manifest, where, fetch=None if fetch is None else lambda entry: fetch(entry, where))


def is_transient(error: UnavailableError, environ: Mapping[str, str]) -> bool:
    """Return whether a retry may help: a network comes up, a mirror is mounted."""
    from edge.download.http import TransferError

    if isinstance(error, TransferError):
        return error.retry != "never"
    mirror = environ.get(MIRROR_VARIABLE, "")
    return bool(mirror) and "://" not in mirror and not is_folder(Path(mirror))


def _is_required(config: ModelConfig) -> bool:
    """Return whether no other model may replace the requested one."""
    return bool(config.file or config.name or config.delegate == "edgetpu")


def _find_in_time(config: ModelConfig, environ: Mapping[str, str], policy: RetryPolicy | None) -> Choice:
    """Find the requested model; with a policy, retry for a default while network or mirror come up."""
    if policy is None or _is_required(config):
        return find_requested(config, environ)
    until_s = time.monotonic() + policy.start_s
    is_logged = False
    while True:
        try:
            return find_requested(config, environ)
        except UnavailableError as error:
            if time.monotonic() >= until_s or not is_transient(error, environ):
                raise
        if not is_logged:
            log.info("no network for the model yet, or no mirror: trying for %g s", policy.start_s)
            is_logged = True
        time.sleep(policy.start_pause_s)


def _starter(
    error: EdgeError,
    bundled: Places,
    *,
    retry_error: UnavailableError | None = None,
    is_found: bool = False,
) -> Choice:
    """Return the starter, and log what it replaces.

    Raises:
        UnavailableError: the starter is damaged; its text holds both reasons.
    """
    manifest = load_manifest()
    try:
        model = resolve(STARTER, manifest, bundled)
    except UnavailableError as damage:
        raise UnavailableError(f"{error}; {damage}") from error
    next_step = (
        "the service goes on trying for the default" if retry_error else "the next start tries for the default again"
    )
    text = "'%s' from the package is used, which finds fewer people, and hardly anybody close to the camera; %s: %s"
    log.warning(text, STARTER, next_step, error)
    problem = "cannot be used" if is_found else "could not be had"
    return Choice(model, manifest, bundled, f"{STARTER} in place of the default, which {problem}", retry_error)


def _manifest(where: Places) -> Manifest:
    if not where.mirror_url:
        return load_manifest(where.mirror)
    from edge.models.mirror import known_models

    return known_models(where)
