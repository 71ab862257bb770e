"""The models known by name, with what a mirror adds to them; the mirror may be a folder or an address."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

from edge.config.check import parse_toml
from edge.download.http import Timeouts, TransferError, get_text, shown_url
from edge.errors import ConfigError
from edge.models.manifest import MANIFEST_NAME, Manifest, lay_over, load_manifest
from edge.models.places import Places

__all__ = ["known_models"]

log = logging.getLogger(__name__)


def known_models(where: Places, timeouts: Timeouts | None = None) -> Manifest:
    """Read the product's manifest and lay the mirror's over it, be the mirror a folder or an address.

    What an address gave is kept in the cache, and taken when it does not answer.

    Raises:
        ConfigError: one line for every mistake in a manifest.
        TransferError: the mirror's manifest cannot be had, and there is none from an earlier time. It may pass where
            an address sent what is no TOML at all: networks with a login page answer in their server's place.
    """
    manifest = load_manifest(where.mirror)
    if not where.mirror_url:
        return manifest
    url = f"{where.mirror_url}/{MANIFEST_NAME}"
    kept = where.cache / f"mirror-{hashlib.sha256(url.encode()).hexdigest()[:12]}.toml"
    try:
        text = get_text(url, timeouts or Timeouts(), wanted="manifest") or ""
        laid = lay_over(manifest, _parsed(text, shown_url(url)), shown_url(url))
    except (TransferError, ConfigError) as error:
        try:
            laid = lay_over(manifest, parse_toml(kept.read_text(encoding="utf-8")), str(kept))
        except (OSError, ValueError):
            raise error from None
        log.warning("%s: going on with the mirror's manifest of last time, %s", error, kept)
        return laid
    _keep(kept, text)
    return laid


def _parsed(text: str, shown: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        what_to_do = "mend it there, or is it a login page of the network?"
        raise TransferError(
            f"{shown}: what came is no manifest, not valid TOML: {error}: {what_to_do}", "later"
        ) from None


def _keep(path: Path, text: str) -> None:
    """Write a text whole or not at all; a cache that cannot be written is no reason to fail."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        log.warning("%s: cannot be written: %s", path, error.strerror)
