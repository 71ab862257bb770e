"""The MQTT driver against real brokers: mosquitto, and the embedded one."""

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.publish
import pytest

from brokers import ANONYMOUS, Ear, Mosquitto, eventually, free_port, needs_mosquitto
from builders import ORIGIN, pose
from delay_proxy import DelayProxy
from edge.mqtt import sink as sink_module
from edge.mqtt.embedded_broker import EmbeddedBroker
from edge.mqtt.session import WINDOW
from edge.mqtt.settings import MqttSettings
from edge.mqtt.subscriber import Subscriber
from edge.payload import encode, status_message
from edge.ports import PoseFrame
from sinks import SinkMaker, accounts, connect, count, feeding, is_connected, kept, live, say, warnings

PHRASE = "over the hills"


def as_run(run: str, state: Any = "online", *, ahead_s: float = 0.0) -> bytes:
    """A status that somebody else publishes in the name of this device."""
    now_s = time.time() + ahead_s
    return encode(status_message(state, "", msgspec.structs.replace(ORIGIN, run=run), now_s, now_s))


def publish(port: int, topic: str, payload: bytes, *, retain: bool = False) -> None:
    paho.mqtt.publish.single(topic, payload, qos=1, retain=retain, hostname="127.0.0.1", port=port)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, ANONYMOUS)
    yield broker
    broker.kill()


@pytest.fixture
def make_sink() -> Iterator[SinkMaker]:
    """Sinks that retry soon, and are closed at the end."""
    with SinkMaker() as maker:
        yield maker


@needs_mosquitto
def test_messages_go_out_with_the_flags_of_the_contract(mosquitto: Mosquitto, make_sink: SinkMaker) -> None:
    mosquitto.start()
    with Ear(mosquitto.port) as ear:
        sink = connect(make_sink(mosquitto.port))
        say(sink)
        count(sink, [3])
        with feeding(sink):
            eventually(lambda: ear.of("pose") and ear.of("status") and ear.of("people"))
    by_topic = {message.topic: message for message in ear.heard}
    assert by_topic["edge-pose/hall/pose"].qos == 0
    expiry_s = getattr(by_topic["edge-pose/hall/pose"].properties, "MessageExpiryInterval", None)
    assert expiry_s in (1, 2)  # seconds; the broker counts them down
    assert by_topic["edge-pose/hall/people"].qos == 1
    assert by_topic["edge-pose/hall/status"].qos == 1
    assert not hasattr(by_topic["edge-pose/hall/status"].properties, "MessageExpiryInterval")
    retained = kept(mosquitto.port, "people", "status")
    assert retained["people"]["ids"] == [3]
    assert retained["status"]["state"] == "online"
    with Ear(mosquitto.port, "edge-pose/hall/pose") as newcomer, feeding(sink):
        eventually(lambda: newcomer.heard)
    assert not any(message.retain for message in newcomer.heard)


@needs_mosquitto
def test_a_state_set_before_the_broker_is_there_arrives_when_it_appears(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "edge")
    sink = make_sink(mosquitto.port)
    say(sink, "degraded", "starting")
    sink.open()
    eventually(lambda: caplog.text.count("another try failed") > 1)
    for index in range(3):
        sink.write(live(index))
    assert sink.dropped == 3
    mosquitto.start()
    assert kept(mosquitto.port, "status")["status"]["reason"] == "starting"
    assert len(warnings(caplog)) == 1
    assert f"broker 127.0.0.1:{mosquitto.port} cannot be reached" in warnings(caplog)[0]


@needs_mosquitto
def test_only_the_latest_state_is_sent_on_connect(mosquitto: Mosquitto, make_sink: SinkMaker) -> None:
    sink = make_sink(mosquitto.port)
    for number in range(50):
        count(sink, [number])
    mosquitto.start()
    with Ear(mosquitto.port) as ear:
        connect(sink)
        eventually(lambda: ear.of("people"))
        sink.close()
    assert [message["ids"] for message in ear.of("people")] == [[49]]


@needs_mosquitto
def test_a_login_with_the_right_password_is_accepted(tmp_path: Path, make_sink: SinkMaker) -> None:
    broker = Mosquitto(tmp_path, *accounts(tmp_path, hall=PHRASE))
    try:
        broker.start()
        sink = connect(make_sink(broker.port, username="hall", password=PHRASE))
        assert is_connected(sink)
    finally:
        broker.kill()


