"""The whole agent against a real broker: what a dashboard sees over a run's life."""

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from brokers import ANONYMOUS, Ear, Mosquitto, eventually, needs_mosquitto
from command import start
from tiny_models import echo_model
from videos import write_video

pytestmark = needs_mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path, ANONYMOUS)
    yield running
    running.kill()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return echo_model(tmp_path / "tiny.tflite", height=64, width=96)


def words(broker: Mosquitto, tiny: Path, *more: str) -> list[str]:
    video = write_video(tiny.parent / "v.mp4")
    url = f"mqtt://127.0.0.1:{broker.port}"
    common = ["--model", str(tiny), "--mqtt", url, "--set", "device.name=hall", "--set", "health.interval_s=1"]
    return ["run", "--camera", str(video), "--loop", *common, *more]


def is_online(ear: Ear) -> bool:
    return len(ear.of("pose")) > 5 and states(ear)[-1:] == [("online", "")]


def states(ear: Ear) -> list[tuple[str, str]]:
    return [(message["state"], message["reason"]) for message in ear.of("status")]


def test_a_run_is_seen_from_its_start_to_its_end(broker: Mosquitto, tiny: Path) -> None:
    broker.start()
    with Ear(broker.port, "edge-pose/hall/+") as ear:
        command = start(*words(broker, tiny, "--set", "camera.name=front"))
        eventually(lambda: len(ear.of("pose")) > 20 and ear.of("health"))
        command.send_signal(signal.SIGTERM)
        _, err = command.communicate(timeout=10)
        assert command.returncode == 0, err
        eventually(lambda: states(ear)[-1][0] == "offline")
        poses: list[dict[str, Any]] = ear.of("pose")
        assert {(message["device"], message["camera"], message["model"]) for message in poses} == {
            ("hall", "front", "tiny")
        }
        assert [message["seq"] for message in poses] == sorted({message["seq"] for message in poses})
        assert max(message["age_ms"] for message in poses[5:]) < 1000
        assert states(ear)[-2:] == [("online", ""), ("offline", "stopped")]
        people = ear.of("people")
        assert people[-1]["count"] is None
        assert people[-2]["count"] is not None
        assert ear.of("health")[-1]["fps"] > 5
        assert len({message["run"] for name in ("pose", "people", "status", "health") for message in ear.of(name)}) == 1


def test_a_run_starts_without_its_broker_and_survives_its_death(broker: Mosquitto, tiny: Path, tmp_path: Path) -> None:
    jsonl = tmp_path / "p.jsonl"
    command = start(*words(broker, tiny, "--jsonl", str(jsonl)))
    eventually(lambda: jsonl.exists() and len(jsonl.read_text().splitlines()) > 5)
    broker.start()
    for _ in range(2):
        with Ear(broker.port, "edge-pose/hall/+") as ear:
            eventually(partial(is_online, ear), 20)
        broker.kill()
        broker.start()
    command.terminate()
    _, err = command.communicate(timeout=10)
    assert command.returncode == 0, err
    assert "cannot be reached" in err
    assert "gone: publishing stops" in err


def test_a_killed_run_is_offline_by_its_last_will(broker: Mosquitto, tiny: Path) -> None:
    broker.start()
    with Ear(broker.port, "edge-pose/hall/+") as ear:
        command = start(*words(broker, tiny))
        eventually(lambda: states(ear)[-1:] == [("online", "")])
        command.kill()
        command.communicate()
        eventually(lambda: states(ear)[-1] == ("offline", "connection lost"))


def test_a_video_that_ends_says_so(broker: Mosquitto, tiny: Path) -> None:
    broker.start()
    with Ear(broker.port, "edge-pose/hall/+") as ear:
        command = start(*words(broker, tiny, "--max-frames", "30"))
        _, err = command.communicate(timeout=20)
        assert command.returncode == 0, err
        eventually(lambda: states(ear)[-1:] == [("offline", "ended")])
