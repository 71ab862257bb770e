"""What has arrived of a download, in a form that outlives the process."""

from pathlib import Path

import msgspec

__all__ = ["PartialFile", "Version"]


class Version(msgspec.Struct, frozen=True):
    """Which file some bytes belong to.

    Attributes:
        url: where it was asked for.
        validator: its strong ETag, else its date of change, else empty: the bytes cannot be continued then.
        total_bytes: its size, None until that is known.
    """

    url: str
    validator: str = ""
    total_bytes: int | None = None


class PartialFile:
    """What has arrived of a file, and of which version of it: `….part`, and `….part.json` beside it.

    Every byte is handed to the system when it arrives, so that a killed process loses none.
    All methods raise OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.json")

    @property
    def size_bytes(self) -> int:
        """Bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def version(self, url: str) -> Version:
        """Return what the bytes are; without a validator where they cannot be continued."""
        try:
            version = msgspec.json.decode(self._note.read_bytes(), type=Version)
        except (FileNotFoundError, msgspec.MsgspecError):
            return Version(url)
        return version if version.url == url else Version(url)

    def begin(self, version: Version) -> None:
        """Throw away what is there, then note what will come."""
        self.discard()
        self.note(version)

    def note(self, version: Version) -> None:
        """Write down what the bytes are."""
        self._note.write_bytes(msgspec.json.encode(version))

    def discard(self) -> None:
        """Remove both files."""
        self._note.unlink(missing_ok=True)  # first: bytes without a note are never continued
        self.path.unlink(missing_ok=True)
