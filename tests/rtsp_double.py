"""An RTSP camera on this machine: MPEG-TS over UDP or TCP, with a login or a fault."""

import base64
import contextlib
import hashlib
import re
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

TS_PACKET = 188
PER_RTP = 7
REALM, NONCE = "camera", "a1b2c3"
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
VIDEO = "m=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\na=control:track1\r\n"
AUDIO = "m=audio 0 RTP/AVP 0\r\na=control:track1\r\n"


class RtspCamera(socketserver.ThreadingTCPServer):
    """Serves `/1`; anything else is a 404.

    Attributes:
        transport: `tcp` or `udp`: the other one is refused with 461.
        login: (kind, user, password); the kind is `basic` or `digest`.
        sdp: what DESCRIBE returns.
        requests: first lines of all requests so far.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, clip: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clip = clip.read_bytes() if clip else b""
        self.transport = "tcp"
        self.login: tuple[str, str, str] | None = None
        self.sdp = SDP + VIDEO
        self.requests: list[str] = []
        self.stopping = threading.Event()

    def url(self, userinfo: str = "", path: str = "/1") -> str:
        at = f"{userinfo}@" if userinfo else ""
        return f"rtsp://{at}127.0.0.1:{self.server_address[1]}{path}"

    @contextlib.contextmanager
    def running(self) -> "Iterator[RtspCamera]":
        """Serve until the end of a `with` statement."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield self
        self.stopping.set()
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    server: RtspCamera

    def handle(self) -> None:
        self.stopping = threading.Event()
        with contextlib.suppress(OSError):
            while self._answer_one():
                pass
        self.stopping.set()

    def _answer_one(self) -> bool:
        while (start := self.rfile.read(1)) == b"$":  # RTCP, interleaved
            _, length = struct.unpack(">BH", self.rfile.read(3))
            self.rfile.read(length)
        first = start + self.rfile.readline()
        if not first.strip():
            return False
        headers: dict[str, str] = {}
        while (line := self.rfile.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        words = first.decode().split()
        self.server.requests.append(first.decode().strip())
        method, url = words[0], words[1]
        status, extra, body = self._answer(method, url, headers)
        text = f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\nSession: 7\r\n{extra}"
        text += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self.wfile.write(text.encode())
        if method == "PLAY" and status.startswith("200"):
            threading.Thread(target=self._play, daemon=True).start()
        return method != "TEARDOWN"

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> tuple[str, str, str]:
        if method == "OPTIONS":
            return "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""
        if self.server.login and not self._is_welcome(method, url, headers.get("authorization", "")):
            kind = self.server.login[0]
            nonce = f', nonce="{NONCE}"' if kind == "digest" else ""
            return "401 Unauthorized", f'WWW-Authenticate: {kind.title()} realm="{REALM}"{nonce}\r\n', ""
        if "/1" not in re.sub(r"^rtsp://[^/]*", "", url):
            return "404 Not Found", "", ""
        if method == "DESCRIBE":
            return "200 OK", f"Content-Base: {url}/\r\n", self.server.sdp
        if method == "SETUP":
            return self._set_up(headers.get("transport", ""))
        return "200 OK", "", ""

    def _is_welcome(self, method: str, url: str, given: str) -> bool:
        assert self.server.login
        kind, user, password = self.server.login
        if kind == "basic":
            return given == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
        secret = hashlib.md5(f"{user}:{REALM}:{password}".encode(), usedforsecurity=False).hexdigest()
        request = hashlib.md5(f"{method}:{fields.get('uri', url)}".encode(), usedforsecurity=False).hexdigest()
        want = hashlib.md5(f"{secret}:{NONCE}:{request}".encode(), usedforsecurity=False).hexdigest()
        return fields.get("username") == user and fields.get("response") == want

    def _set_up(self, transport: str) -> tuple[str, str, str]:
        kind = "tcp" if "/TCP" in transport or "interleaved" in transport else "udp"
        if kind != self.server.transport:
            return "461 Unsupported Transport", "", ""
        ports = re.search(r"client_port=(\d+)", transport)
        self.port = int(ports[1]) if ports else 0
        more = ";server_port=50000-50001" if ports else ""
        return "200 OK", f"Transport: {transport}{more}\r\n", ""

    def _play(self) -> None:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        clip, at, sequence = self.server.clip, 0, 0
        with contextlib.suppress(OSError):
            while not (self.server.stopping.is_set() or self.stopping.is_set()):
                payload = clip[at : at + PER_RTP * TS_PACKET]
                at = (at + len(payload)) % len(clip)
                packet = struct.pack(">BBHII", 0x80, 33, sequence % 65536, sequence * 900 % 2**32, 7) + payload
                sequence += 1
                if self.port:
                    sender.sendto(packet, ("127.0.0.1", self.port))
                else:
                    self.wfile.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
                self.stopping.wait(0.005)
        sender.close()
