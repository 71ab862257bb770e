"""Minimal HTTP client for downloads.

One deadline covers everything until the response begins, redirects follow fixed rules, each failure is one line.
"""

import http.client
import re
import socket
import ssl
import string
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from edge import __version__
from edge.errors import UnavailableError

__all__ = [
    "Retry",
    "Timeouts",
    "TransferError",
    "broken",
    "get_text",
    "is_page",
    "open_url",
    "page_text",
    "shown_url",
    "status_error",
]

Retry = Literal["never", "later", "now"]
"""When a retry can help: never; later, when the network is back or its captive portal is passed; now."""

REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 5
MAX_REASON_CHARACTERS = 200
MAX_TEXT_BYTES = 1 << 16
"""The manifest of the package has 5 kB."""
PASSING_STATUSES = {408, 425, 429, 500, 502, 503, 504}
LOGIN_STATUSES = {407, 511}
"""A proxy or a captive portal asks for a login (RFC 9110, 15.5.8; RFC 6585, 6).

Most captive portals answer with 200 and their page instead, and answer https with a redirect to it, with a certificate
of their own or without TLS."""
T = TypeVar("T")

PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<[!?A-Za-z]")
"""Start of HTML and XML; neither TOML nor a model starts like this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts and retries of a download.

    Attributes:
        open_s: timeout until the response begins: name look-up, connection, TLS and redirects together.
        stall_s: timeout for the next byte; of a small text, for all of it after `open_s`.
        tries: consecutive attempts without progress after which the download fails.
        pause_s: before the second of these attempts; doubled for each further one (exponential back-off).
    """

    open_s: float = 8.0
    stall_s: float = 15.0
    tries: int = 4
    pause_s: float = 1.0


class TransferError(UnavailableError):
    """A failed download: the message says where and why, `retry` when to retry."""

    def __init__(self, text: str, retry: Retry = "never") -> None:
        super().__init__(text)
        self.retry = retry


