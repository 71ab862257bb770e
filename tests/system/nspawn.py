"""A Debian machine with a systemd of its own, in a container; its network is one cable to this machine."""

import hashlib
import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from brokers import eventually
from packages import require

__all__ = ["GUEST_ADDRESS", "HOST_ADDRESS", "HOST_NAME", "Machine", "base_system"]

HOST_ADDRESS, GUEST_ADDRESS = "198.18.77.1", "198.18.77.2"  # a range for tests of networks (RFC 2544)
PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "python3", "python3-venv", "sudo", "iproute2")
BOOT_S = 60.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_NAME = "attic"

_numbers = itertools.count()


def base_system(suite: str = "bookworm") -> Path:
    """Return the root of a small Debian, built once and kept in the system's temporary folder."""
    require("mmdebstrap", "systemd-container", "iproute2")
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    root = Path(tempfile.gettempdir(), f"edge-pose-{suite}-{key}")
    if not root.exists():
        with tempfile.TemporaryDirectory(prefix="edge-pose-root-") as folder:
            made = Path(folder, "root")
            include = f"--include={','.join(PACKAGES)}"
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", include, suite, made], check=True)
            made.replace(root)
    return root


class Machine:
    """Boots a copy of a system; what is changed in it is gone at the end.

    Args:
        base: its root, which stays as it is.
        folder: for what is changed.
        folders: shown inside, read-only: path inside -> folder here.
    """

    def __init__(self, base: Path, folder: Path, folders: dict[str, Path]) -> None:
        self.name = f"ep{os.getpid()}-{next(_numbers)}"
        self.root = folder / "root"
        self._folder = folder
        self._binds = [f"--bind-ro={here}:{inside}" for inside, here in folders.items()]
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        layers = {name: folder / name for name in ("upper", "work")}
        for made in (self.root, *layers.values()):
            made.mkdir()
        options = f"lowerdir={base},upperdir={layers['upper']},workdir={layers['work']}"
        _do("mount", "-t", "overlay", "overlay", "-o", options, self.root)
        self.write("/etc/hostname", f"{HOST_NAME}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost {HOST_NAME}\n")

    def __enter__(self) -> Self:
        _do("ip", "netns", "add", self.name)
        cable = ["ip", "link", "add", self._cable, "type", "veth", "peer", "name", "host0", "netns", self.name]
        _do(*cable)
        _do("ip", "address", "add", f"{HOST_ADDRESS}/30", "dev", self._cable)
        _do("ip", "link", "set", self._cable, "up")
        _do("ip", "-n", self.name, "address", "add", f"{GUEST_ADDRESS}/30", "dev", "host0")
        _do("ip", "-n", self.name, "link", "set", "lo", "up")
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut_down()
        _do("ip", "link", "delete", self._cable)
        _do("ip", "netns", "delete", self.name)
        _do("umount", self.root)
        shutil.rmtree(self._folder / "work")  # the kernel leaves a folder in it that nobody may read

    @property
    def _cable(self) -> str:
        return f"v{self.name}"[:15]

    def boot(self) -> None:
        """Start it, and wait until systemd has done what it had to at boot."""
        with (self._folder / "console").open("wb") as console:
            network = f"--network-namespace-path=/run/netns/{self.name}"
            words = ["systemd-nspawn", "-q", "-D", str(self.root), "-b", "--register=no", "--keep-unit", network]
            words += [f"--machine={self.name}", "--console=pipe", *self._binds]
            self._nspawn = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        eventually(self._is_up, BOOT_S)

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, (self._folder / "console").read_text()
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        systemd = [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd"]
        if not systemd:
            return False
        self._leader = systemd[0]
        return self.run("systemctl is-system-running", check=False).strip() in ("running", "degraded")

    def shut_down(self) -> None:
        """Stop it in order, as by its power button."""
        if self._nspawn is not None:
            self._nspawn.terminate()
            self._nspawn.wait(BOOT_S)
            self._nspawn = None

    def run(self, line: str, *, check: bool = True) -> str:
        """Run a line of shell in it as root, and return what it wrote to stdout and stderr."""
        done = self.attempt(line)
        assert not check or done.returncode == 0, f"{line}: {done.returncode}: {done.stdout}"
        return done.stdout

    def attempt(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in it as root."""
        enter = ["nsenter", f"--target={self._leader}", "--all", "--"]
        clean = ["env", "-i", f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", "bash", "-c", line]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.run([*enter, *clean], check=False, text=True, stdin=subprocess.DEVNULL, **both)  # type: ignore[call-overload,no-any-return]

    def file(self, path: str) -> Path:
        """Return a file of it, as it is seen from here."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        """Write a file in it."""
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def plug(self) -> None:
        """Plug its network cable in."""
        _do("ip", "-n", self.name, "link", "set", "host0", "up")

    def unplug(self) -> None:
        """Pull its network cable out."""
        _do("ip", "-n", self.name, "link", "set", "host0", "down")


def _do(*words: str | Path) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"
