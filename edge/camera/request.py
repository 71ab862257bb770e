"""Small requests to a camera's server: why its stream cannot be opened, and single pictures over HTTP.

OpenCV says neither why FFmpeg failed, nor that a URL gives one picture per request. Messages of RTSP and HTTP/1.0 have
the same form, so one client does for both.
"""

import base64
import hashlib
import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit

from edge.errors import CameraLostError

__all__ = ["Probe", "RequestError", "fetch_picture", "playable_url", "probe"]

NO_ANSWER = {"rtmp": 1935, "rtmps": 443, "tcp": 0, "udp": 0}
"""Kinds of streams that are not asked anything: only the connection is tried, and with UDP there is none."""
PORTS = NO_ANSWER | {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 32 * 2**20
MAX_REDIRECTS = 3
HOST_AND_PORT = re.compile(r"(?:[^:@\s]+|\[[^\]]*\])(?::\d*)?")
UNQUOTED = "%!$&'()*+,;=:@/?~-._[]"
"""What stays as it is in the path and query of a request."""


class RequestError(CameraLostError):
    """A server gave no picture; the text says why, without its address."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a server says about a stream.

    Attributes:
        reason: why it cannot be opened; empty if the server offers it.
        is_picture: whether it is one picture per request.
        is_offered: whether the server describes a video.
    """

    reason: str
    is_picture: bool = False
    is_offered: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """A server's answer; names of headers in lower case."""

    status: int
    phrase: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


@dataclass(slots=True)
class _Address:
    """A URL in parts; credentials decoded."""

    url: str
    scheme: str = field(init=False)
    host: str = field(init=False)
    port: int = field(init=False)
    user: str = field(init=False)
    password: str = field(init=False)
    target: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(playable_url(self.url))
        self.scheme = parts.scheme.lower()
        self.host = parts.hostname or ""
        self.port = parts.port or PORTS[self.scheme]
        self.user, self.password = unquote(parts.username or ""), unquote(parts.password or "")
        path = quote(parts.path, safe=UNQUOTED) + (f"?{quote(parts.query, safe=UNQUOTED)}" if parts.query else "")
        self.target = path or "/"
        if self.scheme.startswith("rtsp"):
            self.target = f"{self.scheme}://{self.place}{path}"

    @property
    def place(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def playable_url(url: str) -> str:
    """Return a URL whose login FFmpeg understands: `#`, `/`, `?` and blanks of a password percent-encoded.

    Left alone where the part before them may be a host: `rtsp://cam:554/live@2`.
    """
    scheme, _, rest = url.partition("://")
    userinfo, at, place = rest.rpartition("@")
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    is_fragment = rest[len(host) : len(host) + 1] == "#"
    if not at or "@" in host or (HOST_AND_PORT.fullmatch(host) and not host.endswith(":") and not is_fragment):
        return url
    return f"{scheme}://{quote(userinfo, safe='%:')}@{place}"


def probe(url: str, timeout_s: float) -> Probe:
    """Ask a stream's server why FFmpeg cannot open it; never raises."""
    try:
        address = _Address(url)
    except (ValueError, KeyError):
        return Probe("the URL is not valid")
    try:
        if address.scheme in NO_ANSWER:
            return _try_connection(address, timeout_s)
        answer = _ask(address, time.monotonic() + timeout_s)
    except RequestError as error:
        return Probe(str(error))
    if answer.status != 200:
        return Probe(_refusal(answer, has_login=bool(address.user)) + _hint(url))
    if address.scheme.startswith("rtsp"):
        if b"m=video" in answer.body:
            return Probe("", is_offered=True)
        return Probe("the server offers no video at this path")
    if answer.kind.startswith("image/"):
        return Probe("", is_picture=True)
    if answer.kind in ("text/html", "application/xhtml+xml"):
        return Probe("a web page answers: the camera's stream has another URL")
    return Probe("", is_offered=True)


def fetch_picture(url: str, timeout_s: float) -> bytes:
    """Return the picture that a URL gives, as a JPEG or another file of a picture.

    Raises:
        RequestError: the server gives none in time.
    """
    address = _Address(url)
    answer = _ask(address, time.monotonic() + timeout_s)
    if answer.status != 200:
        raise RequestError(_refusal(answer, has_login=bool(address.user)))
    if not answer.kind.startswith("image/"):
        raise RequestError(f"sent {answer.kind or 'something'} instead of a picture")
    return answer.body


def _try_connection(address: _Address, timeout_s: float) -> Probe:
    """Return why nothing comes from a server that is not asked. Raises RequestError."""
    if address.scheme == "udp":
        return Probe("no video comes there")
    with _named_faults(address):
        _connection(address, time.monotonic() + timeout_s).close()
    return Probe("", is_offered=True)


def _refusal(answer: _Answer, *, has_login: bool) -> str:
    match answer.status:
        case 401 if has_login:
            return "the camera refuses the login: wrong user name or password"
        case 401:
            return "the camera wants a login: write user:password@ before the host"
        case 403:
            return "the camera forbids it (403)"
        case 404:
            return "there is nothing at this path (404)"
        case _:
            return f"the server answers {answer.status} {answer.phrase}".rstrip()


def _hint(url: str) -> str:
    """Return a hint for a password that may have been cut: `rtsp://admin:12/34@cam`."""
    is_cut = "@" in urlsplit(playable_url(url)).path
    return "; a / or ? in a password is written %2F or %3F" if is_cut else ""


def _ask(address: _Address, deadline_s: float) -> _Answer:
    """Return the answer to a request, after the login and redirects.

    Raises:
        RequestError: no connection, no answer in time, or none of this protocol.
    """
    login = ""
    for _ in range(1 + MAX_REDIRECTS):
        answer = _exchange(address, login, deadline_s)
        challenge = answer.headers.get("www-authenticate", "")
        if answer.status == 401 and challenge and address.user and not login:
            login = _login(address, challenge)
        elif answer.status in (301, 302, 303, 307, 308) and (place := answer.headers.get("location")):
            address, login = _redirected(address, place), ""
        else:
            break
    return answer


def _redirected(address: _Address, place: str) -> _Address:
    try:
        other = _Address(urljoin(f"{address.scheme}://{address.place}{urlsplit(address.target).path}", place))
    except (ValueError, KeyError):
        raise RequestError("the server redirects to an address that is not valid") from None
    if (other.host, other.port) == (address.host, address.port):  # no other server gets the login
        other.user, other.password = address.user, address.password
    return other


def _exchange(address: _Address, login: str, deadline_s: float) -> _Answer:
    """Send one request on a connection of its own."""
    with _named_faults(address), _connection(address, deadline_s) as connection:
        connection.sendall(_request(address, login))
        return _receive(connection, deadline_s, is_rtsp=address.scheme.startswith("rtsp"))


@contextmanager
def _named_faults(address: _Address) -> Iterator[None]:
    """Raise RequestError in place of the faults of a connection."""
    try:
        yield
    except RequestError:  # an OSError, too
        raise
    except ConnectionRefusedError:
        raise RequestError(f"nothing listens at port {address.port} (connection refused)") from None
    except socket.gaierror:
        raise RequestError("the host's name is not known") from None
    except TimeoutError:
        raise RequestError("no answer in time") from None
    except ssl.SSLError as error:
        raise RequestError(f"TLS fails ({error.reason})") from None
    except (OSError, UnicodeError) as error:
        raise RequestError(f"no connection ({getattr(error, 'strerror', None) or error})") from None


def _connection(address: _Address, deadline_s: float) -> socket.socket:
    plain = socket.create_connection((address.host, address.port), _left_s(deadline_s))
    if not address.scheme.endswith("s"):
        return plain
    context = ssl.create_default_context()
    context.check_hostname = False  # as FFmpeg does: cameras sign their certificates themselves
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=address.host)
    except OSError:
        plain.close()
        raise


def _request(address: _Address, login: str) -> bytes:
    if address.scheme.startswith("rtsp"):
        lines = [f"DESCRIBE {address.target} RTSP/1.0", "CSeq: 1", "Accept: application/sdp"]
    else:
        lines = [f"GET {address.target} HTTP/1.0", f"Host: {address.place}", "Accept: */*", "Connection: close"]
    lines += ["User-Agent: edge-pose", *([f"Authorization: {login}"] if login else []), "", ""]
    return "\r\n".join(lines).encode()


def _receive(connection: socket.socket, deadline_s: float, *, is_rtsp: bool) -> _Answer:
    """Read one answer; of HTTP the body only of a picture, as a stream has no end."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        if len(data) > MAX_HEAD_BYTES or not _read_more(connection, data, deadline_s):
            raise RequestError("the server speaks neither RTSP nor HTTP")
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    match = re.fullmatch(r"(RTSP|HTTP)/\d\.\d (\d{3}) ?(.*)", first)
    if not match or (match[1] == "RTSP") != is_rtsp:
        raise RequestError(f"the server does not speak {'RTSP' if is_rtsp else 'HTTP'}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        if name == "www-authenticate" and headers.get(name, "").lower().startswith("digest"):
            continue  # of several the safest
        headers[name] = value.strip()
    answer = _Answer(int(match[2]), "".join(filter(str.isprintable, match[3]))[:60], headers, b"")
    wants_body = answer.status == 200 and (is_rtsp or answer.kind.startswith("image/"))
    body = _body(connection, bytearray(rest), headers, deadline_s, is_rtsp=is_rtsp) if wants_body else b""
    return _Answer(answer.status, answer.phrase, headers, body)


def _body(
    connection: socket.socket, data: bytearray, headers: Mapping[str, str], deadline_s: float, *, is_rtsp: bool
) -> bytes:
    text = headers.get("content-length", "0" if is_rtsp else "")
    length = int(text) if text.isdecimal() else MAX_BODY_BYTES + 1
    while len(data) < length and _read_more(connection, data, deadline_s):
        if len(data) > MAX_BODY_BYTES:
            raise RequestError(f"sent more than {MAX_BODY_BYTES >> 20} MiB")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _joined(bytes(data))
    return bytes(data[:length])


def _joined(data: bytes) -> bytes:
    """Return the chunks of a body in one piece; what is wrong ends it."""
    pieces, at = [], 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = re.match(rb"[0-9a-fA-F]{1,8}", data[at:end])
        if not size or not int(size[0], 16):
            break
        pieces.append(data[end + 2 : end + 2 + int(size[0], 16)])
        at = end + 4 + int(size[0], 16)
    return b"".join(pieces)


def _read_more(connection: socket.socket, data: bytearray, deadline_s: float) -> bool:
    """Append what arrives; False at the end of the connection."""
    connection.settimeout(_left_s(deadline_s))
    piece = connection.recv(65536)
    data += piece
    return bool(piece)


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _login(address: _Address, challenge: str) -> str:
    """Return the header that answers a challenge: Basic, or Digest by MD5 (RFC 2617)."""
    if not challenge.lower().startswith("digest"):
        return "Basic " + base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
    given = {name.lower(): a or b for name, a, b in re.findall(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))', challenge)}
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    method = "DESCRIBE" if address.scheme.startswith("rtsp") else "GET"
    secret = _md5(f"{address.user}:{realm}:{address.password}")
    request = _md5(f"{method}:{address.target}")
    fields = {"username": address.user, "realm": realm, "nonce": nonce, "uri": address.target}
    extra = ""
    if "auth" in given.get("qop", "").replace(" ", "").split(","):
        own = secrets.token_hex(8)
        fields |= {"response": _md5(f"{secret}:{nonce}:00000001:{own}:auth:{request}"), "cnonce": own}
        extra = ", qop=auth, nc=00000001"
    else:
        fields["response"] = _md5(f"{secret}:{nonce}:{request}")
    if "opaque" in given:
        fields["opaque"] = given["opaque"]
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items()) + extra


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
