"""Downloads one URL into a file that survives being cut off: whoever comes next goes on where it ended."""

import errno
import http.client
import io
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from edge.download.http import Timeouts, TransferError, broken, is_page, open_url, page_text, shown_url, status_error
from edge.download.partial import PartialFile, Version

__all__ = ["Progress", "download", "silent"]

CHUNK_BYTES = 1 << 16
MAX_BYTES = 512 << 20
"""A model is far smaller; whoever sends more is not sending a model, and an SD card is soon full."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is.

    Attributes:
        name: what is being fetched.
        state: `running` from the first call on, then `done` or `broken` once.
        done_bytes: of the file, with what was there before.
        new_bytes: of these, since this connection began.
        total_bytes: size of the file, None where the server does not tell.
        elapsed_s: since this connection began.
    """

    name: str
    state: Literal["running", "done", "broken"]
    done_bytes: int
    new_bytes: int
    total_bytes: int | None
    elapsed_s: float


def silent(progress: Progress) -> None:
    """Show no progress."""


def download(
    url: str,
    part: PartialFile,
    *,
    name: str,
    timeouts: Timeouts,
    on_progress: Callable[[Progress], None] = silent,
    max_bytes: int = MAX_BYTES,
) -> bool:
    """Bring a part to its end, from where it is.

    A connection that breaks or stalls is begun again, after a pause; with Range and If-Range (RFC 9110, 13.1.5
    and 14.2) it goes on where it ended. A server that does not know these, or has another file by now, begins anew.

    Args:
        url: http or https.
        part: where the bytes go, and may be already.
        name: for progress and log.
        timeouts: how long and how often.
        on_progress: called at every connection's begin and end, and for each chunk.
        max_bytes: no file may be larger.

    Returns:
        True when some bytes came from an earlier connection: they may belong to another file.

    Raises:
        TransferError: it cannot be had; what has arrived stays for the next time.
        OSError: the part cannot be written.
    """
    job = _Job(url, part, name, timeouts, on_progress, max_bytes)
    failures, received = 0, False
    while True:
        before = part.size_bytes
        connection = _Connection(job)
        try:
            connection.run()
        except TransferError as error:
            gained = part.size_bytes - before
            received |= gained > 0
            failures = 0 if gained >= CHUNK_BYTES else failures + 1
            worth_it = error.retry == "now" or (error.retry == "later" and received)
            if not worth_it or failures >= timeouts.tries:
                raise
            pause_s = timeouts.pause_s * 2 ** max(failures - 1, 0)
            log.warning("%s: again in %g s", error, pause_s)
            time.sleep(pause_s)
        else:
            return connection.resumed


@dataclass(frozen=True, slots=True)
class _Job:
    url: str
    part: PartialFile
    name: str
    timeouts: Timeouts
    on_progress: Callable[[Progress], None]
    max_bytes: int


class _Connection:
    """One request and its answer."""

    def __init__(self, job: _Job) -> None:
        self._job, self._part = job, job.part
        self._version = job.part.version(job.url)
        self._offset = job.part.size_bytes if self._version.validator or self._is_complete() else 0
        self._done_bytes = self._offset
        self._start_s = time.monotonic()

    @property
    def resumed(self) -> bool:
        """Whether bytes of an earlier connection are part of the file."""
        return self._offset > 0

    def run(self) -> None:
        """Bring the part to its end. Raises TransferError, or OSError from the part."""
        if self._is_complete():
            return
        headers = {}
        if self._offset:
            headers = {"Range": f"bytes={self._offset}-", "If-Range": self._version.validator}
        with open_url(self._job.url, headers, self._job.timeouts) as response:
            head = self._begin(response)
            try:
                self._receive(response, head)
            except BaseException:
                self._tell("broken")
                raise
            self._tell("done")

    def _is_complete(self) -> bool:
        return self._version.total_bytes is not None and self._version.total_bytes == self._part.size_bytes

    def _begin(self, response: http.client.HTTPResponse) -> bytes:
        """Continue the part, or begin it anew, as the server answers; return what was read of the body for that."""
        start, total_bytes = _content_range(response)
        if self._offset and response.status == http.HTTPStatus.PARTIAL_CONTENT and start == self._offset:
            self._version = replace(self._version, total_bytes=total_bytes)
            return b""
        if self._offset and response.status in {206, 416}:
            self._part.discard()
            raise TransferError(f"{shown_url(self._job.url)}: what is here does not fit the file any more", "now")
        if response.status != http.HTTPStatus.OK:
            raise status_error(self._job.url, response)
        version = Version(self._job.url, _validator(response), response.length)  # before a read shortens the length
        head = self._read(response)
        if is_page(head):  # a network's login page is no reason to throw away what is here
            raise TransferError(f"{shown_url(self._job.url)}: {page_text('model')}", "later")
        self._offset = self._done_bytes = 0
        self._version = version
        self._part.begin(version)
        return head

    def _receive(self, response: http.client.HTTPResponse, head: bytes) -> None:
        self._check_room()
        self._tell("running")
        with self._part.path.open("ab", buffering=0) as file:
            chunk = head or self._read(response)
            while chunk:
                _write(file, chunk)
                self._done_bytes += len(chunk)
                self._check_size(self._done_bytes)
                self._tell("running")
                chunk = self._read(response)
        total_bytes = self._version.total_bytes
        if total_bytes is None:  # the end of the connection is the end of the file; only the digest can tell
            self._part.note(replace(self._version, total_bytes=self._done_bytes))
        elif self._done_bytes != total_bytes:
            have = f"{self._done_bytes} of {total_bytes} bytes"
            raise TransferError(f"{shown_url(self._job.url)}: connection cut off after {have}", "now")

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise broken(self._job.url, error, self._job.timeouts) from error

    def _check_room(self) -> None:
        total_bytes = self._version.total_bytes or 0
        self._check_size(total_bytes)
        if total_bytes - self._offset > shutil.disk_usage(self._part.path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._job.max_bytes:
            self._part.discard()
            raise TransferError(
                f"{shown_url(self._job.url)}: larger than {self._job.max_bytes / 1e6:.0f} MB, no model is"
            )

    def _tell(self, state: Literal["running", "done", "broken"]) -> None:
        done, total = self._done_bytes, self._version.total_bytes
        elapsed_s = time.monotonic() - self._start_s
        self._job.on_progress(Progress(self._job.name, state, done, done - self._offset, total, elapsed_s))


def _write(file: io.FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:  # a disk that is almost full takes less than all
        rest = rest[file.write(rest) :]


def _validator(response: http.client.HTTPResponse) -> str:
    """Return what If-Range may hold: a weak ETag does not promise equal bytes."""
    etag: str = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return str(response.headers.get("Last-Modified", ""))


def _content_range(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """Return the first byte's index and the size of the whole, None for what is not told."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""), re.ASCII)
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])
