"""Messages to systemd at a real socket, of the parts alone and of a whole run; the content of its files."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from brokers import eventually
from command import run, start
from edge.host.systemd import Notifier, Watchdog
from managers import Manager
from videos import numbered_image, write_pictures, write_video

UNITS = Path(__file__).parents[2] / "systemd"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(str(tmp_path / "notify")) as running:
        yield running


def notifier(address: str, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": address, **more})


def tell_everything(notifier: Notifier) -> None:
    notifier.ready()
    notifier.status("degraded: camera: no frame\n for 5.0 s")
    notifier.alive()
    notifier.stopping()


EVERYTHING = ("READY=1", "STATUS=degraded: camera: no frame for 5.0 s", "WATCHDOG=1", "STOPPING=1")


def test_systemd_hears_at_a_path(manager: Manager) -> None:
    tell_everything(notifier(manager.address))
    eventually(lambda: manager.heard(*EVERYTHING))


def test_systemd_hears_at_an_abstract_socket() -> None:
    with Manager(f"@edge-pose-test-{os.getpid()}") as manager:
        tell_everything(notifier(manager.address))
        eventually(lambda: manager.heard(*EVERYTHING))


@pytest.mark.parametrize(
    "address", ["", "vsock:2:9999", "/nonexistent/notify", "@nobody-listens-here", "/" + "x" * 200]
)
def test_without_a_listener_nothing_happens(address: str) -> None:
    tell_everything(notifier(address))


def test_without_systemd_nothing_happens() -> None:
    tell_everything(Notifier({}))


def test_a_systemd_that_does_not_read_blocks_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "notify"))
        service = notifier(str(tmp_path / "notify"))
        for number in range(5000):  # many more than fit into its queue
            service.status(f"state {number}")


def fed(manager: Manager, looks: list[tuple[int, float, bool]], **environment: str) -> int:
    """Return how often a watchdog of 60 s is fed by looks of (frames so far, seconds, camera known to be away)."""
    service = notifier(manager.address, **{"WATCHDOG_USEC": "60000000", **environment})
    watchdog = Watchdog(service)
    before = len(manager.lines)
    for progress, time_s, idle_expected in looks:
        watchdog.update(progress, time_s, idle_expected=idle_expected)
    service.stopping()
    eventually(lambda: manager.lines[-1:] == ["STOPPING=1"])
    return manager.lines[before:].count("WATCHDOG=1")


def test_the_watchdog_is_fed_by_frames(manager: Manager) -> None:
    assert fed(manager, [(done, 20.0 * done, False) for done in range(1, 10)]) == 9


def test_a_flow_that_stands_still_is_not_fed(manager: Manager) -> None:
    assert fed(manager, [(7, 20.0 * look, False) for look in range(10)]) == 1  # for the seven frames


def test_a_flow_that_never_began_is_not_fed(manager: Manager) -> None:
    assert fed(manager, [(0, 20.0 * look, False) for look in range(10)]) == 0


def test_a_camera_that_is_known_to_be_away_keeps_the_watchdog_fed(manager: Manager) -> None:
    assert fed(manager, [(7, 20.0 * look, look > 3) for look in range(10)]) == 7


def test_the_watchdog_is_fed_four_times_in_its_time_and_no_more(manager: Manager) -> None:
    assert fed(manager, [(look, 0.25 * look, False) for look in range(1, 481)]) == 8  # two minutes


def test_progress_between_two_feeds_counts_later(manager: Manager) -> None:
    assert fed(manager, [(1, 0.0, False), (2, 1.0, False), (2, 15.0, False), (2, 30.0, False)]) == 2


@pytest.mark.parametrize("environment", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "soon"}])
def test_without_a_watchdog_of_our_own_nothing_is_fed(manager: Manager, environment: dict[str, str]) -> None:
    assert fed(manager, [(look, 20.0 * look, False) for look in range(10)], **environment) == 0


def words(tiny: Path, camera: Path | str) -> list[str]:
    return ["run", "--camera", str(camera), "--model", str(tiny), "--jsonl", str(tiny.parent / "poses.jsonl")]


def test_a_run_is_ready_then_online_and_says_when_it_stops(manager: Manager, tiny: Path) -> None:
    video = write_video(tiny.parent / "v.mp4")
    command = start(*words(tiny, video), "--loop", env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"})
    eventually(lambda: manager.lines.count("WATCHDOG=1") >= 3, 30)
    command.send_signal(signal.SIGTERM)
    _, err = command.communicate(timeout=10)
    assert command.returncode == 0, err
    lines = [line for line in manager.lines if line != "WATCHDOG=1"]
    assert lines == [
        "READY=1", "STATUS=degraded: starting", "STATUS=online", "STOPPING=1", "STATUS=offline: stopped",
    ]  # fmt: skip


def test_a_run_is_ready_before_its_camera_and_its_broker_are_there(manager: Manager, tiny: Path) -> None:
    away = ["--mqtt", "mqtt://127.0.0.1:9"]
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    command = start(*words(tiny, "http://127.0.0.1:9/live"), *away, env=environment)
    eventually(lambda: any("cannot be opened" in line for line in manager.lines), 30)
    seen = len(manager.lines)
    eventually(lambda: manager.lines[seen:].count("WATCHDOG=1") >= 2)
    command.terminate()
    command.communicate(timeout=10)
    assert manager.lines[0] == "READY=1"
    assert manager.lines[1].startswith("STATUS=degraded: starting; broker 127.0.0.1: ")
    assert any("; broker 127.0.0.1: Connection refused, retry in " in line for line in manager.lines)
    assert manager.lines[-1] == "STATUS=offline: stopped"


@pytest.mark.parametrize(("more", "code"), [(["--set", "camera.fpss=3"], 78), (["--model", "no/such.tflite"], 66)])
def test_a_run_that_cannot_start_is_never_ready(manager: Manager, tiny: Path, more: list[str], code: int) -> None:
    folder = write_pictures(tiny.parent / "pictures", 2)
    assert run(*words(tiny, folder), *more, env={"NOTIFY_SOCKET": manager.address}).code == code
    assert manager.lines == []


@contextmanager
def stalling_stream() -> Iterator[str]:
    """Serve a motion-JPEG stream of one second that then stays open without a picture."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        is_over = threading.Event()

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
                for index in range(30):
                    jpeg = cv2.imencode(".jpg", numbered_image(index))[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    peer.sendall(head.encode() + jpeg + b"\r\n")
                is_over.wait(60)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/live"
        finally:
            is_over.set()
            thread.join(10)


def test_a_run_that_gets_no_frames_feeds_the_watchdog_only_once_it_knows_why(manager: Manager, tiny: Path) -> None:
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}  # wants to be fed four times a second
    with stalling_stream() as url:
        command = start(*words(tiny, url), env=environment)
        eventually(lambda: any("no frame for 5.0 s" in line for line in manager.lines), 30)
        online, silent = (
            next(n for n, line in enumerate(manager.lines) if text in line) for text in ("online", "no frame")
        )
        assert manager.lines[online:silent].count("WATCHDOG=1") < 12  # a timer's would be twenty in five seconds
        eventually(lambda: any("sent nothing" in line for line in manager.lines), 30)
        seen = len(manager.lines)
        eventually(lambda: manager.lines[seen:].count("WATCHDOG=1") >= 3)
        command.terminate()
        command.communicate(timeout=10)


