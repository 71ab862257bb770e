"""Vitals of the machine, read on a thread.

A disk that hangs must not block the run.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.config.schema import OutputConfig
from edge.host.files import free_disk_bytes
from edge.host.machine import (
    available_memory_bytes,
    cpu_temperature_c,
    unit_memory_bytes,
    unit_memory_max_bytes,
)
from edge.host.power import Throttling, read_throttling, vcgencmd_flags

__all__ = ["Vitals", "VitalsWatch", "read_vitals", "written_paths"]

INTERVAL_S = 10.0
MAX_AGE_S = 60.0
STOP_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """The machine at one moment; None if unknown.

    Attributes:
        cpu_temperature_c: degrees Celsius.
        throttling: what slows the machine down.
        memory_available_bytes: of the machine.
        unit_memory_bytes: used by this program's control group.
        unit_memory_max_bytes: what that group may use.
        disk_free_bytes: by kind of output, of the disk that it is written to.
    """

    cpu_temperature_c: float | None = None
    throttling: Throttling | None = None
    memory_available_bytes: int | None = None
    unit_memory_bytes: int | None = None
    unit_memory_max_bytes: int | None = None
    disk_free_bytes: Mapping[str, int | None] = field(default_factory=dict)


def read_vitals(
    folders: Mapping[str, Path], root: Path = Path("/"), ask_firmware: Callable[[], int | None] = vcgencmd_flags
) -> Vitals:
    """Read all vitals; may block on a file system or the firmware.

    Args:
        folders: what this program writes: kind of output to file or folder.
        root: the folder that /proc and /sys are in.
        ask_firmware: as in `read_throttling`.
    """
    return Vitals(
        cpu_temperature_c=cpu_temperature_c(root),
        throttling=read_throttling(root, ask_firmware),
        memory_available_bytes=available_memory_bytes(root),
        unit_memory_bytes=unit_memory_bytes(root),
        unit_memory_max_bytes=unit_memory_max_bytes(root),
        disk_free_bytes={kind: free_disk_bytes(path) for kind, path in folders.items()},
    )


def written_paths(output: OutputConfig, cache: Path) -> dict[str, Path]:
    """Return what a run writes: kind of output to file or folder.

    Args:
        output: of the config.
        cache: folder of downloaded models.
    """
    files = {"record": output.record, "jsonl": output.jsonl}
    return {"cache": cache, **{kind: Path(file) for kind, file in files.items() if file not in ("", "-")}}


class VitalsWatch:
    """Reads the vitals periodically, on its own thread.

    Args:
        read: reads them once; may block.
        interval_s: from one reading to the next.
        max_age_s: older vitals are not returned: the thread hangs.
    """

    def __init__(
        self, read: Callable[[], Vitals], *, interval_s: float = INTERVAL_S, max_age_s: float = MAX_AGE_S
    ) -> None:
        self._read = read
        self._interval_s = interval_s
        self._max_age_s = max_age_s
        self._over = threading.Event()
        self._newest: tuple[Vitals, float] = (Vitals(), time.monotonic())
        self._throttling: Throttling | None = None  # kept over readings that fail
        self._thread = threading.Thread(target=self._run, name="vitals", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def latest(self) -> Vitals:
        """Return the last vitals; empty ones if they are too old. Never blocks."""
        vitals, read_s = self._newest
        return vitals if time.monotonic() - read_s <= self._max_age_s else Vitals()

    def stop(self) -> None:
        """End the thread; one that hangs is abandoned."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._over.is_set():
            vitals = self._read()
            if vitals.throttling is not None:
                self._throttling = vitals.throttling.after(self._throttling)
                vitals = replace(vitals, throttling=self._throttling)
            self._newest = (vitals, time.monotonic())
            self._over.wait(self._interval_s)
