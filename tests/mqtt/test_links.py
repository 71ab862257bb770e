"""Encrypted connections, and how failed ones are reported, against Debian's mosquitto."""

import contextlib
import logging
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import pytest

from brokers import ANONYMOUS, Ear, Mosquitto, can_connect, eventually, free_port, needs_mosquitto
from certificates import PAST, RECENT, SOON, Authority, Identity, needs_openssl, openssl
from edge.errors import UnavailableError
from sinks import SinkMaker, connect, count, feeding, is_connected, kept, say, warnings

pytestmark = [needs_mosquitto, needs_openssl]

TAKEN_OVER = b"\xe0\x01\x8e"

StartBroker = Callable[..., Mosquitto]


@dataclass(frozen=True, slots=True)
class Pki:
    """An authority, the identity of a broker on this machine, and that of a device called hall."""

    authority: Authority
    localhost: Identity
    hall: Identity

    def settings(self) -> dict[str, Any]:
        """Return what a sink needs to be known as hall."""
        return {"host": "localhost", "tls": True, "ca_file": str(self.authority.cert), **self.hall.settings()}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return Pki(authority, authority.sign("localhost"), authority.sign("hall"))


@pytest.fixture
def make_sink() -> Iterator[SinkMaker]:
    with SinkMaker() as maker:
        yield maker


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[StartBroker]:
    brokers: list[Mosquitto] = []

    def start(*config: str) -> Mosquitto:
        brokers.append(Mosquitto(tmp_path, *config))
        return brokers[-1].start()

    yield start
    for broker in brokers:
        broker.kill()


def serving(identity: Identity, *more: str) -> tuple[str, ...]:
    """Return the lines of mosquitto's configuration that make the first listener speak TLS."""
    return (f"certfile {identity.cert}", f"keyfile {identity.key}", *more)


def asking(authority: Authority) -> tuple[str, ...]:
    """Return the lines with which it also wants to see the client's certificate, whose name is the user's."""
    return (f"cafile {authority.cert}", "require_certificate true", "use_identity_as_username true")


