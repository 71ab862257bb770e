"""The machine under examination: where its files are, and how it is asked. Another one is examined by another value."""

import grp
import os
import platform
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.commands.doctor.video_node import VideoNode, ask_node
from edge.host.files import free_disk_bytes, read_text
from edge.host.holders import Holder, holders
from edge.host.machine import clock_synced
from edge.host.power import vcgencmd_flags

__all__ = ["Host", "PythonFacts", "Ran", "User", "this_host"]

COMMAND_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended.

    Attributes:
        code: its exit code, below zero the signal that killed it; None where it could not be run to its end.
        out: what it wrote to stdout.
        err: what it wrote to stderr, or why it could not be run.
    """

    code: int | None
    out: str = ""
    err: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFacts:
    """The Python that runs this program.

    Attributes:
        version: its first three numbers.
        bits: of a pointer, 32 or 64.
        machine: what the kernel calls the processor.
        executable: the interpreter.
        prefix: its environment.
        path: the folders that it imports from.
    """

    version: tuple[int, int, int]
    bits: int
    machine: str
    executable: str
    prefix: Path
    path: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """Who examines.

    Attributes:
        name: login name.
        uid: 0 for root.
        groups: names of the groups that this process is in.
    """

    name: str
    uid: int
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine: all that the checks know of it comes through here.

    Attributes:
        root: the folder that /proc, /sys, /dev, /etc and /usr are in.
        run: runs a command to its end.
        python: what runs this program.
        user: who runs it.
        environ: variables.
        page_bytes: of a page of memory.
        clock_synced: whether the kernel calls its clock synchronized, None where it does not say.
        now_s: what that clock says, in seconds since the epoch.
        free_bytes: what can still be written at a path.
        may_use: whether this user may read and write a file.
        ask_node: asks a video node what it is; raises OSError.
        firmware: asks the Raspberry Pi's firmware for its throttling flags.
    """

    root: Path
    run: Callable[[Sequence[str]], Ran]
    python: PythonFacts
    user: User
    environ: Mapping[str, str] = field(default_factory=dict)
    page_bytes: int = 4096
    clock_synced: bool | None = None
    now_s: float = 0.0
    free_bytes: Callable[[Path], int | None] = free_disk_bytes
    may_use: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)
    ask_node: Callable[[Path], VideoNode] = ask_node
    firmware: Callable[[], int | None] = lambda: None

    def path(self, name: str) -> Path:
        """Return where the file of an absolute name is."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """Return what a file says; empty where it is missing."""
        return read_text(self.path(name))

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder, sorted; nothing where it is missing."""
        try:
            return sorted(path.name for path in self.path(folder).iterdir())
        except OSError:
            return []

    def exists(self, name: str) -> bool:
        """Return whether there is such a file or folder."""
        try:
            return self.path(name).exists()
        except OSError:
            return False

    def link(self, name: str) -> str:
        """Return where a link leads, empty where there is none."""
        try:
            return str(self.path(name).readlink())
        except OSError:
            return ""

    def holders(self, node: str) -> tuple[Holder, ...]:
        """Return who has a device (/dev/video0) open; of other users' programs only root is told."""
        return holders(node, proc=self.path("/proc"))

    @property
    def board(self) -> str:
        """What the firmware calls this computer, such as `Raspberry Pi 5 Model B Rev 1.0`; empty elsewhere."""
        return self.text("/proc/device-tree/model")

    @property
    def is_pi(self) -> bool:
        """Whether this is a Raspberry Pi."""
        return self.board.startswith("Raspberry Pi")


def this_host() -> Host:
    """Return the machine that this runs on."""
    return Host(
        root=Path("/"),
        run=_run_command,
        python=PythonFacts(
            version=sys.version_info[:3],
            bits=64 if sys.maxsize > 2**32 else 32,
            machine=platform.machine(),
            executable=sys.executable,
            prefix=Path(sys.prefix),
            path=tuple(map(Path, filter(None, sys.path))),
        ),
        user=_this_user(),
        environ=os.environ,
        page_bytes=os.sysconf("SC_PAGE_SIZE"),
        clock_synced=clock_synced(),
        now_s=time.time(),
        firmware=vcgencmd_flags,
    )


def _run_command(words: Sequence[str]) -> Ran:
    """Run a command without input, in plain English, in at most half a minute."""
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    try:
        done = subprocess.run(  # noqa: S603 - the checks' own words, no shell
            list(words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            env=environ,
        )
    except subprocess.TimeoutExpired:
        return Ran(None, err=f"no answer in {COMMAND_TIMEOUT_S:g} s")
    except OSError as error:
        return Ran(None, err=error.strerror or str(error))
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def _this_user() -> User:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return User(name, uid, frozenset(filter(None, map(_group_name, {os.getegid(), *os.getgroups()}))))


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
