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

import pytest

from brokers import ANONYMOUS, Ear, Mosquitto, eventually, free_port, needs_mosquitto
from builders import pose
from edge.mqtt.embedded_broker import EmbeddedBroker
from edge.mqtt.settings import MqttSettings
from edge.ports import PoseFrame
from sinks import SinkMaker, accounts, connect, count, feeding, is_connected, kept, live, say, warnings

PHRASE = "over the hills"


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
def test_a_broker_that_stops_reading_costs_no_memory_and_gets_nothing_old_afterwards(
    mosquitto: Mosquitto, make_sink: SinkMaker
) -> None:
    mosquitto.start()
    sink = connect(make_sink(mosquitto.port))
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
    assert min(_captured_s(json.loads(message.payload)) for message in ear.heard[heard:]) > again_s
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
def test_two_agents_with_one_name_both_say_so_and_step_back(
    mosquitto: Mosquitto, make_sink: SinkMaker, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    ours = connect(make_sink(mosquitto.port, run="ours"))
    say(ours, run="ours")
    theirs = make_sink(mosquitto.port, run="theirs")
    say(theirs, run="theirs")
    theirs.open()
    duplicate = "duplicate device name edge-pose/hall (also used by run {}): publishing paused, retry in "
    eventually(lambda: any(duplicate.format("ours") in text for text in warnings(caplog)))
    eventually(lambda: any(duplicate.format("theirs") in text for text in warnings(caplog)))
    waits_s = [int(r.getMessage().split("retry in ")[1].split()[0]) for r in caplog.records if r.levelname == "ERROR"]
    assert min(waits_s) >= 30
    assert max(waits_s) <= 60
    eventually(lambda: not is_connected(ours) and not is_connected(theirs))


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
