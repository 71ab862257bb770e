"""Partial download files that a later process can resume."""

from pathlib import Path

import msgspec

__all__ = ["PartialFile", "Version"]


class Version(msgspec.Struct, frozen=True):
    """The version of the file of a partial download.

    Attributes:
        url: of the request.
        validator: strong ETag, else Last-Modified, else empty: the download cannot be resumed then.
        total_bytes: size of the whole file, None until that is known.
    """

    url: str
    validator: str = ""
    total_bytes: int | None = None


class PartialFile:
    """A partial file `….part` and its version in `….part.json` beside it.

    Received bytes are written without buffering, so a killed process loses none. All methods raise OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version_path = path.with_name(f"{path.name}.json")

    @property
    def size_bytes(self) -> int:
        """Size of what was received, 0 without a file."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def version(self, url: str) -> Version:
        """Return the version of the bytes; no validator: not resumable."""
        try:
            version = msgspec.json.decode(self._version_path.read_bytes(), type=Version)
        except (FileNotFoundError, msgspec.MsgspecError):
            return Version(url)
        return version if version.url == url else Version(url)

    def begin(self, version: Version) -> None:
        """Discard what was received, then record a new version."""
        self.discard()
        self.record(version)

    def record(self, version: Version) -> None:
        """Record the version of the bytes."""
        self._version_path.write_bytes(msgspec.json.encode(version))

    def discard(self) -> None:
        """Remove both files."""
        self._version_path.unlink(missing_ok=True)  # first: bytes without a version are never resumed
        self.path.unlink(missing_ok=True)
