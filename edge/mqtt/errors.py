"""What can be wrong with the connection to a broker. None of it ends a run: it is told, and tried again."""

import ssl

from edge.payload import utc

__all__ = [
    "ClockError",
    "FilesError",
    "HungUpError",
    "LinkError",
    "NamesakeError",
    "OldProtocolError",
    "RefusedError",
    "RejectedError",
    "TakenOverError",
    "UntrustedError",
    "WrongPortError",
    "blame_clock",
    "explain",
]

# OpenSSL's verify(1), X509_V_ERR_…
_NOT_YET_VALID = 9
_EXPIRED = 10
_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
_OTHER_NAME = (62, 64)

_ALERT = "ALERT_"


class LinkError(Exception):
    """There is no connection, or no longer; the text says why.

    Attributes:
        kind: tells one sort from another; of each, one is logged per outage.
        what: what it means for whoever reads the log; empty where that depends on what was before.
    """

    kind = "gone"
    what = ""


class HungUpError(LinkError):
    """The broker closed the connection before it answered the login."""


class OldProtocolError(LinkError):
    """The broker does not speak this version of MQTT."""

    kind = "protocol"


class FilesError(LinkError):
    """The files of certificates or keys were fine at the start, and no longer are."""

    kind = "files"


class WrongPortError(LinkError):
    """TLS was spoken to a port that does not speak it."""

    kind = "port"


class UntrustedError(LinkError):
    """The broker's certificate is not valid here: by its authority, its name or this machine's clock."""

    kind = "untrusted"
    what = "is not trusted"

    def __init__(self, text: str, verify_code: int = 0) -> None:
        super().__init__(text)
        self.verify_code = verify_code


class ClockError(UntrustedError):
    """The broker's certificate begins in what this machine, whose clock was not set yet, takes for the future."""

    kind = "clock"
    what = "cannot be verified yet"


class RejectedError(LinkError):
    """The broker ended the TLS handshake: it wants another certificate of the client, or none of its offers fits."""

    kind = "rejected"
    what = "refuses the TLS connection"


class RefusedError(LinkError):
    """The broker refused the login."""

    what = "refuses the login"

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The broker's reason: each is worth one line in the log."""
        return str(self)


class NamesakeError(LinkError):
    """Another agent publishes under this device's name; the text says which, or how it was found."""

    kind = "namesake"


class TakenOverError(NamesakeError):
    """Another client logged in with this device's client id, and the broker ended this connection for it."""

    kind = "taken over"


def explain(error: Exception) -> LinkError:
    """Turn what the network stack raised into the trouble that it means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _hint(error.verify_code)
        return UntrustedError(f"its certificate: {error.verify_message.rstrip('.')}{hint}", error.verify_code)
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error)
    return LinkError(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _hint(verify_code: int) -> str:
    if verify_code in _UNKNOWN_AUTHORITY:
        return "; mqtt.ca_file must name the authority that signed it"
    if verify_code in _OTHER_NAME:
        return "; mqtt.url must name the broker as its certificate does"
    return ""


def _explain_tls(error: ssl.SSLError) -> LinkError:
    if isinstance(error, ssl.SSLEOFError):
        return WrongPortError("it hung up in the TLS handshake: is this the broker's port for TLS, usually 8883?")
    reason = error.reason or ""
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return WrongPortError("no TLS is spoken on this port: mqtts:// needs the broker's port for TLS, usually 8883")
    if _ALERT in reason:
        alert = reason.split(_ALERT)[1].replace("_", " ").lower()
        return RejectedError(f"{alert}{_alert_hint(alert)}")
    return RejectedError(reason.replace("_", " ").lower() or str(error))


def _alert_hint(alert: str) -> str:
    if alert == "protocol version":
        return "; the broker must offer TLS 1.2 or later"
    if alert in {"certificate required", "handshake failure"}:
        return "; it wants a certificate of this client: mqtt.cert_file, mqtt.key_file"
    if alert == "certificate expired":
        return ": the one in mqtt.cert_file, or the broker's clock is wrong"
    if "certificate" in alert or alert == "unknown ca":
        return "; it does not accept the certificate in mqtt.cert_file"
    return ""


def blame_clock(error: LinkError, synced: bool | None, now_s: float) -> LinkError:
    """Return what to tell about a certificate whose time is not now.

    Args:
        error: any trouble; all but such certificates comes back as it is.
        synced: whether the kernel calls this machine's clock synchronized; None if it does not say.
        now_s: what that clock says, in seconds since the epoch.
    """
    if not isinstance(error, UntrustedError) or error.verify_code not in {_NOT_YET_VALID, _EXPIRED}:
        return error
    clock = f"{utc(now_s)[:16]}Z".replace("T", " ")
    if error.verify_code == _NOT_YET_VALID and synced is False:
        return ClockError(f"this machine's clock is not set yet, it says {clock}; {error}", error.verify_code)
    return UntrustedError(f"{error}; this machine's clock says {clock}", error.verify_code)
