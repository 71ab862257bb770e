"""HTTP as far as downloads need it: one deadline for an answer, redirects by rule, every failure one line."""

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
from typing import Literal
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
MAX_TEXT_BYTES = 1 << 20
PASSING_STATUSES = {408, 425, 429, 500, 502, 503, 504}
LOGIN_STATUSES = {407, 511}
"""A proxy or the network wants somebody to log in first (RFC 9110, 15.5.8; RFC 6585, 6).

Most such networks answer 200 and their page instead, and https with a redirect to it, a certificate of their own or no
TLS at all."""
PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<[!?A-Za-z]")
"""How HTML and XML begin, and neither TOML nor a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a server is waited for.

    Attributes:
        open_s: until its answer begins: name look-up, connection, TLS and redirects together.
        stall_s: for the next byte.
        tries: in a row that bring the download no further.
        pause_s: before the second of these; doubled for each one after it.
    """

    open_s: float = 8.0
    stall_s: float = 15.0
    tries: int = 4
    pause_s: float = 1.0


class TransferError(UnavailableError):
    """A download that failed; the text says where and why, `retry` whether another try can help."""

    def __init__(self, text: str, retry: Retry = "never") -> None:
        super().__init__(text)
        self.retry = retry


def shown_url(url: str) -> str:
    """Return a URL for messages: without credentials, and without the query, which signs some downloads."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def open_url(url: str, headers: Mapping[str, str], timeouts: Timeouts) -> http.client.HTTPResponse:
    """Ask for a URL and follow redirects; the answer may have any status, its body is still to be read.

    Proxies are taken from the environment (`https_proxy` and so on), certificates are verified.

    Raises:
        TransferError: no answer.
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
    """Return what to raise for an answer with a status that brings no file."""
    retry: Retry = "now" if response.status in PASSING_STATUSES else "never"
    retry = "later" if response.status in LOGIN_STATUSES else retry
    phrase = http.client.responses.get(response.status, "")  # the server's own words could be anything
    return TransferError(f"{shown_url(url)}: HTTP {response.status} {phrase}".rstrip(), retry)


def get_text(url: str, timeouts: Timeouts, *, wanted: str = "text file") -> str | None:
    """Return a small text, in messages called `wanted`; None where the server has none (404).

    Raises:
        TransferError: it cannot be had, is a web page, is large, or is not UTF-8.
    """
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
    """Tell from the first bytes of an answer whether it is a web page."""
    return PAGE.match(head) is not None


def page_text(wanted: str) -> str:
    """Say that a web page came in place of what was wanted."""
    return f"what came is no {wanted}, but looks like a web page (a login page of the network?)"


def broken(url: str, error: Exception, timeouts: Timeouts) -> TransferError:
    """Return what to raise for an error while the body of an answer was read."""
    if isinstance(error, TimeoutError):
        return TransferError(f"{shown_url(url)}: sent nothing for {timeouts.stall_s:g} s", "now")
    return TransferError(f"{shown_url(url)}: connection broken ({_reason(error)})", "now")


def _within(seconds: float, call: Callable[[], http.client.HTTPResponse]) -> http.client.HTTPResponse:
    """Run `call` in a thread, because no timeout of the socket module covers the look-up of a name."""
    future: Future[http.client.HTTPResponse] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is taken
            future.set_exception(error)

    Thread(target=work, name="http", daemon=True).start()
    try:
        return future.result(seconds)
    except BaseException:
        future.add_done_callback(_close_late)
        raise


def _close_late(future: "Future[http.client.HTTPResponse]") -> None:
    if future.exception() is None:
        future.result().close()


def _follow(url: str, headers: Mapping[str, str], stall_s: float) -> http.client.HTTPResponse:
    way = [url]
    while True:
        response = _ask(way[-1], headers, stall_s)
        if response.status not in REDIRECTS:
            return response
        with response:
            target = urljoin(way[-1], quote(response.headers.get("Location", ""), safe=string.punctuation))
        _check_redirect(way, target)
        way.append(target)


def _check_redirect(way: list[str], target: str) -> None:
    origin, secure = shown_url(way[0]), urlsplit(way[-1]).scheme == "https"
    if target in way:
        raise TransferError(f"{origin}: redirects in a circle (by way of {shown_url(target)})")
    if len(way) > MAX_REDIRECTS:
        raise TransferError(f"{origin}: more than {MAX_REDIRECTS} redirects")
    scheme = urlsplit(target).scheme
    if scheme not in {"http", "https"}:
        raise TransferError(f"{origin}: redirects to {scheme or 'nowhere'}:, which is not followed")
    if secure and scheme != "https":
        raise TransferError(
            f"{origin}: redirects to http:, which is not followed (a login page of the network?)", "later"
        )


def _ask(url: str, headers: Mapping[str, str], stall_s: float) -> http.client.HTTPResponse:
    # Only these handlers: no file:, ftp: or data:, and no redirect but by the rules above.
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
    return text if text.isprintable() else ascii(text)  # some of it is what the server sent
