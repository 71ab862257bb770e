"""Fetches a package from the package registry by the machine's own `npm`.

Whatever registry, proxy or mirror `npm` is set up for is used. Nothing is installed and no script of the package runs:
`npm pack` only downloads the archive (docs.npmjs.com/cli/commands/npm-pack).
"""

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.download.http import Retry, TransferError
from edge.download.transfer import Progress, silent

__all__ = ["NpmLimits", "packed"]

OLDEST = 7
"""`--pack-destination` came with npm 7.18."""
MAX_SAID_BYTES = 1 << 20
MAX_SHOWN_CHARACTERS = 160
POLL_S = 0.2
QUIET_BYTES, QUIET_S = 1 << 16, 2.0
"""An npm that fails before it has brought this much is not shown as a download."""
NAME = "npm"
CACHE = "cache"
ADVICE: dict[str, tuple[str, Retry]] = {
    "E401": ("the registry asks for a login: npm login, or set a token in .npmrc", "never"),
    "ENEEDAUTH": ("the registry asks for a login: npm login, or set a token in .npmrc", "never"),
    "E403": ("the registry refuses it (403): ask who runs it to allow this package", "never"),
    "E404": ("the registry does not have it (404)", "never"),
    "ETARGET": ("the registry does not have this version", "never"),
    "ENOTCACHED": ("npm is set to work offline: npm config delete offline", "never"),
    "E407": ("the proxy asks for a login (407): npm config set https-proxy …", "later"),
    "ENOSPC": ("the disk is full: make room", "never"),
    "EINTEGRITY": ("what the registry sent is damaged (its digest is wrong)", "later"),
    "FETCH_ERROR": ("what came is no package (is it the login page of the network?)", "later"),
}
"""What npm's error codes mean for a user, and whether another try can help."""
NETWORK = re.compile(r"^(ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET\w*|E5\d\d|E429)$")
CERTIFICATE = re.compile(r"CERT|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO")
"""Codes of OpenSSL, as Node.js names them."""


@dataclass(frozen=True, slots=True)
class NpmLimits:
    """How long npm may take, and how much it may write.

    Attributes:
        total_s: for all.
        stall_s: without a new byte, until the archive is written.
        finish_s: without a new byte from then on: npm still unpacks all of it to list it.
        max_bytes: of its cache and the archive together.
    """

    total_s: float = 1800.0
    stall_s: float = 30.0
    finish_s: float = 300.0
    max_bytes: int = 1 << 30


@contextlib.contextmanager
def packed(
    package: str,
    version: str,
    folder: Path,
    *,
    name: str,
    on_progress: Callable[[Progress], None] = silent,
    limits: NpmLimits | None = None,
) -> Iterator[Path]:
    """Provide a package's archive (.tgz); it is deleted at the end, with all else that npm wrote.

    Args:
        package: its name in the registry.
        version: exactly this one.
        folder: where npm may write for the time being; what a killed process left there is deleted first.
        name: of what is fetched, for progress; nobody else fetches it into this folder at the same time.
        on_progress: called while npm works.
        limits: None for the usual ones.

    Raises:
        TransferError: npm is missing or too old, or could not fetch it; one line, whether another try can help.
        OSError: the folder cannot be written.
    """
    npm = shutil.which(NAME)
    if npm is None:
        raise TransferError(
            f"package {package}: no npm on this machine (sudo apt install npm, or fetch the model elsewhere)", "never"
        )
    prefix = f".npm-{name}~"  # no name of a model has a ~
    for left in folder.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as work:
        _Pack(npm, f"{package}@{version}", Path(work), name, on_progress).run(limits or NpmLimits())
        found = sorted(Path(work).glob("*.tgz"))
        if len(found) != 1:
            raise TransferError(f"package {package}: npm has written no archive: update npm", "never")
        yield found[0]


