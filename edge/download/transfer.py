"""Resumable HTTP download of one URL (Range and If-Range)."""

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

from edge.backoff import Backoff
from edge.download.http import Timeouts, TransferError, broken, is_page, open_url, page_text, shown_url, status_error
from edge.download.partial import PartialFile, Version

__all__ = ["Progress", "download", "silent"]

CHUNK_BYTES = 1 << 16
MAX_BYTES = 512 << 20
"""Limit of a download: models are far smaller, and more could fill an SD card."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a download.

    Attributes:
        name: of the file, for messages.
        state: `running` from the first call on; the last call has `done` or `broken`.
        done_bytes: received so far, by earlier connections too.
        new_bytes: received by this connection.
        total_bytes: size of the file, None if the server does not send it.
        elapsed_s: since the start of this connection.
    """

    name: str
    state: Literal["running", "done", "broken"]
    done_bytes: int
    new_bytes: int
    total_bytes: int | None
    elapsed_s: float


def silent(progress: Progress) -> None:
    """Progress callback that shows nothing."""


def download(
    url: str,
    part: PartialFile,
    *,
    name: str,
    timeouts: Timeouts,
    on_progress: Callable[[Progress], None] = silent,
    max_bytes: int = MAX_BYTES,
) -> bool:
    """Download a file, or the rest of it.

    A connection that breaks or stalls is retried with exponential back-off. Each retry resumes with Range and If-Range
    (RFC 9110, 13.1.5 and 14.2). If the server does not support these, or the file has changed, the download restarts.

    Args:
        url: http or https.
        part: the partial file to continue.
        name: of the file, for progress and log.
        timeouts: of a connection, and how often it is retried.
        on_progress: called at the start and end of each connection, and for each chunk.
        max_bytes: largest file that is accepted.

    Returns:
        True if some bytes came from an earlier connection: they may belong to another version of the file.

    Raises:
        TransferError: the download failed; what was received stays, to be resumed.
        OSError: the partial file cannot be written.
    """
    job = _Job(url, part, name, timeouts, on_progress, max_bytes)
    failures, received = 0, False
    backoff = Backoff(min_s=timeouts.pause_s, growth=2, draw=None)
    while True:
        before = part.size_bytes
        connection = _Connection(job)
        try:
            connection.run()
        except TransferError as error:
            gained = part.size_bytes - before
            received |= gained > 0
            failures += 1
            if gained >= CHUNK_BYTES:
                failures = 0
                backoff.reset()
            should_retry = error.retry == "now" or (error.retry == "later" and received)
            if not should_retry or failures >= timeouts.tries:
                raise
            pause_s = backoff.next_s()
            log.warning("%s: retrying in %g s", error, pause_s)
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
    """One request and its response."""

    def __init__(self, job: _Job) -> None:
        self._job, self._part = job, job.part
        self._version = job.part.version(job.url)
        self._offset = job.part.size_bytes if self._version.validator or self._is_complete() else 0
        self._done_bytes = self._offset
        self._start_s = time.monotonic()

    @property
    def resumed(self) -> bool:
        """True if the file has bytes of an earlier connection."""
        return self._offset > 0

    def run(self) -> None:
        """Complete the partial file. Raises TransferError, or OSError from writing."""
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
                self._report("broken")
                raise
            self._report("done")

    def _is_complete(self) -> bool:
        return self._version.total_bytes is not None and self._version.total_bytes == self._part.size_bytes

    def _begin(self, response: http.client.HTTPResponse) -> bytes:
        """Resume or restart the partial file, depending on the response; return the body bytes read so far."""
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
        if is_page(head):  # a captive portal's page: keep what was received
            raise TransferError(f"{shown_url(self._job.url)}: {page_text('model')}", "later")
        self._offset = self._done_bytes = 0
        self._version = version
        self._part.begin(version)
        return head

    def _receive(self, response: http.client.HTTPResponse, head: bytes) -> None:
        self._check_room()
        self._report("running")
        with self._part.path.open("ab", buffering=0) as file:
            chunk = head or self._read(response)
            while chunk:
                _write(file, chunk)
                self._done_bytes += len(chunk)
                self._check_size(self._done_bytes)
                self._report("running")
                chunk = self._read(response)
        total_bytes = self._version.total_bytes
        if total_bytes is None:  # the connection's end is the file's end; only the digest shows a cut
            self._part.record(replace(self._version, total_bytes=self._done_bytes))
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

    def _report(self, state: Literal["running", "done", "broken"]) -> None:
        done, total = self._done_bytes, self._version.total_bytes
        elapsed_s = time.monotonic() - self._start_s
        self._job.on_progress(Progress(self._job.name, state, done, done - self._offset, total, elapsed_s))


def _write(file: io.FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:  # an almost full disk may accept a part only
        rest = rest[file.write(rest) :]


def _validator(response: http.client.HTTPResponse) -> str:
    """Return the validator for If-Range; a weak ETag does not promise equal bytes."""
    etag: str = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return str(response.headers.get("Last-Modified", ""))


def _content_range(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """Return the first byte's index and the total size; None for what is missing."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""), re.ASCII)
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])