def test_the_default_config_is_what_config_init_writes() -> None:
    remedy = "edge-pose config init > systemd/edge-pose.toml"
    assert (UNITS / "edge-pose.toml").read_text() == run("config", "init").out, remedy


def test_the_unit_for_several_cameras_is_the_unit_for_one_but_for_names() -> None:
    one, several = ((UNITS / name).read_text().splitlines() for name in ("edge-pose.service", "edge-pose@.service"))
    own = {line for line in several if not line.startswith("#")} - set(one)
    assert sorted(own) == [
        "AssertPathExists=/etc/edge-pose/%i.toml",
        "Description=People's poses from the camera %i to MQTT",
        "Environment=EDGE_POSE_INSTANCE=%i",
        "ExecStart=/opt/edge-pose/current/bin/edge-pose run --config /etc/edge-pose/%i.toml",
        "StateDirectory=edge-pose edge-pose/%i",
        "WorkingDirectory=/var/lib/edge-pose/%i",
    ]
    assert [line for line in one if line.startswith("[")] == [line for line in several if line.startswith("[")]
    assert len(several) == len(one) + 4  # a longer comment, the environment, and the assertion with its comment


@pytest.mark.parametrize(
    ("instance", "name"),
    [("", "{host}"), ("front", "{host}-front"), ("a/b c", "{host}-a-b-c"), ("x" * 99, "{host}-" + "x" * 32)],
)
def test_each_of_several_cameras_has_a_device_name_of_its_own(instance: str, name: str) -> None:
    shown = run("config", "show", env={"EDGE_POSE_INSTANCE": instance}).out
    assert f'name = "{name.format(host=socket.gethostname()[:31])}"' in shown.splitlines()


def test_a_name_in_the_config_counts_more_than_the_instance() -> None:
    shown = run("config", "show", "--set", "device.name=yard", env={"EDGE_POSE_INSTANCE": "front"}).out
    assert 'name = "yard"' in shown.splitlines()
