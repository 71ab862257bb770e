"""Why a stream cannot be opened, and the kinds of servers that need more than FFmpeg: UDP, single pictures, HLS."""

import base64
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.opencv import OPENCV_VERSION, REFUSES_INTERLACED
from edge.camera.request import fetch_picture, playable_url, probe
from edge.camera.stream import StreamCamera
from edge.errors import CameraLostError
from edge.frame import Frame, Image
from http_server import FaultyServer, serving
from rtsp_double import AUDIO, SDP, RtspCamera
from videos import INTERLACED, number_of, numbered_image, write_video

CHOOSES_ITSELF = OPENCV_VERSION == (4, 11)
"""OpenCV 4.11 does not read its variable for options: TCP, then UDP."""


def camera_of(url: str, **options: object) -> StreamCamera:
    return StreamCamera(url, name="door", open_timeout_s=3, read_timeout_s=2, **options)  # type: ignore[arg-type]


def why_not(url: str) -> str:
    with pytest.raises(CameraLostError) as caught:
        camera_of(url).open()
    assert str(caught.value).startswith("door cannot be opened: ")
    return str(caught.value).removeprefix("door cannot be opened: ")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.ts", 100, fourcc="mpg2")


@pytest.fixture
def rtsp(clip: Path) -> Iterator[RtspCamera]:
    with RtspCamera(clip).running() as running:
        yield running


@pytest.fixture
def web() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


def read(camera: StreamCamera, count: int = 1) -> list[Frame]:
    frames = []
    for _ in range(count):
        frame = camera.read()
        assert frame is not None
        frames.append(frame)
    return frames


