"""The manifest of a mirror, merged into the package's."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

from edge.config.check import parse_toml
from edge.download.http import Timeouts, TransferError, get_text, shown_url
from edge.errors import ConfigError
from edge.host.atomic_write import write_new
from edge.models.manifest import MANIFEST_NAME, Manifest, load_manifest, merge
from edge.models.places import Places

__all__ = ["known_models"]

log = logging.getLogger(__name__)


def known_models(where: Places, timeouts: Timeouts | None = None) -> Manifest:
    """Return the package's manifest, merged with that of the mirror.

    The mirror is a folder or an address. The manifest of an address is cached, for when it does not answer, or is not
    asked because nothing is to be fetched; without a copy the package's holds then.

    Raises:
        ConfigError: one line for every mistake in a manifest.
        TransferError: the mirror's manifest cannot be fetched, and none is cached. It is transient if the answer is
            no TOML: a captive portal answers in place of the server.
    """
    manifest = load_manifest(where.mirror)
    if not where.mirror_url:
        return manifest
    url = f"{where.mirror_url}/{MANIFEST_NAME}"
    cached = where.cache / f"mirror-{hashlib.sha256(url.encode()).hexdigest()[:12]}.toml"
    if where.offline:
        return (
            merge(manifest, parse_toml(cached.read_text(encoding="utf-8")), str(cached))
            if cached.exists()
            else manifest
        )
    try:
        text = get_text(url, timeouts or Timeouts(), wanted="manifest") or ""
        merged = merge(manifest, _parsed(text, shown_url(url)), shown_url(url))
    except (TransferError, ConfigError) as error:
        try:
            merged = merge(manifest, parse_toml(cached.read_text(encoding="utf-8")), str(cached))
        except (OSError, ValueError):
            raise error from None
        log.warning("%s: going on with the mirror's cached manifest, %s", error, cached)
        return merged
    _keep(cached, text)
    return merged


def _parsed(text: str, shown: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        hint = "correct it there, or is it the login page of the network?"
        raise TransferError(f"{shown}: what came is no manifest, not valid TOML: {error}: {hint}", "later") from None


def _keep(path: Path, text: str) -> None:
    """Write a file atomically; only warn if that fails."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(new, text.encode())
        new.replace(path)
    except OSError as error:
        log.warning("%s: cannot be written: %s", path, error.strerror)