@needs_mosquitto
def test_a_refused_login_is_no_connection_is_logged_once_and_tried_again(
    tmp_path: Path, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = Mosquitto(tmp_path, *accounts(tmp_path, hall="another one"))
    try:
        broker.start()
        sink = make_sink(broker.port, username="hall", password=PHRASE)
        sink.open()
        eventually(lambda: caplog.text.count("another try failed") > 1)
        sink.write(live(0))
        assert not is_connected(sink)
        assert sink.dropped == 1
        broker.kill()
        accounts(tmp_path, hall=PHRASE)
        broker.start()
        eventually(lambda: is_connected(sink))
    finally:
        broker.kill()
    refusals = [text for text in warnings(caplog) if "refuses the login" in text]
    assert len(refusals) == 1
    assert PHRASE not in caplog.text
    assert PHRASE not in repr(MqttSettings(host="h", device="d", password=PHRASE))


@needs_mosquitto
def test_after_a_killed_broker_returns_poses_and_states_go_on_and_nothing_old_comes(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port))
    say(sink)
    with feeding(sink):
        with Ear(mosquitto.port) as ear:
            eventually(lambda: ear.of("pose"))
        mosquitto.kill()
        eventually(lambda: not is_connected(sink))
        lost = sink.dropped
        eventually(lambda: sink.dropped > lost + 5)
        back_s = time.time()
        mosquitto.start()
        with Ear(mosquitto.port) as ear:
            eventually(lambda: len(ear.of("pose")) > 5 and ear.of("status"))
    assert min(_captured_s(message) for message in ear.of("pose")) > back_s - 1
    texts = [record.getMessage() for record in caplog.records]
    broker = f"broker 127.0.0.1:{mosquitto.port}"
    assert sum(text.startswith(f"{broker} gone: publishing stops, retry in ") for text in texts) == 1
    assert texts.count(f"{broker} back") == 1


def _captured_s(message: dict[str, Any]) -> float:
    return datetime.fromisoformat(message["time"]).astimezone(UTC).timestamp()


@needs_mosquitto
def test_a_clean_stop_leaves_offline_and_an_unknown_count(mosquitto: Mosquitto, make_sink: SinkMaker) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port))
    say(sink)
    count(sink, [3, 5])
    with Ear(mosquitto.port) as ear:
        say(sink, "offline", "stopped")
        count(sink, None)
        sink.close()
        retained = kept(mosquitto.port, "status", "people")
        assert retained["status"]["state"] == "offline"
        assert retained["people"]["count"] is None
        # The will would follow a connection that ended without a DISCONNECT.
        assert ear.of("status")[-1]["reason"] == "stopped"


KILLED = """
import sys, threading, time
from edge.payload import Origin, status_message
from edge.mqtt.settings import MqttSettings
from edge.mqtt.subscriber import Subscriber
from edge.payload import encode, status_message
from edge.mqtt.sink import MqttSink
origin = Origin(device="hall", run="k3f9", camera="front", model="some")
sink = MqttSink(MqttSettings(host="127.0.0.1", port=int(sys.argv[1]), device="hall"), origin)
sink.set_state("status", status_message("online", "all is well", origin, time.time(), time.time()))
sink.open()
threading.Event().wait(60)
"""


@needs_mosquitto
def test_the_last_will_of_a_killed_process_says_offline(mosquitto: Mosquitto) -> None:
    mosquitto.start()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(mosquitto.port)])
    try:
        assert kept(mosquitto.port, "status")["status"]["state"] == "online"
    finally:
        process.kill()
        process.wait()
    with Ear(mosquitto.port) as ear:
        eventually(lambda: ear.of("status") and ear.of("status")[-1]["state"] == "offline")
    assert ear.of("status")[-1]["reason"] == "connection lost"


