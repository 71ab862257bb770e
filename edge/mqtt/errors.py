"""Errors of a connection to a broker.

None of them ends a run: they are logged, and the connection is tried again.
"""

import ssl

from edge.payload import utc

__all__ = [
    "ClockError",
    "ConnectionClosedError",
    "DuplicateClientError",
    "FilesError",
    "LinkError",
    "RefusedError",
    "RejectedError",
    "TakeoverError",
    "UnsupportedProtocolError",
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
    """There is no connection, or it is lost; the text says why.

    Attributes:
        kind: the category; one error of each is logged per outage.
        what: what is wrong, as a verb phrase after "broker HOST:PORT"; empty where the log has to choose between
            "gone" and "cannot be reached".
    """

    kind = "gone"
    what = ""


class ConnectionClosedError(LinkError):
    """The broker closed the connection before it answered the login."""


class UnsupportedProtocolError(LinkError):
    """The broker does not speak this version of MQTT."""

    kind = "protocol"


class FilesError(LinkError):
    """A file of certificates or keys has become unusable since the start."""

    kind = "files"


class WrongPortError(LinkError):
    """The port does not speak TLS."""

    kind = "port"


class UntrustedError(LinkError):
    """The broker's certificate is not valid here: authority, name or dates."""

    kind = "untrusted"
    what = "is not trusted"

    def __init__(self, text: str, verify_code: int = 0) -> None:
        super().__init__(text)
        self.verify_code = verify_code


class ClockError(UntrustedError):
    """The broker's certificate is not valid yet by a clock that is not set."""

    kind = "clock"
    what = "cannot be verified yet"


class RejectedError(LinkError):
    """The broker ended the TLS handshake.

    It wants another certificate of the client, or the two share no version or cipher.
    """

    kind = "rejected"
    what = "refuses the TLS connection"


class RefusedError(LinkError):
    """The broker refused the login."""

    what = "refuses the login"

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The broker's reason, so that each reason is logged."""
        return str(self)


class DuplicateClientError(LinkError):
    """Another client uses this device's name; the text says which."""

    kind = "duplicate"


class TakeoverError(DuplicateClientError):
    """Another client took over the session, by the same client id."""

    kind = "takeover"


def explain(error: Exception) -> LinkError:
    """Return the LinkError for an error of the network stack."""
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
        return WrongPortError(
            "it closed the connection in the TLS handshake: is this the broker's port for TLS, usually 8883?"
        )
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
    """Add this machine's clock to an error about a certificate's dates.

    Args:
        error: any; one that is not about dates is returned unchanged.
        synced: whether the kernel calls this machine's clock synchronized; None if it does not say.
        now_s: the time of that clock, in seconds since the epoch.
    """
    if not isinstance(error, UntrustedError) or error.verify_code not in {_NOT_YET_VALID, _EXPIRED}:
        return error
    clock = f"{utc(now_s)[:16]}Z".replace("T", " ")
    if error.verify_code == _NOT_YET_VALID and synced is False:
        return ClockError(f"this machine's clock is not set yet, it says {clock}; {error}", error.verify_code)
    return UntrustedError(f"{error}; this machine's clock says {clock}", error.verify_code)