def shown_url(url: str) -> str:
    """Return a URL for messages, without credentials and query.

    The query of a signed download is a credential, too.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def open_url(url: str, headers: Mapping[str, str], timeouts: Timeouts) -> http.client.HTTPResponse:
    """Send a GET request and follow redirects.

    The response may have any status; its body is still to be read. Proxies are taken from the environment
    (`https_proxy` and so on), certificates are verified.

    Raises:
        TransferError: no response.
    """
    try:
        return _within(timeouts.open_s, lambda: _follow(url, headers, timeouts.stall_s))
    except TransferError:
        raise
    except TimeoutError:
        limit_s = min(timeouts.open_s, timeouts.stall_s)
        raise TransferError(f"{shown_url(url)}: no answer within {limit_s:g} s", "later") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unopened(url, error) from error


def status_error(url: str, response: http.client.HTTPResponse) -> TransferError:
    """Return the error for a response whose status means failure."""
    retry: Retry = "now" if response.status in PASSING_STATUSES else "never"
    retry = "later" if response.status in LOGIN_STATUSES else retry
    phrase = http.client.responses.get(response.status, "")  # the server's own phrase could be any text
    return TransferError(f"{shown_url(url)}: HTTP {response.status} {phrase}".rstrip(), retry)


def get_text(url: str, timeouts: Timeouts, *, wanted: str = "text file") -> str | None:
    """Download a text of at most 64 KiB; None if the server has none (404).

    Args:
        url: http or https.
        timeouts: of the request.
        wanted: how messages name the text.

    Raises:
        TransferError: the download failed, or is a web page, too large, or not UTF-8.
    """
    limit_s = timeouts.open_s + timeouts.stall_s
    try:
        return _within(limit_s, lambda: _get_text(url, timeouts, wanted))
    except TimeoutError:  # a byte now and then is no stall, and no answer either
        raise TransferError(f"{shown_url(url)}: not here after {limit_s:g} s", "later") from None


def _get_text(url: str, timeouts: Timeouts, wanted: str) -> str | None:
    with open_url(url, {}, timeouts) as response:
        if response.status == http.HTTPStatus.NOT_FOUND:
            return None
        if response.status != http.HTTPStatus.OK:
            raise status_error(url, response)
        try:
            data = response.read(MAX_TEXT_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise broken(url, error, timeouts) from error
    if is_page(data):  # before all else: it may be large, and in any encoding
        raise TransferError(f"{shown_url(url)}: {page_text(wanted)}", "later")
    if len(data) > MAX_TEXT_BYTES:
        raise TransferError(f"{shown_url(url)}: far too large")
    if response.length:  # of the body, what has not come; half a text may look like a whole one
        raise TransferError(f"{shown_url(url)}: connection cut off after {len(data)} bytes", "now")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TransferError(f"{shown_url(url)}: not UTF-8 text", "later") from None


def is_page(head: bytes) -> bool:
    """Return whether a response starting with `head` is a page."""
    return PAGE.match(head) is not None


def page_text(wanted: str) -> str:
    """Return the message for a page in place of `wanted`."""
    return f"what came is no {wanted}, but looks like a web page (a login page of the network?)"


def broken(url: str, error: Exception, timeouts: Timeouts) -> TransferError:
    """Return the error for a failed read of a body."""
    if isinstance(error, TimeoutError):
        return TransferError(f"{shown_url(url)}: sent nothing for {timeouts.stall_s:g} s", "now")
    return TransferError(f"{shown_url(url)}: connection broken ({_reason(error)})", "now")


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Run `call` in a thread, because no timeout of the socket module covers name look-up, or all bytes together."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - `future.result` raises it again
            future.set_exception(error)

    Thread(target=work, name="http", daemon=True).start()
    try:
        return future.result(seconds)
    except BaseException:
        future.add_done_callback(_close_late)
        raise


def _close_late(future: "Future[Any]") -> None:
    if future.exception() is None and isinstance(future.result(), http.client.HTTPResponse):
        future.result().close()


def _follow(url: str, headers: Mapping[str, str], stall_s: float) -> http.client.HTTPResponse:
    chain = [url]
    while True:
        response = _ask(chain[-1], headers, stall_s)
        if response.status not in REDIRECTS:
            return response
        with response:
            target = urljoin(chain[-1], quote(response.headers.get("Location", ""), safe=string.punctuation))
        _check_redirect(chain, target)
        chain.append(target)


def _check_redirect(chain: list[str], target: str) -> None:
    origin, secure = shown_url(chain[0]), urlsplit(chain[-1]).scheme == "https"
    if target in chain:
        raise TransferError(f"{origin}: redirects in a circle (by way of {shown_url(target)})")
    if len(chain) > MAX_REDIRECTS:
        raise TransferError(f"{origin}: more than {MAX_REDIRECTS} redirects")
    scheme = urlsplit(target).scheme
    if scheme not in {"http", "https"}:
        raise TransferError(f"{origin}: redirects to {scheme or 'nowhere'}:, which is not followed")
    if secure and scheme != "https":
        raise TransferError(
            f"{origin}: redirects to http:, which is not followed (a login page of the network?)", "later"
        )


def _ask(url: str, headers: Mapping[str, str], stall_s: float) -> http.client.HTTPResponse:
    # Only these handlers: no file:, ftp: or data:, and only redirects that `_check_redirect` allows.
    director = urllib.request.OpenerDirector()
    director.addheaders = []
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()):
        director.add_handler(handler)
    own = {"User-Agent": f"edge-pose/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**own, **headers})  # noqa: S310 - no handler for other schemes
    response: http.client.HTTPResponse | None = director.open(request, timeout=stall_s)
    if response is None:  # no handler for the scheme
        raise ValueError("not an http or https address")
    return response


def _unopened(url: str, error: Exception) -> TransferError:
    host = urlsplit(url).hostname
    retry: Retry = "never"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    match error:
        case socket.gaierror():
            text, retry = f"the name {host} cannot be resolved", "later"
        case TimeoutError():
            text, retry = f"{host} does not answer", "later"
        case ConnectionRefusedError():
            text, retry = "connection refused", "later"
        case ConnectionError() | http.client.BadStatusLine():
            text, retry = f"connection broken ({_reason(error)})", "now"
        case ssl.SSLCertVerificationError():
            retry = "later"  # when the clock is set, or the network lets through to the server itself
            what_to_do = "is the clock right, is ca-certificates installed, does the network want a login?"
            text = f"certificate refused ({error.verify_message}): {what_to_do}"
        case ssl.SSLError():
            text, retry = f"no TLS connection ({_reason(error)})", "later"
        case OSError():
            text, retry = _reason(error), "later"
        case _:
            text = _reason(error)
    return TransferError(f"{shown_url(url)}: {text}", retry)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split())[:MAX_REASON_CHARACTERS] or type(error).__name__
    return text if text.isprintable() else ascii(text)  # a server can choose part of this text