@needs_mosquitto
def test_a_broker_that_stops_reading_costs_no_memory_and_gets_hardly_anything_old_afterwards(
    mosquitto: Mosquitto, make_sink: SinkMaker
) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port, max_silence_s=2.0))
    big = PoseFrame(live(0).frame, tuple(pose() for _ in range(50)), 1.0)

    def too_much() -> bool:
        for _ in range(100):
            sink.write(big)
        return not is_connected(sink)

    with Ear(mosquitto.port, "edge-pose/hall/pose") as ear:
        with feeding(sink):
            eventually(lambda: len(ear.heard) > 20)
        mosquitto.signal(signal.SIGSTOP)
        heard = len(ear.heard)
        with feeding(sink), traced_memory() as grown_bytes:
            eventually(too_much, within_s=8)
        again_s = time.time()
        mosquitto.signal(signal.SIGCONT)
        eventually(lambda: is_connected(sink))
        with feeding(sink):
            eventually(lambda: len(ear.heard) > heard + 20)
    captured_s = [_captured_s(json.loads(message.payload)) for message in ear.heard[heard:]]
    assert sum(each <= again_s for each in captured_s) <= WINDOW  # those that were under way
    assert grown_bytes() < 200_000


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Measure how much more memory is in use at the end than at the start, in bytes."""
    grown_bytes = 0
    tracemalloc.start()
    start_bytes, _ = tracemalloc.get_traced_memory()
    try:
        yield lambda: grown_bytes
    finally:
        grown_bytes = tracemalloc.get_traced_memory()[0] - start_bytes
        tracemalloc.stop()


@needs_mosquitto
def test_a_short_stall_is_survived_without_a_new_connection(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port))
    with Ear(mosquitto.port) as ear, feeding(sink):
        eventually(lambda: ear.of("pose"))
        mosquitto.signal(signal.SIGSTOP)
        lost = sink.dropped
        eventually(lambda: sink.dropped > lost + 20)
        mosquitto.signal(signal.SIGCONT)
        heard = len(ear.heard)
        eventually(lambda: len(ear.heard) > heard + 10)
    assert not warnings(caplog)


def test_a_listener_that_never_answers_gets_no_pose_and_close_returns(make_sink: SinkMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = make_sink(listener.getsockname()[1])
        sink.open()
        peer, _ = listener.accept()
        with peer:
            for index in range(500):
                sink.write(live(index))
            assert not is_connected(sink)
            assert sink.dropped == 500
            closing = threading.Thread(target=sink.close)
            closing.start()
            closing.join(5)
            assert not closing.is_alive()


@needs_mosquitto
def test_close_returns_while_the_broker_reads_nothing(mosquitto: Mosquitto, make_sink: SinkMaker) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port))
    mosquitto.signal(signal.SIGSTOP)
    say(sink, "offline", "stopped")
    closing = threading.Thread(target=sink.close)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()


def test_the_embedded_broker_makes_the_client_step_down_once(
    make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with EmbeddedBroker() as broker:
        port = broker.port
        with Ear(port, version="3.1.1") as ear:
            sink = connect(make_sink(port))
            say(sink)
            count(sink, [3])
            with feeding(sink):
                eventually(lambda: len(ear.of("pose")) > 5 and ear.of("status") and ear.of("people"))
    eventually(lambda: not is_connected(sink))
    with EmbeddedBroker(port=port):
        eventually(lambda: is_connected(sink))
        assert kept(port, "people", version="3.1.1")["people"]["ids"] == [3]
    assert sum("3.1.1" in record.getMessage() for record in caplog.records) == 1


def test_a_broker_that_hangs_up_on_mqtt_5_is_offered_3_1_1_at_once(make_sink: SinkMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        make_sink(listener.getsockname()[1], min_retry_s=30).open()
        levels = []
        for _ in range(2):
            peer, _address = listener.accept()
            with peer:
                login = peer.recv(4096)
                levels.append(login[login.index(b"MQTT") + 4])
    assert levels == [5, 4]


@needs_mosquitto
def test_a_second_agent_steps_back_and_the_first_is_not_disturbed(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody tries something by hand on a machine whose service runs."""
    mosquitto.start()
    ours = connect(make_sink(mosquitto.port, run="ours"))
    say(ours, run="ours")
    kept(mosquitto.port, "status")
    theirs = make_sink(mosquitto.port, run="theirs")
    say(theirs, run="theirs")
    with Ear(mosquitto.port) as ear, feeding(ours):
        theirs.open()
        duplicate = "duplicate device name edge-pose/hall (also used by run ours): publishing paused, retry in "
        eventually(lambda: any(duplicate in text for text in warnings(caplog)))
        heard = len(ear.of("pose"))
        eventually(lambda: len(ear.of("pose")) > heard + 20)
        assert {payload["run"] for payload in ear.of("status")} == {"ours"}
    assert is_connected(ours)
    assert not is_connected(theirs)
    assert "ours" in theirs.problem
    (line,) = [text for text in warnings(caplog) if "duplicate" in text]
    assert 30 <= int(line.split("retry in ")[1].split()[0]) <= 60


