"""The machine that the checks examine: files, commands, Python, user.

Tests pass another `Host` in its place.
"""

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

from edge.commands.doctor.video_node import VideoNode, query_node
from edge.host.files import free_disk_bytes, read_text
from edge.host.holders import Holder, holders
from edge.host.machine import clock_synced
from edge.host.power import vcgencmd_flags

__all__ = ["CommandResult", "Host", "PythonFacts", "User", "this_host"]

COMMAND_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Result of a command.

    Attributes:
        code: exit code, below zero the signal that killed it; None if it could not be started or timed out.
        out: its stdout.
        err: its stderr, or why it did not run.
    """

    code: int | None
    out: str = ""
    err: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFacts:
    """The Python that runs this program.

    Attributes:
        version: major, minor, micro.
        bits: of a pointer, 32 or 64.
        machine: processor name as of uname.
        executable: path of the interpreter.
        prefix: its environment (sys.prefix).
        path: folders of imports (sys.path).
    """

    version: tuple[int, int, int]
    bits: int
    machine: str
    executable: str
    prefix: Path
    path: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """User of this process.

    Attributes:
        name: login name.
        uid: 0 for root.
        groups: names of the groups of this process.
    """

    name: str
    uid: int
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine; the checks read everything through it.

    Attributes:
        root: the folder that /proc, /sys, /dev, /etc and /usr are in.
        run: runs a command to its end.
        python: the Python of this process.
        user: the user of this process.
        environ: environment variables.
        page_bytes: size of a memory page.
        clock_synced: whether the kernel's clock is synchronized; None if unknown.
        now_s: time of that clock, in seconds since the epoch.
        free_bytes: returns the free bytes at a path.
        may_use: returns whether this user may read and write a file.
        query_node: queries a video node; raises OSError.
        firmware: returns the throttling flags of the Raspberry Pi's firmware.
    """

    root: Path
    run: Callable[[Sequence[str]], CommandResult]
    python: PythonFacts
    user: User
    environ: Mapping[str, str] = field(default_factory=dict)
    page_bytes: int = 4096
    clock_synced: bool | None = None
    now_s: float = 0.0
    free_bytes: Callable[[Path], int | None] = free_disk_bytes
    may_use: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)
    query_node: Callable[[Path], VideoNode] = query_node
    firmware: Callable[[], int | None] = lambda: None

    def path(self, name: str) -> Path:
        """Return the path of an absolute name below `root`."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """Return the text of a file; empty if it is missing."""
        return read_text(self.path(name))

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in a folder; none if it is missing."""
        try:
            return sorted(path.name for path in self.path(folder).iterdir())
        except OSError:
            return []

    def exists(self, name: str) -> bool:
        """Return whether a file or folder exists."""
        try:
            return self.path(name).exists()
        except OSError:
            return False

    def link(self, name: str) -> str:
        """Return the target of a symbolic link; empty if there is none."""
        try:
            return str(self.path(name).readlink())
        except OSError:
            return ""

    def holders(self, node: str) -> tuple[Holder, ...]:
        """Return the processes that have a device open.

        Other users' processes are visible only to root.
        """
        return holders(node, proc=self.path("/proc"))

    @property
    def board(self) -> str:
        """Board name of the firmware, such as `Raspberry Pi 5 Model B Rev 1.0`; empty elsewhere."""
        return self.text("/proc/device-tree/model")

    @property
    def is_pi(self) -> bool:
        """Whether this is a Raspberry Pi."""
        return self.board.startswith("Raspberry Pi")


def this_host() -> Host:
    """Return the machine of this process."""
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


def _run_command(words: Sequence[str]) -> CommandResult:
    """Run a command without input, in the C locale, with a timeout of 30 s."""
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
        return CommandResult(None, err=f"no answer in {COMMAND_TIMEOUT_S:g} s")
    except OSError as error:
        return CommandResult(None, err=error.strerror or str(error))
    return CommandResult(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


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
