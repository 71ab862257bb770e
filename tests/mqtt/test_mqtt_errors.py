"""The LinkError for each error of the network stack."""

import ssl

import pytest

from edge.mqtt.errors import (
    ClockError,
    LinkError,
    RejectedError,
    UntrustedError,
    WrongPortError,
    blame_clock,
    explain,
)

NOT_YET_VALID, EXPIRED, OTHER_NAME = 9, 10, 62
BOOT_S = 1_669_860_800.0


def unverified(code: int, text: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_code, error.verify_message = code, text
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "failed")
    error.reason = reason
    return error


def test_an_error_of_the_system_keeps_its_text() -> None:
    assert str(explain(ConnectionRefusedError(111, "Connection refused"))) == "Connection refused"
    assert str(explain(TimeoutError())) == "TimeoutError"


def test_a_certificate_of_another_name_comes_with_the_way_out() -> None:
    error = explain(unverified(OTHER_NAME, "Hostname mismatch, certificate is not valid for 'hall'."))
    assert isinstance(error, UntrustedError)
    assert str(error) == (
        "its certificate: Hostname mismatch, certificate is not valid for 'hall'; "
        "mqtt.url must name the broker as its certificate does"
    )


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate required; it wants a certificate of this client"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake failure; it wants a certificate of this client"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate expired: the one in mqtt.cert_file"),
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown ca; it does not accept the certificate in mqtt.cert_file"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "protocol version; the broker must offer TLS 1.2 or later"),
        ("TLSV1_ALERT_INTERNAL_ERROR", "internal error"),
        ("NO_PROTOCOLS_AVAILABLE", "no protocols available"),
    ],
)
def test_an_alert_is_explained_with_what_it_asks_for(reason: str, hint: str) -> None:
    error = explain(alert(reason))
    assert isinstance(error, RejectedError)
    assert str(error).startswith(hint)


def test_an_answer_that_is_no_tls_means_the_wrong_port() -> None:
    assert isinstance(explain(alert("WRONG_VERSION_NUMBER")), WrongPortError)
    assert isinstance(explain(ssl.SSLEOFError(8, "EOF occurred")), WrongPortError)


def test_a_clock_that_is_not_set_is_to_blame_for_a_certificate_of_the_future() -> None:
    error = blame_clock(explain(unverified(NOT_YET_VALID, "certificate is not yet valid")), False, BOOT_S)
    assert isinstance(error, ClockError)
    assert str(error) == (
        "this machine's clock is not set yet, it says 2022-12-01 02:13Z; its certificate: certificate is not yet valid"
    )


@pytest.mark.parametrize(("code", "synced"), [(NOT_YET_VALID, True), (NOT_YET_VALID, None), (EXPIRED, False)])
def test_a_clock_that_may_be_right_is_only_named(code: int, synced: bool | None) -> None:
    error = blame_clock(UntrustedError("its certificate: bad", code), synced, BOOT_S)
    assert not isinstance(error, ClockError)
    assert str(error) == "its certificate: bad; this machine's clock says 2022-12-01 02:13Z"


def test_nothing_else_is_blamed_on_the_clock() -> None:
    for error in (LinkError("gone"), UntrustedError("other name", OTHER_NAME)):
        assert blame_clock(error, False, BOOT_S) is error