@needs_mosquitto
def test_an_agent_that_was_there_goes_on_whatever_a_stranger_says_in_its_name(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "_STABLE_S", 0.0)
    mosquitto.start()
    ours = connect(make_sink(mosquitto.port, run="ours"))
    say(ours, run="ours")
    with Ear(mosquitto.port) as ear, feeding(ours):
        eventually(lambda: len(ear.of("pose")) > 3)
        for payload in (
            as_run("evil\n\x1b[2J"),
            as_run("evil\n\x1b[2J"),
            b"\xff\xfe",
            b'{"x":' + b"[" * 20_000,
            b"://:" * 15_000,
        ):
            publish(mosquitto.port, "edge-pose/hall/status", payload)
        eventually(lambda: any("another run" in text for text in warnings(caplog)))
        heard = len(ear.of("pose"))
        eventually(lambda: len(ear.of("pose")) > heard + 20)
    assert is_connected(ours)
    (line,) = warnings(caplog)
    assert "has messages of another run (evil[2J) under edge-pose/hall, which goes on" in line


@needs_mosquitto
def test_a_broker_of_mqtt_5_keeps_a_huge_message_in_our_name_to_itself(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port))
    say(sink)
    with feeding(sink):
        publish(mosquitto.port, "edge-pose/hall/status", bytes(30_000_000))
        with Ear(mosquitto.port, "edge-pose/hall/pose") as ear:
            eventually(lambda: len(ear.of("pose")) > 20)
    assert not warnings(caplog)


@needs_mosquitto
def test_a_huge_message_by_mqtt_3_ends_the_connection_before_it_is_read(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port, version="3.1.1"))
    say(sink)
    with feeding(sink):
        publish(mosquitto.port, "edge-pose/hall/status", bytes(30_000_000))
        eventually(lambda: any("it sent a packet of 300000" in text for text in warnings(caplog)))
        with Ear(mosquitto.port, "edge-pose/hall/pose") as ear:
            eventually(lambda: len(ear.of("pose")) > 20)


@needs_mosquitto
def test_a_late_will_of_ones_own_is_mended(mosquitto: Mosquitto, make_sink: SinkMaker) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port, run="ours"))
    say(sink, run="ours")
    eventually(lambda: kept(mosquitto.port, "status")["status"]["state"] == "online")
    publish(mosquitto.port, "edge-pose/hall/status", as_run("ours", "offline"), retain=True)
    eventually(lambda: kept(mosquitto.port, "status")["status"]["state"] == "online")