@dataclass(frozen=True, slots=True)
class _Pack:
    """One run of `npm pack`.

    Attributes:
        npm: path of the program.
        spec: `package@version`.
        work: folder for all that it writes.
        name: of what is fetched, for progress.
        on_progress: called while it works.
    """

    npm: str
    spec: str
    work: Path
    name: str
    on_progress: Callable[[Progress], None]

    def run(self, limits: NpmLimits) -> None:
        """Fetch the archive into `work`. Raises TransferError."""
        command = [
            self.npm, "pack", self.spec, "--json", "--ignore-scripts", "--pack-destination", str(self.work),
            "--cache", str(self.work / CACHE), "--loglevel", "error", "--no-update-notifier",
            # npm's own retries take minutes where there is no network; a service tries again by itself.
            "--fetch-retries", "1", "--fetch-retry-mintimeout", "1000", "--fetch-retry-maxtimeout", "2000",
        ]  # fmt: skip
        with (self.work / "out").open("wb") as out, (self.work / "err").open("wb") as err:
            try:
                process = subprocess.Popen(  # noqa: S603 - the manifest's name and version were checked
                    command, cwd=self.work, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
                )
            except OSError as error:
                raise TransferError(
                    f"package {self.spec}: {self.npm} cannot be started: {error.strerror}", "never"
                ) from error
            try:
                problem = self._wait(process, limits)
            finally:
                _end(process)
        if problem:
            raise TransferError(f"package {self.spec}: npm {problem}", "later")
        if process.returncode < 0:
            text = f"npm was ended by signal {-process.returncode}: is there memory for it?"
            raise TransferError(f"package {self.spec}: {text}", "later")
        if process.returncode:
            raise _failure(self.npm, self.spec, _said(self.work / "out"), _said(self.work / "err"))

    def _wait(self, process: "subprocess.Popen[bytes]", limits: NpmLimits) -> str:
        """Wait until npm has ended; return why it was given up, "" if it was not."""
        start_s = moved_s = time.monotonic()
        seen = brought = 0
        shown = False
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
            now_s, cached = time.monotonic(), _size(self.work / CACHE)
            size = _size(self.work)
            if size > seen:
                seen, moved_s = size, now_s
            brought = max(brought, cached, size - cached)  # npm copies the archive out of its cache
            if not shown and (seen > QUIET_BYTES or now_s - start_s > QUIET_S):
                shown = True
                self._show("running", 0, 0.0)  # the first call: bytes in it would mean a resumed download
            if process.returncode is not None:
                if shown or not process.returncode:
                    self._show("broken" if process.returncode else "done", brought, now_s - start_s)
                return ""
            problem = ""
            stall_s = limits.finish_s if any(self.work.glob("*.tgz")) else limits.stall_s
            if now_s - moved_s > stall_s:
                problem = f"brought nothing for {stall_s:g} s: is the registry reached?"
            elif now_s - start_s > limits.total_s:
                problem = f"took longer than {limits.total_s:g} s"
            elif seen > limits.max_bytes:
                problem = f"fetched more than {limits.max_bytes >> 20} MB"
            if shown:
                self._show("broken" if problem else "running", brought, now_s - start_s)
            if problem:
                return problem

    def _show(self, state: Literal["running", "done", "broken"], size_bytes: int, elapsed_s: float) -> None:
        self.on_progress(Progress(self.name, state, size_bytes, size_bytes, None, elapsed_s))


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill npm and what it started, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder; files may come and go meanwhile."""
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, file)).st_size  # noqa: PTH118 - faster, several times a second
    return total


def _said(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_SAID_BYTES).decode("utf-8", "replace")


def _failure(npm: str, spec: str, out: str, err: str) -> TransferError:
    """Return npm's failure as one line of ours."""
    code, summary = _error(out, err)
    if code in ADVICE:
        text, retry = ADVICE[code]
        return TransferError(f"package {spec}: {text}", retry)
    if NETWORK.match(code):
        return TransferError(f"package {spec}: the registry cannot be reached ({code})", "later")
    if CERTIFICATE.search(code):
        return TransferError(
            f"package {spec}: the registry's certificate is refused ({code}): is the clock right? An authority of your "
            "own: npm config set cafile FILE",
            "later",
        )
    if (major := _version(npm)) is not None and major < OLDEST:
        return TransferError(
            f"package {spec}: npm {major} is too old, {OLDEST} or later is needed: update npm", "never"
        )
    said = _plain(summary) or "it said nothing"
    return TransferError(f"package {spec}: npm failed{f' ({code})' if code else ''}: {said}", "never")


def _error(out: str, err: str) -> tuple[str, str]:
    """Return npm's error code and its text, each "" if unknown."""
    with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
        error = json.loads(out)["error"] if out.lstrip().startswith("{") else {}
        if code := str(error.get("code") or ""):
            return code, str(error.get("summary") or "")
    found = re.search(r"npm (?:error|ERR!) code (\w+)", err)
    return found.group(1) if found else "", err


def _plain(text: str) -> str:
    """Return text from outside as a short line, without addresses, which may hold secrets."""
    text = re.sub(r"\w+://\S+", "…", text)
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:MAX_SHOWN_CHARACTERS]


def _version(npm: str) -> int | None:
    try:
        done = subprocess.run(  # noqa: S603
            [npm, "--version"], capture_output=True, timeout=10, check=False, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(\d+)\.", done.stdout)
    return int(found.group(1)) if found else None
