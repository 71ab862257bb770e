"""Prepares the import of picamera2, and explains its failure."""

import logging
import os
import sys
from pathlib import Path

from edge.errors import UnavailableError

__all__ = ["quiet_logging", "unavailable"]

APT_PACKAGES = Path("/usr/lib/python3/dist-packages")
LOG_LEVELS = "LIBCAMERA_LOG_LEVELS"


def quiet_logging(*, debug: bool) -> None:
    """Silence the logs of picamera2 and libcamera; call it before their import.

    Each try to open a lost camera is several lines.
    """
    logging.getLogger("picamera2").setLevel(logging.DEBUG if debug else logging.CRITICAL)
    if not debug:
        os.environ.setdefault(LOG_LEVELS, "*:FATAL")


def unavailable(error: Exception, *, packages: Path = APT_PACKAGES, prefix: str = sys.prefix) -> UnavailableError:
    """Return the error for a failed import of picamera2, with the next step.

    Args:
        error: raised by the import.
        packages: folder of apt's Python packages.
        prefix: the current virtual environment.
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
