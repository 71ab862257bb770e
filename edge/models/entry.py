"""One model of the manifest, and the check of its table."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from edge.config.check import shown
from edge.config.input_size import parse_size

__all__ = ["GRAPH_FOLDER", "SOURCE_KINDS", "EntryTable", "ModelEntry", "check_url"]

SOURCE_KINDS = ("savedmodel", "graph_model")
"""Kinds of entries that models are made from; they cannot be run."""
GRAPH_FOLDER = "graph_models"
"""Folder of graph models in a cache and in a mirror."""


def _check_file(name: str) -> None:
    # Only a plain name stays inside the mirror or the cache when it is joined to their paths.
    if not re.fullmatch(r"[\w][\w.+-]*", name, re.ASCII):
        raise ValueError(f"must be a plain file name without a folder, got {shown(name)}")


def check_url(url: str) -> None:
    """Accept an http or https address without secrets.

    Raises:
        ValueError: another scheme, no host, credentials, or characters that need percent-encoding; the text does not
            repeat the address.
    """
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError for one that is no number
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address that begins with https:// or http://")
    if parts.username is not None:
        raise ValueError("must not hold a user name or password: others could read them")
    if not url.isascii() or any(character.isspace() for character in url):
        raise ValueError("must be ASCII without spaces")


def _check_member(name: str) -> None:
    if name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
        raise ValueError(f"must be the path of a file inside the archive, got {shown(name)}")


def _check_package(name: str) -> None:
    # The grammar of docs.npmjs.com/cli/configuring-npm/package-json, without what npm takes for a path or an option.
    if not re.fullmatch(r"(@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*", name) or len(name) > 214:
        raise ValueError(f"must be the name of a package, got {shown(name)}")


def _check_version(version: str) -> None:
    if not re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version, re.ASCII):
        raise ValueError(f"must be one exact version, such as 3.0.4, got {shown(version)}")


def _check_members(members: dict[str, str]) -> None:
    for name, digest in members.items():
        _check_member(name)
        _check_file(name.rpartition("/")[2])
        _check_sha256(str(digest))
    endings = sorted(name.rpartition(".")[2] for name in members)
    if members and endings != ["bin", "json"]:
        raise ValueError("must be one .json and one .bin file")


def _check_sha256(digest: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{64}", digest):
        raise ValueError("must be 64 hexadecimal digits")


def _check_git_blob(digest: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{40}", digest):
        raise ValueError("must be 40 hexadecimal digits")


def _check_derived_size(size: str) -> None:
    if parse_size(size) is None:
        raise ValueError("must be HxW, height first")


class EntryTable(Struct, frozen=True, kw_only=True):
    """The keys of one model's table in the manifest."""

    file: Annotated[str, Meta(extra={"check": _check_file})]
    kind: Literal["multipose", "singlepose", "heads", "savedmodel", "graph_model"]
    licence: str
    url: Annotated[str, Meta(extra={"check": check_url})] = ""
    member: Annotated[str, Meta(extra={"check": _check_member})] = ""
    sha256: Annotated[str, Meta(extra={"check": _check_sha256})] = ""
    git_blob: Annotated[str, Meta(extra={"check": _check_git_blob})] = ""
    delegate: Literal["edgetpu", ""] = ""
    cpu_twin: str = ""
    package: Annotated[str, Meta(extra={"check": _check_package})] = ""
    version: Annotated[str, Meta(extra={"check": _check_version})] = ""
    members: Annotated[dict[str, str], Meta(extra={"check": _check_members})] = {}
    built_from: list[str] = []
    recipe: Annotated[str, Meta(extra={"check": _check_file})] = ""
    derived_from: str = ""
    size: Annotated[str, Meta(extra={"check": _check_derived_size})] = ""
    bundled: bool = False


class ModelEntry(EntryTable, frozen=True, kw_only=True):
    """One model of the manifest.

    Attributes:
        name: what `--model` takes.
        file: its file's name in a mirror and in the cache.
        kind: `multipose` ([1, 6, 56]), `singlepose` ([1, 1, 17, 3]) or `heads` (the raw maps); `savedmodel` and
            `graph_model` are what models are made from, not runnable.
        licence: of the weights.
        url: where it is published; empty if it is not.
        member: name inside the archive behind `url`; empty when `url` is the file itself.
        sha256: digest of the file, or empty.
        git_blob: the id that git gives the content, or empty: SHA-1 over "blob <size in bytes>", a zero byte
            and the content. Each entry but a `savedmodel` or `graph_model` has exactly one of the two digests.
        delegate: the accelerator it was compiled for; empty: none.
        cpu_twin: name of the same model for the CPU; empty: none.
        package: of the package registry that has it; empty: none.
        version: of the package.
        members: of a graph model: sha256 of each of its two files, by their paths in the package.
        built_from: names of the published models that it can be built from, best first; empty: it is no such model.
        recipe: file of the int8 recipe that it is built with.
        derived_from: name of the singlepose model that it is derived from on this machine; empty: it is published.
        size: `HxW` of a derived model's input.
        bundled: its file is in the package, and is used in place.
        source: the entry that `derived_from` names.
        sources: the entries that `built_from` names.
    """

    name: str
    source: "ModelEntry | None" = None
    sources: "tuple[ModelEntry, ...]" = ()

    @property
    def can_be_fetched(self) -> bool:
        """True if it has a source of its own, beside a mirror."""
        return bool(self.url or self.source or self.sources or self.package)

    @property
    def member_digests(self) -> dict[str, str]:
        """sha256 of a graph model's files, by their names in its folder; the JSON file comes first."""
        names = sorted(self.members, key=lambda name: not name.endswith(".json"))
        return {name.rpartition("/")[2]: self.members[name].lower() for name in names}

    @property
    def digest(self) -> str:
        """The expected digest, `sha256:…`, `git_blob:…` or `members:…` in lower case; empty if unknown."""
        if self.members:
            return _joined(list(self.member_digests.values()))
        if self.git_blob:
            return f"git_blob:{self.git_blob}".lower()
        return f"sha256:{self.sha256}".lower() if self.sha256 else ""

    def digest_of(self, path: Path) -> str:
        """Compute a file's digest in the form of `digest`, else sha256. Raises OSError."""
        if self.members:
            return _joined([_sha256(path.with_name(name)) for name in self.member_digests])
        with path.open("rb") as file:
            if not self.git_blob:
                return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            head = b"blob %d\0" % os.fstat(file.fileno()).st_size
            content = hashlib.file_digest(file, lambda: hashlib.sha1(head, usedforsecurity=False))
            return f"git_blob:{content.hexdigest()}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _joined(digests: list[str]) -> str:
    """Return one digest of several files."""
    return f"members:{hashlib.sha256(' '.join(digests).encode()).hexdigest()}"
