"""What can be wrong with the connection to a broker. None of it ends a run: it is told, and tried again."""

import ssl

__all__ = [
    "HungUpError",
    "LinkError",
    "NamesakeError",
    "OldProtocolError",
    "RefusedError",
    "UntrustedError",
    "explain",
]


class LinkError(Exception):
    """There is no connection, or no longer; the text says why, `kind` tells one sort from another."""

    kind = "gone"


class HungUpError(LinkError):
    """The broker closed the connection before it answered the login."""


class OldProtocolError(LinkError):
    """The broker does not speak this version of MQTT."""

    kind = "protocol"


class UntrustedError(LinkError):
    """The broker's certificate is not valid here: by its authority, its name or this machine's clock."""

    kind = "untrusted"


class RefusedError(LinkError):
    """The broker refused the login."""

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The broker's reason: each is worth one line in the log."""
        return str(self)


class NamesakeError(LinkError):
    """Another agent publishes under this device's name; the text is its run."""

    kind = "namesake"


def explain(error: Exception) -> LinkError:
    """Turn what the network stack raised into the trouble that it means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return UntrustedError(f"certificate not trusted: {error.verify_message}")
    return LinkError(getattr(error, "strerror", None) or str(error) or type(error).__name__)
