"""Finds Edge TPUs and models compiled for them, without loading a vendor library."""

import importlib.machinery
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.host.process import PYTHON

__all__ = ["ADVICE", "EDGETPU_LIBRARY", "Tpu", "is_compiled", "list_tpus", "usb_and_pci"]

EDGETPU_LIBRARY = "libedgetpu.so.1"
ADVICE = (
    "install a libedgetpu that goes with the TFLite runtime, as built at github.com/feranick/libedgetpu/releases "
    "(Google's own, version 16.0, is too old)"
)

OPERATOR = b"edgetpu-custom-op"
"""Name of the operator by which the compiler replaces what runs on the Edge TPU."""

USB_IDS = {("1a6e", "089a"): False, ("18d1", "9302"): True}
"""Vendor and product id, and whether the stick has its firmware.

It identifies as a device of Global Unichip until it is first used, then as one of Google.
"""

PYCORAL_TIMEOUT_S = 10
# Google's library may crash with another runtime, so it runs in a child process.
PYCORAL_QUESTION = """
import json
import sys
sys.path.insert(0, sys.argv[1])
from pycoral.utils.edgetpu import list_edge_tpus
print(json.dumps([[tpu["type"], tpu["path"]] for tpu in list_edge_tpus()]))
"""


@dataclass(frozen=True, slots=True)
class Tpu:
    """One Edge TPU.

    Attributes:
        bus: how it is connected.
        path: in /sys or /dev.
        is_awake: False for one on USB that was not used since it was plugged in.
        speed_mbit_s: of its USB port: 480 is USB 2, which makes it slow; None if unknown.
    """

    bus: Literal["usb", "pci"]
    path: str
    is_awake: bool = True
    speed_mbit_s: int | None = None


def is_compiled(path: Path) -> bool:
    """Return whether a model file was compiled for the Edge TPU. Raises OSError."""
    return OPERATOR in path.read_bytes()


def list_tpus(root: Path = Path("/"), packages: list[str] | None = None) -> list[Tpu]:
    """Return the Edge TPUs in /sys, in /dev and of pycoral.

    Args:
        root: of the file system.
        packages: folders to search for Google's pycoral, which is optional; None: `sys.path`.
    """
    found = usb_and_pci(root)
    known = {tpu.path for tpu in found}
    pycoral = _find_pycoral(packages)
    listed = [] if pycoral is None else _ask_pycoral(pycoral)
    return found + [tpu for tpu in listed if tpu.path not in known]


def usb_and_pci(root: Path = Path("/")) -> list[Tpu]:
    """Return the Edge TPUs in /sys and /dev, without a vendor library."""
    return [*_on_usb(root / "sys/bus/usb/devices"), *_on_pci(root / "dev")]


def _on_usb(devices: Path) -> Iterator[Tpu]:
    for device in sorted(devices.glob("*")):
        ids = _word(device / "idVendor"), _word(device / "idProduct")
        if ids in USB_IDS:
            speed = _word(device / "speed")
            yield Tpu("usb", str(device), USB_IDS[ids], int(speed) if speed.isdecimal() else None)


def _on_pci(folder: Path) -> Iterator[Tpu]:
    for device in sorted(folder.glob("apex_*")):
        yield Tpu("pci", str(device))


def _word(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _find_pycoral(packages: list[str] | None) -> Path | None:
    """Return the folder of Google's `pycoral`; the package of that name on PyPI is another one."""
    found = importlib.machinery.PathFinder.find_spec("pycoral", packages)  # imports nothing
    folders = [Path(folder) for folder in (found and found.submodule_search_locations) or []]
    return next((folder.parent for folder in folders if (folder / "utils/edgetpu.py").is_file()), None)


def _ask_pycoral(folder: Path) -> list[Tpu]:
    try:
        done = subprocess.run(  # noqa: S603 - this Python, and a text of ours
            [*PYTHON, "-c", PYCORAL_QUESTION, folder],
            capture_output=True,
            timeout=PYCORAL_TIMEOUT_S,
            check=True,
        )
        return [Tpu("usb" if kind == "usb" else "pci", path) for kind, path in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