def logged_problem(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one warning after several attempts."""
    eventually(lambda: caplog.text.count("another try failed") > 2)
    (line,) = warnings(caplog)
    assert "retry in" in line
    assert "\n" not in line
    return line


class Strict:
    """A broker that lets every client log in and answers twice, then says that another one took over the session."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, peer.makefile("rb") as stream, contextlib.suppress(OSError):
                    self._attend(peer, stream)

    def _attend(self, peer: socket.socket, stream: BinaryIO) -> None:
        while head := stream.read(1):
            length = stream.read(1)[0]
            if length > 127:
                length += (stream.read(1)[0] - 1) * 128
            body = stream.read(length)
            match head[0] >> 4:
                case 1:  # CONNECT
                    peer.sendall(bytes([0x20, 3, 0, 0, 0]))
                case 8:  # SUBSCRIBE
                    peer.sendall(bytes([0x90, 4, *body[:2], 0, 0]))
                case 10:  # UNSUBSCRIBE
                    peer.sendall(bytes([0xB0, 4, *body[:2], 0, 0]) + TAKEN_OVER)


class TestTrust:
    @pytest.fixture(autouse=True)
    def debug(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "edge")

    def connect_to(self, make_sink: SinkMaker, broker: Mosquitto, pki: Pki, **given: Any) -> None:
        settings = {"host": "localhost", "tls": True, "ca_file": str(pki.authority.cert), **given}
        make_sink(broker.port, min_retry_s=0.01, max_retry_s=0.05, **settings).open()

    def test_a_broker_of_a_given_authority_is_trusted(
        self, start_broker: StartBroker, make_sink: SinkMaker, pki: Pki
    ) -> None:
        plain_port = free_port()
        broker = start_broker(ANONYMOUS, *serving(pki.localhost), f"listener {plain_port} 127.0.0.1")
        sink = connect(make_sink(broker.port, host="localhost", tls=True, ca_file=str(pki.authority.cert)))
        eventually(lambda: can_connect(plain_port))
        with Ear(plain_port) as ear, feeding(sink):
            eventually(lambda: len(ear.of("pose")) > 10)

    def test_a_broker_of_an_unknown_authority_is_not(
        self,
        start_broker: StartBroker,
        make_sink: SinkMaker,
        pki: Pki,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        broker = start_broker(ANONYMOUS, *serving(Authority(tmp_path, "their CA").sign("localhost")))
        self.connect_to(make_sink, broker, pki)
        line = logged_problem(caplog)
        assert f"broker localhost:{broker.port} is not trusted: nothing is published" in line
        assert "mqtt.ca_file must name the authority" in line

    def test_without_an_authority_of_ones_own_the_systems_are_asked(
        self, start_broker: StartBroker, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.connect_to(make_sink, start_broker(ANONYMOUS, *serving(pki.localhost)), pki, ca_file=None)
        assert "mqtt.ca_file must name the authority" in logged_problem(caplog)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    def test_a_certificate_for_another_name_is_not_trusted(
        self, start_broker: StartBroker, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture, host: str
    ) -> None:
        self.connect_to(make_sink, start_broker(ANONYMOUS, *serving(pki.hall)), pki, host=host)
        line = logged_problem(caplog)
        assert f"not valid for '{host}'" in line
        assert "mqtt.url must name the broker as its certificate does" in line

    def test_an_expired_certificate_is_reported_with_the_time_of_this_machine(
        self, start_broker: StartBroker, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        old = pki.authority.sign("localhost", PAST, RECENT, file="old")
        self.connect_to(make_sink, start_broker(ANONYMOUS, *serving(old)), pki, clock_synced=False)
        line = logged_problem(caplog)
        assert "certificate has expired" in line
        assert "this machine's clock says 20" in line

    @pytest.mark.parametrize("synced", [False, True, None])
    def test_a_certificate_of_the_future_is_the_clocks_fault_while_that_is_not_set(
        self,
        start_broker: StartBroker,
        make_sink: SinkMaker,
        pki: Pki,
        caplog: pytest.LogCaptureFixture,
        synced: bool | None,
    ) -> None:
        young = pki.authority.sign("localhost", SOON, file=f"young-{synced}")
        self.connect_to(make_sink, start_broker(ANONYMOUS, *serving(young)), pki, clock_synced=synced)
        line = logged_problem(caplog)
        assert "certificate is not yet valid" in line
        assert ("this machine's clock is not set yet, it says 20" in line) == (synced is False)

    def test_a_port_without_tls_is_distinguished_from_a_broken_one(
        self, start_broker: StartBroker, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.connect_to(make_sink, start_broker(ANONYMOUS), pki)
        assert "broker's port for TLS, usually 8883" in logged_problem(caplog)

    def test_a_port_with_tls_is_distinguished_from_a_broken_one(
        self, start_broker: StartBroker, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        broker = start_broker(ANONYMOUS, *serving(pki.localhost))
        self.connect_to(make_sink, broker, pki, tls=False, ca_file=None)
        assert "or it is its port for TLS: mqtts://" in logged_problem(caplog)

    def test_tls_older_than_1_2_is_not_spoken(
        self, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        port = free_port()
        old = ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-cert", pki.localhost.cert, "-key", pki.localhost.key)
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *old],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: can_connect(port))
            make_sink(port, host="localhost", tls=True, ca_file=str(pki.authority.cert), max_retry_s=0.2).open()
            line = logged_problem(caplog)
        finally:
            server.kill()
            server.communicate()
        assert "refuses the TLS connection" in line
        assert "the broker must offer TLS 1.2 or later" in line

    def test_certificates_that_were_replaced_are_used_without_a_restart(
        self,
        start_broker: StartBroker,
        make_sink: SinkMaker,
        pki: Pki,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        ours = tmp_path / "ca.crt"
        shutil.copy(Authority(tmp_path, "their CA").cert, ours)
        broker = start_broker(ANONYMOUS, *serving(pki.localhost))
        sink = make_sink(broker.port, host="localhost", tls=True, ca_file=str(ours), max_retry_s=0.2)
        sink.open()
        eventually(lambda: warnings(caplog))
        ours.unlink()
        eventually(lambda: "cannot read" in warnings(caplog)[-1])
        shutil.copy(pki.authority.cert, ours)
        eventually(lambda: is_connected(sink))
        assert len(warnings(caplog)) == 2


class TestClientCertificates:
    @pytest.fixture
    def broker(self, start_broker: StartBroker, pki: Pki) -> Mosquitto:
        return start_broker("allow_anonymous false", *serving(pki.localhost), *asking(pki.authority))

    @pytest.fixture
    def connect_to(self, broker: Mosquitto, make_sink: SinkMaker, pki: Pki) -> Callable[..., Any]:
        def connect_to(**given: Any) -> Any:
            sink = make_sink(
                broker.port,
                host="localhost",
                tls=True,
                ca_file=str(pki.authority.cert),
                min_retry_s=0.01,
                max_retry_s=0.05,
                **given,
            )
            sink.open()
            return sink

        return connect_to

    def test_the_right_one_is_let_in(self, connect_to: Callable[..., Any], pki: Pki) -> None:
        sink = connect_to(**pki.hall.settings())
        eventually(lambda: is_connected(sink))

    def test_none_at_all_is_reported(self, connect_to: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "edge")
        connect_to()
        line = logged_problem(caplog)
        assert "refuses the TLS connection: nothing is published" in line
        assert "it wants a certificate of this client: mqtt.cert_file, mqtt.key_file" in line

    def test_an_expired_one_is_named(
        self, connect_to: Callable[..., Any], pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "edge")
        connect_to(**pki.authority.sign("hall", PAST, RECENT, file="old-hall").settings())
        assert "certificate expired: the one in mqtt.cert_file" in logged_problem(caplog)

    def test_one_of_another_authority_is_reported(
        self, connect_to: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "edge")
        connect_to(**Authority(tmp_path, "their CA").sign("hall").settings())
        assert "it does not accept the certificate in mqtt.cert_file" in logged_problem(caplog)


class TestFiles:
    """Unusable files are reported before anything starts."""

    def open(self, make_sink: SinkMaker, **files: Path) -> str:
        paths: dict[str, Any] = {key: str(file) for key, file in files.items()}
        sink = make_sink(1, tls=True, **paths)
        with pytest.raises(UnavailableError) as caught:
            sink.open()
        (line,) = str(caught.value).splitlines()
        return line

    @pytest.mark.parametrize("key", ["ca_file", "cert_file"])
    def test_a_missing_one_is_named(self, make_sink: SinkMaker, tmp_path: Path, key: str) -> None:
        missing = tmp_path / "missing.pem"
        assert self.open(make_sink, **{key: missing}) == f"mqtt.{key}: cannot read {missing}: No such file or directory"

    def test_an_unreadable_one_is_named(self, make_sink: SinkMaker, pki: Pki, tmp_path: Path) -> None:
        line = self.open(make_sink, cert_file=pki.hall.cert, key_file=tmp_path)
        assert line == f"mqtt.key_file: cannot read {tmp_path}: Is a directory"

    def test_an_authority_that_is_no_certificate_is_named(self, make_sink: SinkMaker, pki: Pki) -> None:
        assert (
            self.open(make_sink, ca_file=pki.hall.key)
            == f"mqtt.ca_file: {pki.hall.key} holds no certificate in PEM form"
        )

    def test_a_key_of_another_certificate_is_named(self, make_sink: SinkMaker, pki: Pki) -> None:
        line = self.open(make_sink, cert_file=pki.hall.cert, key_file=pki.localhost.key)
        assert (
            line
            == f"mqtt.key_file: the key in {pki.localhost.key} does not belong to the certificate in {pki.hall.cert}"
        )

    def test_a_certificate_without_its_key_is_reported(self, make_sink: SinkMaker, pki: Pki) -> None:
        line = self.open(make_sink, cert_file=pki.hall.cert)
        assert line == f"mqtt.cert_file: no certificate with its key, in PEM form, in {pki.hall.cert}"

    def test_an_encrypted_key_is_named_without_a_prompt(self, make_sink: SinkMaker, pki: Pki, tmp_path: Path) -> None:
        locked = tmp_path / "locked.key"
        openssl(tmp_path, "pkey", "-in", str(pki.hall.key), "-aes256", "-passout", "pass:geheim", "-out", str(locked))
        line = self.open(make_sink, cert_file=pki.hall.cert, key_file=locked)
        assert line.startswith(f"mqtt.key_file: the key in {locked} is encrypted")
        assert f"openssl pkey -in {locked}" in line


class TestAccess:
    """Access lists: a device may write what is its own."""

    @pytest.fixture
    def plain_port(self) -> int:
        return free_port()

    @pytest.fixture
    def broker(self, start_broker: StartBroker, pki: Pki, tmp_path: Path, plain_port: int) -> Mosquitto:
        """A broker that knows devices by their certificates, with another port for readers without one."""
        (tmp_path / "acl").write_text("topic read #\npattern readwrite edge-pose/%u/#\n")
        plain = f"listener {plain_port} 127.0.0.1"
        config = (*serving(pki.localhost), *asking(pki.authority), f"acl_file {tmp_path / 'acl'}", plain)
        broker = start_broker(ANONYMOUS, *config)
        eventually(lambda: can_connect(plain_port))
        return broker

    def test_a_device_writes_its_own_topics(
        self, broker: Mosquitto, plain_port: int, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        sink = connect(make_sink(broker.port, **pki.settings()))
        count(sink, [3])
        say(sink)
        with Ear(plain_port) as ear, feeding(sink):
            eventually(lambda: ear.of("people") and ear.of("status") and ear.of("pose"))
        assert not warnings(caplog)

    def test_a_device_with_anothers_certificate_writes_nothing(
        self, broker: Mosquitto, plain_port: int, make_sink: SinkMaker, pki: Pki, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Ear(plain_port) as ear:
            sink = make_sink(broker.port, device="yard", **pki.settings())
            count(sink, [3])
            sink.open()
            eventually(lambda: warnings(caplog))
            assert not ear.heard
        assert "does not let this agent publish edge-pose/yard/people" in warnings(caplog)[0]

    def test_what_the_broker_discards_is_reported_once(
        self, start_broker: StartBroker, make_sink: SinkMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "acl").write_text("topic readwrite edge-pose/hall/status\n")
        broker = start_broker(ANONYMOUS, f"acl_file {tmp_path / 'acl'}")
        sink = connect(make_sink(broker.port))
        count(sink, [3])
        eventually(lambda: warnings(caplog))
        count(sink, [3, 5])
        say(sink)
        kept(broker.port, "status")
        (line,) = warnings(caplog)
        assert f"broker 127.0.0.1:{broker.port} does not let this agent publish edge-pose/hall/people" in line
        assert "its access list must allow edge-pose/hall/#" in line


class TestDuplicateName:
    def test_a_session_takeover_is_a_duplicate_name(
        self, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Debian's mosquitto only hangs up; later ones and others send the reason."""
        with Strict() as broker:
            make_sink(broker.port).open()
            eventually(lambda: len(warnings(caplog)) == 1)
        (line,) = warnings(caplog)
        assert line.startswith(
            "duplicate device name edge-pose/hall (also used by a client that took over the session): publishing paused"
        )
        assert 30 <= int(line.split("retry in ")[1].split()[0]) <= 60

    def test_who_came_second_publishes_when_the_other_one_stops(
        self, start_broker: StartBroker, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
    ) -> None:
        broker = start_broker(ANONYMOUS)
        ours, theirs = (make_sink(broker.port, run=run, max_retry_s=0.4) for run in ("ours", "theirs"))
        say(ours, run="ours")
        say(theirs, run="theirs")
        connect(theirs)
        with feeding(theirs):
            ours.open()
            eventually(lambda: "(also used by run theirs)" in caplog.text)
        theirs.close()
        eventually(lambda: is_connected(ours), 20)
        eventually(lambda: kept(broker.port, "status")["status"]["run"] == "ours")
        with feeding(ours), Ear(broker.port) as ear:
            eventually(lambda: len(ear.of("pose")) > 20)
