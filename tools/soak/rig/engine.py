"""The agent's engine in its own process: a delegate and a manifest.

The delegate takes libedgetpu's place.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.download.progress import ConsoleProgress
from edge.engine.coral import EDGETPU_LIBRARY
from edge.engine.isolation.wire import Job
from edge.errors import UnavailableError
from edge.models.fetch import Fetcher
from edge.models.files import ResolvedModel, is_path, resolve, resolve_file
from edge.models.mirror import known_models
from edge.models.places import MIRROR_VARIABLE, places

__all__ = ["DEFAULT_MODEL", "EngineKit", "coral_kit", "double_kit", "find_model"]

DEFAULT_MODEL = "movenet-lightning-heads-int8"
"""Finds many people, has a fixed size as every compiled model has, and can be made wherever Google's Lightning is."""
SOURCE = Path(__file__).parents[3] / "tests/doubles/delegate.c"
ENTRIES = """
[{name}-edgetpu]
file = "model.tflite"
sha256 = "{digest}"
kind = "{kind}"
licence = "none"
delegate = "edgetpu"
cpu_twin = "{name}"

[{name}]
file = "model.tflite"
sha256 = "{digest}"
kind = "{kind}"
licence = "none"
"""


@dataclass(frozen=True, slots=True)
class EngineKit:
    """How the agent gets an engine of its own.

    Attributes:
        name: for `model.name`.
        env: what its environment has in addition.
        job: the same for this process, to measure how long its engine takes by itself; None where the device is one
            that only one process can have.
    """

    name: str
    env: Mapping[str, str]
    job: Job | None = None


def find_model(name: str) -> ResolvedModel:
    """Return a model by name or path, fetched if needed. Raises EdgeError."""
    if is_path(name):
        return resolve_file(Path(name))
    where = places(os.environ)
    fetch = Fetcher(where, on_progress=ConsoleProgress(sys.stderr)).fetch
    return resolve(name, known_models(where), where, fetch=fetch)


def double_kit(model: ResolvedModel, folder: Path) -> EngineKit:
    """Return an engine whose delegate leaves all operators to the CPU.

    Args:
        model: of fixed size; it runs as it is, in the child, and as its own twin in the agent.
        folder: for the library and a mirror.

    Raises:
        UnavailableError: there is no C compiler.
    """
    library, mirror = folder / "lib" / EDGETPU_LIBRARY, folder / "mirror"
    library.parent.mkdir()
    mirror.mkdir()
    _compile(library)
    (mirror / "model.tflite").symlink_to(model.path.absolute())
    digest = hashlib.sha256(model.path.read_bytes()).hexdigest()
    kind = model.entry.kind if model.entry is not None else "multipose"
    (mirror / "models.toml").write_text(ENTRIES.format(name="soak", digest=digest, kind=kind))
    env = {MIRROR_VARIABLE: str(mirror), "LD_LIBRARY_PATH": str(library.parent)}
    return EngineKit("soak-edgetpu", env, Job(path=str(model.path.absolute()), name="soak", library=str(library)))


def coral_kit(name: str) -> EngineKit:
    """Return the engine of this machine's Edge TPU and libedgetpu."""
    return EngineKit(name, {})


def _compile(library: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise UnavailableError("no C compiler for the delegate: sudo apt install gcc libc6-dev, or --coral")
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UnavailableError(f"{SOURCE} cannot be compiled: {done.stderr.strip().splitlines()[-1:]}")
