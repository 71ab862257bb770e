"""Around the import of picamera2: quiet before it, and what to tell when there is none."""

import logging
import os
import sys
from pathlib import Path

from edge.errors import UnavailableError

__all__ = ["calm", "unavailable"]

APT_PACKAGES = Path("/usr/lib/python3/dist-packages")
LOG_LEVELS = "LIBCAMERA_LOG_LEVELS"


def calm(*, debug: bool) -> None:
    """Keep picamera2 and libcamera quiet: each try to open a lost camera is several lines. Before their import."""
    logging.getLogger("picamera2").setLevel(logging.DEBUG if debug else logging.CRITICAL)
    if not debug:
        os.environ.setdefault(LOG_LEVELS, "*:FATAL")


def unavailable(error: Exception, *, packages: Path = APT_PACKAGES, prefix: str = sys.prefix) -> UnavailableError:
    """Return what to tell when picamera2 cannot be imported.

    Args:
        error: what its import raised.
        packages: where apt puts Python packages.
        prefix: the virtual environment that we run in.
    """
    name = (getattr(error, "name", None) or "").partition(".")[0]
    needs = "camera 'pi' needs python3-picamera2"
    if name not in {"picamera2", "libcamera"}:
        return UnavailableError(f"{needs}, which cannot be loaded here: {' '.join(str(error).split())}")
    if not (packages / "picamera2").is_dir():
        return UnavailableError(f"{needs}: sudo apt install python3-picamera2")
    if str(packages) in sys.path:
        return UnavailableError(f"{needs} for Python {sys.version_info.major}.{sys.version_info.minor}: {error}")
    again = f"python3 -m venv --system-site-packages {prefix}"
    return UnavailableError(f"{needs}, which is installed, but not visible from this virtual environment: {again}")