def encoded(image: Image, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_plays_over_the_transport_that_it_has(rtsp: RtspCamera, transport: str) -> None:
    rtsp.transport = transport
    camera = camera_of(rtsp.url())
    for _ in range(2):
        camera.open()
        assert camera.size == (96, 64)
        assert read(camera)[0].size == (96, 64)
        camera.close()
    tried = [line for line in rtsp.requests if line.startswith("SETUP")]
    if not CHOOSES_ITSELF:
        assert len(tried) == (3 if transport == "udp" else 2)  # what works is remembered


def test_a_transport_that_was_set_is_the_only_one_where_opencv_lets_it_be_set(rtsp: RtspCamera) -> None:
    camera = camera_of(rtsp.url(), transport="udp")
    if CHOOSES_ITSELF:
        camera.open()
        assert camera.size == (96, 64)
        camera.close()
    else:
        with pytest.raises(CameraLostError, match="cannot read what the server offers"):
            camera.open()


@pytest.mark.parametrize("kind", ["basic", "digest"])
def test_a_login_opens_the_stream_whatever_the_password_holds(rtsp: RtspCamera, kind: str) -> None:
    rtsp.login = (kind, "admin", "#ge /heim?@")
    camera = camera_of(rtsp.url("admin:#ge /heim?@"))
    camera.open()
    assert read(camera)[0].size == (96, 64)
    camera.close()
    assert probe(rtsp.url("admin:#ge /heim?@"), 3).is_offered


@pytest.mark.parametrize("kind", ["basic", "digest"])
@pytest.mark.parametrize(
    ("userinfo", "words"), [("admin:falsch", "refuses the login: wrong user name or password"), ("", "wants a login")]
)
def test_a_wrong_login_is_the_reason(rtsp: RtspCamera, kind: str, userinfo: str, words: str) -> None:
    rtsp.login = (kind, "admin", "geheim")
    reason = why_not(rtsp.url(userinfo))
    assert words in reason
    assert "falsch" not in reason


def test_what_an_rtsp_server_lacks_is_the_reason(rtsp: RtspCamera) -> None:
    assert why_not(rtsp.url(path="/2")) == "there is nothing at this path (404)"
    rtsp.sdp = SDP + AUDIO
    assert why_not(rtsp.url()) == "the server offers no video at this path"


def test_a_password_that_was_cut_gets_a_hint(rtsp: RtspCamera) -> None:
    port = rtsp.server_address[1]
    url = f"rtsp://127.0.0.1:{port}/34@cam/2"  # a user 127.0.0.1 with this password, or a path with an @
    assert why_not(url) == "there is nothing at this path (404); a / or ? in a password is written %2F or %3F"


def test_a_port_where_nothing_listens_is_the_reason() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        for scheme in ("rtsp", "http"):
            assert why_not(f"{scheme}://127.0.0.1:{port}/1") == (f"nothing listens at port {port} (connection refused)")


def test_a_name_that_no_host_has_is_the_reason() -> None:
    assert "not known" in probe("rtsp://camera.invalid/1", 3).reason


def test_a_server_that_never_answers_is_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert probe(f"rtsp://127.0.0.1:{deaf.getsockname()[1]}/1", 0.2).reason == "no answer in time"


def test_a_server_that_speaks_something_else_is_the_reason(web: FaultyServer, rtsp: RtspCamera) -> None:
    assert "speak" in why_not(web.url.replace("http", "rtsp") + "/1")
    assert "speak" in why_not(rtsp.url().replace("rtsp", "http"))


@pytest.mark.parametrize("url", ["rtsp://cam:port/1", "http://[::1/1", "rtsp://:554/1"])
def test_a_url_that_makes_no_sense_is_no_crash(url: str) -> None:
    assert probe(url, 0.5).reason


def text(kind: str, content: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def test_what_a_web_server_says_is_the_reason(web: FaultyServer) -> None:
    page = web.on("/page", text("text/html; charset=utf-8", b"<html>please log in</html>"))
    assert why_not(page) == "a web page answers: the camera's stream has another URL"
    assert why_not(web.url + "/none") == "there is nothing at this path (404)"
    assert why_not(web.on("/no", text("text/plain", b"", 403))) == "the camera forbids it (403)"
    assert why_not(web.on("/busy", text("text/plain", b"", 503))).startswith("the server answers 503")
    moved = web.on("/moved", text("text/plain", b"", 302, Location="/page"))
    assert why_not(moved).startswith("a web page answers")
    assert why_not(web.on("/round", text("text/plain", b"", 302, Location="/round"))).startswith(
        "the server answers 302"
    )
    odd = web.on("/odd", text("application/x-thing", b"nothing that FFmpeg knows" * 99))
    assert why_not(odd) == "OpenCV's FFmpeg cannot read what the server offers"


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(type=kind) as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def test_a_stream_over_plain_tcp_plays(clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def send() -> None:
            connection, _ = listening.accept()
            with contextlib.suppress(OSError), connection:
                connection.sendall(clip.read_bytes() * 3)

        sender = threading.Thread(target=send)
        sender.start()
        camera = camera_of(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        camera.open()
        assert [frame.size for frame in read(camera, 3)] == [(96, 64)] * 3
        camera.close()
        sender.join()


def test_a_stream_of_udp_packets_plays(clip: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    stopping = threading.Event()

    def send() -> None:
        data = clip.read_bytes()
        with socket.socket(type=socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
            for at in itertools.cycle(range(0, len(data), 1316)):
                sender.sendto(data[at : at + 1316], ("127.0.0.1", port))
                if stopping.wait(0.002):
                    return

    thread = threading.Thread(target=send)
    thread.start()
    camera = camera_of(f"udp://127.0.0.1:{port}")
    camera.open()
    assert [frame.size for frame in read(camera, 3)] == [(96, 64)] * 3
    camera.close()
    stopping.set()
    thread.join()


def test_what_is_not_there_is_the_reason_for_other_kinds_too() -> None:
    port = free_port(socket.SOCK_STREAM)
    for scheme in ("tcp", "rtmp"):
        assert "connection refused" in why_not(f"{scheme}://127.0.0.1:{port}/live")
    assert why_not(f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}") == "no video comes there"


class Snapshots:
    """Gives the next numbered picture with every request, if the login is right."""

    def __init__(self, login: str = "") -> None:
        self.count = 0
        self.login = login and "Basic " + base64.b64encode(login.encode()).decode()
        self.image: Image | None = None

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        if self.login and handler.headers["Authorization"] != self.login:
            text("text/plain", b"", 401, WWW_Authenticate='Basic realm="camera"')(handler)
            return
        picture = numbered_image(self.count) if self.image is None else self.image
        self.count += 1
        text("image/jpeg", encoded(picture))(handler)


@pytest.mark.parametrize("login", ["", "admin:p@ss"])
def test_a_url_that_gives_one_picture_is_asked_again_and_again(web: FaultyServer, login: str) -> None:
    url = web.on("/snap.jpg", Snapshots(login))
    camera = camera_of(url.replace("://", f"://{login}@") if login else url, fps=50)
    camera.open()
    assert camera.size == (96, 64)
    frames = read(camera, 8)
    assert [frame.index for frame in frames] == list(range(8))
    numbers = [number_of(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert all(later.time_s > earlier.time_s for earlier, later in itertools.pairwise(frames))
    camera.close()
    camera.open()  # without FFmpeg
    assert [frame.index for frame in read(camera, 2)] == [8, 9]


def test_pictures_are_asked_for_at_the_rate_that_was_set(web: FaultyServer) -> None:
    camera = camera_of(web.on("/snap.jpg", Snapshots()), fps=20)
    camera.open()
    frames = read(camera, 6)
    assert frames[-1].time_s - frames[1].time_s >= 4 * 0.05 - 0.02


def test_a_camera_that_gives_no_picture_any_more_is_lost_with_the_reason(web: FaultyServer) -> None:
    snapshots = Snapshots()
    url = web.on("/snap.jpg", snapshots)
    camera = camera_of(url, fps=50)
    camera.open()
    read(camera, 3)
    for answer, words in (
        (text("text/plain", b"", 404), "gives no picture: there is nothing at this path"),
        (text("text/html", b"<html>"), "gives no picture: sent text/html instead of a picture"),
        (text("image/jpeg", encoded(numbered_image(1))[:300]), "gives a picture that cannot be read as a picture"),
        (
            text("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x75\x30\0\0\x75\x30"),
            "gives a picture that is 30000x30000",
        ),
    ):
        web.on("/snap.jpg", answer)
        with pytest.raises(CameraLostError, match=f"door {words}"):
            read(camera, 2)
        with pytest.raises(CameraLostError, match=f"door {words}"):
            camera.open()
    web.on("/snap.jpg", snapshots)
    camera.open()
    assert read(camera)[0].size == (96, 64)


def test_an_interrupt_ends_the_wait_for_the_next_picture(web: FaultyServer) -> None:
    camera = camera_of(web.on("/snap.jpg", Snapshots()), fps=0.01)
    camera.open()
    read(camera)
    camera.read()  # FFmpeg's end: the first one by a request of our own
    camera.interrupt()
    assert camera.read() is None


def test_a_picture_in_chunks_is_put_together(web: FaultyServer) -> None:
    data = encoded(numbered_image(3))
    pieces = [data[at : at + 500] for at in range(0, len(data), 500)]
    body = b"".join(b"%x;x=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    url = web.on("/snap.jpg", text("image/jpeg", body, Transfer_Encoding="chunked"))
    assert fetch_picture(url, 3) == data


def test_a_picture_without_an_end_is_not_kept(web: FaultyServer) -> None:
    url = web.on("/endless", text("image/jpeg", bytes(34 * 2**20)))
    with pytest.raises(CameraLostError, match="more than 32 MiB"):
        fetch_picture(url, 10)


def test_the_login_is_not_given_to_another_server(web: FaultyServer) -> None:
    with serving() as other:
        other.on("/snap.jpg", Snapshots("admin:geheim"))
        url = web.on("/go", text("text/plain", b"", 302, Location=f"{other.url}/snap.jpg"))
        with pytest.raises(CameraLostError, match="login"):
            fetch_picture(url.replace("://", "://admin:geheim@"), 3)
        assert all(headers["Authorization"] is None for _, headers in other.requests)


@pytest.fixture
def hls(web: FaultyServer, tmp_path: Path) -> str:
    """A playlist of two segments of two seconds, which come at once."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXT-X-MEDIA-SEQUENCE:0"]
    for number in range(2):
        part = write_video(tmp_path / f"s{number}.ts", 12, fourcc="mpg2").read_bytes()
        web.on(f"/s{number}.ts", text("video/mp2t", part))
        lines += ["#EXT-X-DISCONTINUITY"] * (number > 0) + ["#EXTINF:0.48,", f"s{number}.ts"]
    playlist = "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()
    return web.on("/live.m3u8", text("application/vnd.apple.mpegurl", playlist))


def test_what_comes_in_bursts_plays_by_its_own_time(hls: str) -> None:
    camera = camera_of(hls)
    camera.open()
    frames = []
    for frame in read(camera, 18):
        assert frame.time_s == frame.media_time_s <= time.monotonic()
        frames.append(frame)
    camera.close()
    steps = [later.time_s - earlier.time_s for earlier, later in itertools.pairwise(frames)]
    assert min(steps) > 0.03
    assert sum(steps) >= 0.04 * 16.9  # a late one moves those that follow


def test_an_interrupt_ends_the_wait_for_a_due_picture(hls: str) -> None:
    camera = camera_of(hls)
    camera.open()
    read(camera, 2)
    camera.interrupt()
    assert camera.read() is None
    camera.close()


@pytest.mark.parametrize("colour", [0, 200])
def test_a_stream_that_shows_nothing_is_lost_and_gives_no_frame(web: FaultyServer, colour: int) -> None:
    snapshots = Snapshots()
    snapshots.image = np.full((64, 96, 3), colour, np.uint8)
    camera = camera_of(web.on("/snap.jpg", snapshots), fps=50, max_flat_s=0.1)
    camera.open()
    with pytest.raises(CameraLostError, match="door shows nothing: every picture has one colour only"):
        camera.read()


def test_black_pictures_in_between_are_left_out(web: FaultyServer) -> None:
    snapshots = Snapshots()
    camera = camera_of(web.on("/snap.jpg", snapshots), fps=50, max_flat_s=30)
    camera.open()
    read(camera, 2)
    black = encoded(np.zeros((64, 96, 3), np.uint8))
    web.on("/snap.jpg", text("image/jpeg", black), text("image/jpeg", black), snapshots)
    assert all(frame.image.std() > 10 for frame in read(camera, 3))


def test_an_interlaced_stream_plays_or_is_lost_with_the_reason(web: FaultyServer) -> None:
    url = web.on("/live.m2v", text("video/mpeg", INTERLACED[".m2v"] * 40))
    camera = camera_of(url)
    camera.open()
    if REFUSES_INTERLACED:
        with pytest.raises(CameraLostError, match=r"door is interlaced, which OpenCV .* cannot convert"):
            camera.read()
    else:
        assert all(frame.image.std() > 50 for frame in read(camera, 3))  # a test card
    camera.close()


@pytest.mark.parametrize(
    ("url", "playable"),
    [
        ("rtsp://admin:#geheim@cam/1", "rtsp://admin:%23geheim@cam/1"),
        ("rtsp://admin:/geheim@cam/1", "rtsp://admin:%2Fgeheim@cam/1"),
        ("rtsp://admin:?geheim@cam:554/1?x=1", "rtsp://admin:%3Fgeheim@cam:554/1?x=1"),
        ("rtsp://admin:123#geheim@cam/1", "rtsp://admin:123%23geheim@cam/1"),
        ("rtsp://admin:a b#c@cam/1", "rtsp://admin:a%20b%23c@cam/1"),
        ("rtsp://admin:p%40ss#@cam/1", "rtsp://admin:p%40ss%23@cam/1"),
        ("rtsp://cam:554/live@2", "rtsp://cam:554/live@2"),
        ("rtsp://cam/live@2", "rtsp://cam/live@2"),
        ("rtsp://[::1]:554/live@2", "rtsp://[::1]:554/live@2"),
        ("rtsp://admin:geheim@cam/live@2", "rtsp://admin:geheim@cam/live@2"),
        ("rtsp://admin:ge@heim@cam/1", "rtsp://admin:ge@heim@cam/1"),
        ("rtsp://cam/1", "rtsp://cam/1"),
    ],
)
def test_a_login_is_encoded_where_it_cannot_be_a_host(url: str, playable: str) -> None:
    assert playable_url(url) == playable