@needs_mosquitto
def test_a_status_that_a_power_cut_left_behind_delays_the_start_and_no_more(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    publish(mosquitto.port, "edge-pose/hall/status", as_run("former"), retain=True)
    sink = connect(make_sink(mosquitto.port, run="ours"))
    say(sink, run="ours")
    eventually(lambda: kept(mosquitto.port, "status")["status"]["run"] == "ours")
    assert not warnings(caplog)


@needs_mosquitto
def test_a_kept_offline_of_the_future_is_nobody(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock was an hour ahead, or the broker came back with an old store: no wall clock decides who is there."""
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port, run="ours"))
    say(sink, run="ours")
    kept(mosquitto.port, "status")
    mosquitto.kill()
    eventually(lambda: not is_connected(sink))
    mosquitto.start()
    publish(mosquitto.port, "edge-pose/hall/status", as_run("former", "offline", ahead_s=3600), retain=True)
    eventually(lambda: is_connected(sink))
    eventually(lambda: kept(mosquitto.port, "status")["status"]["run"] == "ours")
    assert not any("duplicate" in text for text in warnings(caplog))


@needs_mosquitto
@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
@pytest.mark.parametrize(
    "config", [("retain_available false",), ("max_qos 0",), ("retain_available false", "max_qos 0")], ids=str
)
def test_a_broker_that_keeps_nothing_or_takes_qos_0_only_gets_what_it_takes(
    tmp_path: Path, make_sink: SinkMaker, config: tuple[str, ...], version: Any
) -> None:
    broker = Mosquitto(tmp_path, ANONYMOUS, *config).start()
    try:
        with Ear(broker.port) as ear:
            sink = connect(make_sink(broker.port, version=version))
            say(sink)
            with feeding(sink):
                eventually(lambda: len(ear.of("pose")) > 5 and ear.of("status"))
    finally:
        broker.kill()


@needs_mosquitto
def test_a_pose_larger_than_the_broker_takes_is_dropped_and_said_once(
    tmp_path: Path, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, ANONYMOUS, "max_packet_size 500").start()
    try:
        sink = connect(make_sink(broker.port))
        say(sink)
        with feeding(sink):
            eventually(lambda: sink.dropped > 20)
        eventually(lambda: kept(broker.port, "status")["status"]["state"] == "online")
        assert is_connected(sink)
    finally:
        broker.kill()
    assert [text for text in warnings(caplog) if "500 bytes" in text] == [
        f"broker 127.0.0.1:{broker.port} takes no packet above 500 bytes: pose messages above it are dropped"
    ]


@needs_mosquitto
def test_a_client_id_of_ones_own_is_used_and_begins_those_of_others(tmp_path: Path, make_sink: SinkMaker) -> None:
    broker = Mosquitto(tmp_path, ANONYMOUS, "clientid_prefixes thing-").start()
    try:
        refused = make_sink(broker.port)
        refused.open()
        eventually(lambda: "refuses" in refused.problem or "Not authorized" in refused.problem)
        connect(make_sink(broker.port, own_client_id="thing-7"))
        heard = Subscriber(
            "127.0.0.1",
            broker.port,
            ["edge-pose/#"],
            lambda _topic, _payload: None,
            login=MqttSettings(host="127.0.0.1", device="hall", own_client_id="thing-7"),
        )
        heard.start()
        heard.stop()
    finally:
        broker.kill()


def test_a_delay_of_the_network_does_not_limit_the_rate_to_one_pose_a_round_trip(
    mosquitto: Mosquitto, make_sink: SinkMaker
) -> None:
    mosquitto.start()
    with DelayProxy(mosquitto.port, delay_s=0.05) as proxy, Ear(mosquitto.port) as ear:
        sink = connect(make_sink(proxy.port))
        with feeding(sink, fps=25):
            eventually(lambda: ear.of("pose"))
            seen = len(ear.of("pose"))
            dropped = sink.dropped
            eventually(lambda: len(ear.of("pose")) >= seen + 50)
            assert sink.dropped - dropped < 15  # 25 with one pose for each round trip of 0.1 s


def test_a_round_trip_of_three_seconds_is_no_outage(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    with DelayProxy(mosquitto.port, delay_s=1.5) as proxy, Ear(mosquitto.port) as ear:
        sink = make_sink(proxy.port)
        say(sink)
        sink.open()
        with feeding(sink, fps=5):
            eventually(lambda: len(ear.of("pose")) > 3, 30)
            assert not warnings(caplog)


@needs_mosquitto
def test_a_new_run_after_a_former_one_is_no_duplicate(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    former = connect(make_sink(mosquitto.port, run="former"))
    say(former, run="former")
    kept(mosquitto.port, "status")
    former.close()
    current = connect(make_sink(mosquitto.port, run="current"))
    say(current, run="current")
    eventually(lambda: kept(mosquitto.port, "status")["status"]["run"] == "current")
    assert not warnings(caplog)


def test_an_unused_sink_closes(make_sink: SinkMaker) -> None:
    make_sink(free_port()).close()


@needs_mosquitto
@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({}, "it wants a login: set mqtt.username and mqtt.password_file"),
        ({"username": "hall"}, "no password was found: set mqtt.password_file"),
        ({"username": "hall", "password": "wrong"}, ""),
    ],
)
def test_a_refused_login_says_what_is_missing_here(
    tmp_path: Path, make_sink: SinkMaker, login: dict[str, Any], words: str, version: Any
) -> None:
    broker = Mosquitto(tmp_path, *accounts(tmp_path, hall=PHRASE)).start()
    try:
        sink = make_sink(broker.port, version=version, **login)
        sink.open()
        eventually(lambda: "retry in" in sink.problem)
    finally:
        broker.kill()
    assert words in sink.problem
    assert ("set mqtt" in sink.problem) == bool(words)
