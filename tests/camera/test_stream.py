"""Live streams, from a motion-JPEG server on this machine that can break off, stall and come back."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator

import cv2
import pytest

from edge.camera.stream import StreamCamera
from edge.errors import CameraLostError
from videos import number_of, numbered_image

FRAMES = 30


class MjpegServer(socketserver.ThreadingTCPServer):
    """Sends numbered pictures to each client; `mode` decides what follows the last."""

    allow_reuse_address = True
    daemon_threads = True
    mode = "end"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/stream"


class Handler(socketserver.BaseRequestHandler):
    server: MjpegServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a camera does not mind who hangs up
            self.send()

    def send(self) -> None:
        self.request.recv(4096)
        if self.server.mode == "silent":
            self.server.stopping.wait(20)
            return
        if self.server.mode == "text":
            self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"<p>no video</p>" * 999)
            return
        self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        for index in range(FRAMES):
            if self.server.mode == "still":
                index = 7  # noqa: PLW2901 - one picture again and again
            size = (8208, 16) if self.server.mode == "huge" else (96, 64)
            picture = cv2.imencode(".jpg", cv2.cvtColor(numbered_image(index, *size), cv2.COLOR_RGB2BGR))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            self.request.sendall(head.encode() + picture + b"\r\n")
        if self.server.mode == "stall":
            self.server.stopping.wait(20)


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield running
        running.stopping.set()
        running.shutdown()


def stream(server: MjpegServer) -> StreamCamera:
    return StreamCamera(server.url, name="door", open_timeout_s=2, read_timeout_s=1)


def read_until_lost(camera: StreamCamera) -> list[int]:
    numbers: list[int] = []
    try:
        while True:
            frame = camera.read()
            assert frame is not None
            numbers.append(number_of(frame.image))
    except CameraLostError:
        return numbers


@pytest.mark.parametrize("mode", ["end", "stall"])
def test_a_stream_that_ends_or_stalls_is_lost_and_can_be_opened_again(server: MjpegServer, mode: str) -> None:
    server.mode = mode
    camera = stream(server)
    for _ in range(2):
        camera.open()
        assert camera.size == (96, 64)
        numbers = read_until_lost(camera)
        assert numbers[:10] == list(range(10))
        assert len(numbers) >= FRAMES - 2  # the parser may hold back the last part
        camera.close()


def test_the_index_counts_on_over_a_reopen(server: MjpegServer) -> None:
    camera = stream(server)
    camera.open()
    before = camera.read()
    camera.close()
    camera.open()
    after = camera.read()
    camera.close()
    assert before is not None
    assert after is not None
    assert (before.index, after.index) == (0, 1)
    assert after.time_s > before.time_s


def test_a_stream_that_shows_one_picture_is_opened_again_once(server: MjpegServer) -> None:
    server.mode = "still"
    camera = StreamCamera(server.url, name="door", open_timeout_s=2, read_timeout_s=1, max_still_s=0, may_stick=True)
    camera.open()
    assert len(read_until_lost(camera)) < 5
    camera.close()
    camera.open()
    for _ in range(10):
        camera.read()
    camera.close()


def test_a_stream_whose_pictures_are_too_large_is_not_read(server: MjpegServer) -> None:
    server.mode = "huge"
    with pytest.raises(CameraLostError, match="door sends 8208x16 pixels: more than 8192 a side"):
        stream(server).open()


@pytest.mark.parametrize("mode", ["silent", "text"])
def test_a_server_that_says_nothing_or_no_video_cannot_be_opened(server: MjpegServer, mode: str) -> None:
    server.mode = mode
    with pytest.raises(CameraLostError, match="door cannot be opened"):
        stream(server).open()


def test_an_absent_server_cannot_be_opened_and_its_address_stays_out_of_the_message() -> None:
    camera = StreamCamera("rtsp://user:geheim@127.0.0.1:9/x", name="rtsp://127.0.0.1:9/x", open_timeout_s=2)
    with pytest.raises(CameraLostError) as caught:
        camera.open()
    assert "geheim" not in str(caught.value)
