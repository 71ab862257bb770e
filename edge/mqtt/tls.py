"""TLS for the connection to the broker."""

import contextlib
import os
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from edge.errors import UnavailableError
from edge.host.files import open_regular

__all__ = ["FreshContext", "RememberingSocket", "make_context"]


def make_context(
    ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or later that verifies certificate and name.

    Args:
        ca_file: PEM file of the authority to trust; None for the system's.
        cert_file: PEM file of the client's certificate, None for none.
        key_file: PEM file of its key, not encrypted; None where `cert_file` holds it.

    Raises:
        UnavailableError: a file cannot be read or is not what it should be.
    """
    for key, file in (("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)):
        if file is not None:
            _require_readable(f"mqtt.{key}", file)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise UnavailableError(f"mqtt.ca_file: {ca_file} holds no certificate in PEM form") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 also refuses authorities without a key usage, such as mosquitto's manual makes.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.sslsocket_class = RememberingSocket
    if cert_file is not None:
        _load_identity(context, cert_file, key_file)
    return context


def _require_readable(key: str, file: str) -> None:
    try:
        os.close(open_regular(Path(file)))
    except OSError as error:
        raise UnavailableError(f"{key}: cannot read {file}: {error.strerror}") from None


def _load_identity(context: ssl.SSLContext, cert_file: str, key_file: str | None) -> None:
    was_asked = False

    def no_password() -> str:
        # Without this OpenSSL would ask the terminal, and a service would wait for ever.
        nonlocal was_asked
        was_asked = True
        return ""

    try:
        context.load_cert_chain(cert_file, key_file, no_password)
    except OSError as error:
        key = key_file or cert_file
        if was_asked:
            text = f"the key in {key} is encrypted, which no service can use: openssl pkey -in {key} -out PLAIN"
        elif getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            text = f"the key in {key} does not belong to the certificate in {cert_file}"
        else:
            text = f"no certificate with its key, in PEM form, in {' and '.join(sorted({cert_file, key}))}"
        raise UnavailableError(f"mqtt.{'key_file' if key_file else 'cert_file'}: {text}") from None


class FreshContext:
    """A TLS context that is rebuilt when its files change.

    Certificates are renewed while the agent runs. Only a change makes it read the files again: loading the system's
    hundred authorities takes longer than an inference.

    Args:
        make: reads the files.
        files: the files to watch.
    """

    def __init__(self, make: Callable[[], ssl.SSLContext | None], files: Iterable[str]) -> None:
        self._make = make
        self._files = tuple(files)
        self._made_of: tuple[object, ...] | None = None
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext | None:
        """Return the context. Raises UnavailableError, as `make` does, until the files are usable."""
        now = tuple(map(_version_of, self._files))
        if now != self._made_of:
            self._made_of = None
            self._context = self._make()
            self._made_of = now
        return self._context


def _version_of(file: str) -> tuple[int, ...] | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class RememberingSocket(ssl.SSLSocket):
    """A TLS socket that keeps the error that ended it.

    It also closes itself when the handshake fails, which paho leaves to the garbage collector.

    With TLS 1.3 a broker verifies the client's certificate after the client's part of the handshake is over, so a
    rejection arrives as an alert in place of the first answer. paho reports any error there as a lost connection.

    Attributes:
        failure: the TLS error that ended the connection; None if there was none.
    """

    failure: ssl.SSLError | None = None

    def do_handshake(self, block: bool = False) -> None:
        """Do the handshake, or close. Raises SSLError also when the peer just closes."""
        try:
            super().do_handshake(block)
        except ConnectionError as error:
            self.close()
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "closed by the peer") from error
        except OSError:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive; keeps a TLS error in `failure`."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.failure = error
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """Send; if that fails, read the alert that the peer may have sent."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            # The alert that explains the failure may be unread.
            with contextlib.suppress(OSError):
                self.recv(1)
            raise
