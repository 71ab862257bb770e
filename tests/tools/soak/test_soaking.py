"""The soak: what it measures around the agent, and that it fails when the agent does not hold what is promised."""

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from brokers import eventually
from command import PROJECT, use_tool
from edge.camera.stream import StreamCamera
from edge.errors import CameraLostError, UnavailableError
from edge.payload import Origin, PoseMessage, encode, utc
from tools.plot import to_png
from tools.soak.chart import COLOURS, draw
from tools.soak.probe import PoseSubscriber
from tools.soak.proc import engine_of, usage
from tools.soak.record import Fault, Plan, Record
from tools.soak.report import require_writable, samples_csv, summary, table, to_json, write
from tools.soak.rig.camera import NetworkCamera
from tools.soak.rig.program import Program, free_port
from tools.soak.sampler import Sample, Sampler
from tools.soak.verdict import findings, leak_bytes_per_s, rss_slope, theil_sen

MB = 1_000_000
PICTURE_BYTES = 640 * 480 * 3


def read_png(content: bytes) -> Any:
    """The pixels (h, w, 3) of a PNG file."""
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def sample(time_s: float, **changes: Any) -> Sample:
    """A sample of an agent that stays as it is."""
    steady = Sample(time_s, 80 * MB, 60 * MB, threads=9, fds=11, children=1, late_s=0.0)
    return replace(steady, **changes)


def record(**changes: Any) -> Record:
    """Ten minutes with six faults of each of two kinds, all as promised."""
    times_s = range(0, 600, 5)
    passed = Record(
        plan=Plan(duration_s=600, faults=6),
        kinds=("broker", "engine"),
        faults=tuple(
            Fault(("broker", "engine")[number % 2], 50.0 + 45 * number, 1.5, alone_s=0.7 if number == 5 else 0.1)
            for number in range(12)
        ),
        samples=tuple(sample(time_s) for time_s in times_s),
        exit_code=0,
        stop_s=0.4,
        ended_early=False,
        tracebacks=0,
        engine="edgetpu",
        messages=9000,
        people=31000,
        size=(640, 480),
        setting="camera scene, broker mosquitto",
    )
    return replace(passed, **changes)


def growing(bytes_per_s: float) -> Record:
    """An agent that grows, and trembles by 0.3 MB on the way."""
    noise = np.random.default_rng(7).normal(0, 0.3 * MB, 120)
    rss = [round(80 * MB + bytes_per_s * 5 * number + noise[number]) for number in range(120)]
    return record(samples=tuple(sample(5.0 * number, rss_bytes=value) for number, value in enumerate(rss)))


def pose(captured_s: float) -> bytes:
    origin = Origin(device="soak", run="k3f9ab", camera="hall", model="own")
    message = PoseMessage(
        v=1, device=origin.device, run=origin.run, camera=origin.camera, seq=3, time=utc(captured_s), age_ms=4.0,
        size=(640, 480), model=origin.model, poses=[],
    )  # fmt: skip
    return encode(message)


def read_until_lost(camera: StreamCamera) -> None:
    with contextlib.suppress(CameraLostError):
        while True:
            camera.read()


def test_an_agent_that_holds_what_is_promised_passes() -> None:
    assert findings(record()) == []
    assert summary(record()).startswith("passed: 10 minutes, 12 faults, 0 crashes, poses back within 1.50 s")


def test_the_slope_is_that_of_the_line_though_a_quarter_of_the_points_lie_elsewhere() -> None:
    times_s = np.arange(40, dtype=float)
    values = 3 * times_s + 7
    values[::4] += 500
    assert theil_sen(list(times_s), list(values)) == pytest.approx(3)
    assert theil_sen([1.0], [5.0]) == 0


def test_a_picture_kept_for_every_fault_of_one_kind_is_a_leak() -> None:
    per_fault = PICTURE_BYTES * 6 / 600
    assert leak_bytes_per_s(record()) == pytest.approx(per_fault / 2)
    (line,) = findings(growing(per_fault))
    assert re.fullmatch(r"memory grows by 0.5\d MB per minute \(a leak from 0.28\)", line)
    assert findings(growing(0)) == []
    assert abs(rss_slope(growing(0))) < per_fault / 4


def test_too_few_faults_say_nothing_about_memory() -> None:
    few = growing(PICTURE_BYTES)
    few = replace(few, plan=Plan(duration_s=600, faults=5), faults=few.faults[:10])
    assert findings(few) == []
    assert "not judged with fewer than 6 faults" in table(few)


def test_memory_that_is_taken_in_the_first_half_and_kept_is_none() -> None:
    samples = tuple(sample(5.0 * n, rss_bytes=(80 + min(n, 55)) * MB) for n in range(120))
    assert findings(record(samples=samples)) == []


def test_poses_that_are_late_or_stay_away_are_named() -> None:
    faults = list(record().faults)
    faults[2] = replace(faults[2], recovery_s=3.4)
    faults[5] = replace(faults[5], recovery_s=None)
    assert findings(record(faults=tuple(faults))) == [
        "broker 2: poses back after 3.40 s (at most 3.00 s)",
        "engine 3: no poses any more",
    ]


def test_a_busy_machine_is_allowed_what_it_needs_itself_and_no_more() -> None:
    busy = Plan(duration_s=600, faults=6, busy=True)
    faults = list(record().faults)
    faults[1] = replace(faults[1], recovery_s=3.9, late_s=0.3)
    assert findings(record(plan=busy, faults=tuple(faults))) == []
    faults[1] = replace(faults[1], recovery_s=4.1)
    assert findings(record(plan=busy, faults=tuple(faults))) == ["engine 1: poses back after 4.10 s (at most 4.00 s)"]


def test_faults_that_could_not_be_injected_are_no_pass() -> None:
    assert findings(record(faults=record().faults[:-1])) == ["engine: lost 5 times instead of 6"]


@pytest.mark.parametrize("name", ["threads", "fds", "children"])
def test_what_is_more_at_the_end_than_after_warming_up_is_told_but_not_one_odd_look(name: str) -> None:
    samples = list(record().samples)
    before = getattr(samples[0], name)
    samples[-1] = replace(samples[-1], **{name: before + 1})
    assert findings(record(samples=tuple(samples))) == []
    late = [replace(each, **{name: before + 1}) for each in samples[90:]]
    words = f"{name}: {before} before the first fault, {before + 1} after the last"
    assert findings(record(samples=(*samples[:90], *late))) == [words]


def test_an_agent_that_ends_or_complains_or_hangs_does_not_pass() -> None:
    assert findings(record(ended_early=True, exit_code=-11)) == ["the agent ended by itself, with -11"]
    assert findings(record(exit_code=70)) == ["the agent ended with 70 when it was asked to stop"]
    assert findings(record(tracebacks=2)) == ["2 tracebacks in the agent's log"]
    assert findings(record(stop_s=2.5)) == ["the agent took 2.5 s to stop (at most 2.0 s)"]


def test_an_agent_that_is_left_on_its_cpu_twin_does_not_pass() -> None:
    assert findings(record(engine="cpu")) == ["at the end 'cpu' infers instead of the engine's own process"]


def test_a_soak_without_a_single_sample_fails_instead_of_crashing() -> None:
    empty = record(samples=(), faults=())
    assert summary(empty).startswith("failed: broker: lost 0 times")
    assert "broker" in table(empty)
    assert read_png(to_png(draw(empty))).shape == (800, 1280, 3)


def test_every_sample_and_every_fault_can_be_had_as_a_file() -> None:
    rows = list(csv.DictReader(io.StringIO(samples_csv(record().samples))))
    assert len(rows) == 120
    assert rows[3] == {
        "time_s": "15", "rss_bytes": "80000000", "engine_rss_bytes": "60000000", "threads": "9", "fds": "11",
        "children": "1", "late_s": "0.0",
    }  # fmt: skip
    figures = json.loads(to_json(record(tracebacks=1)))
    assert figures["findings"] == ["1 tracebacks in the agent's log"]
    assert [fault["kind"] for fault in figures["faults"]] == ["broker", "engine"] * 6


def test_the_picture_shows_each_kind_of_fault_in_its_colour() -> None:
    memory, recoveries = draw(record()).axes
    lost = [line for line in memory.lines if str(line.get_label()).endswith(" lost")]
    assert {line.get_label(): line.get_color() for line in lost} == {
        f"{kind} lost": COLOURS[kind] for kind in ("broker", "engine")
    }
    assert {line.get_color() for line in recoveries.lines[1:]} == {COLOURS["broker"], COLOURS["engine"]}


def test_the_picture_has_a_gap_while_there_is_no_engine() -> None:
    samples = [sample(5.0 * number, engine_rss_bytes=None if number == 1 else 60 * MB) for number in range(3)]
    engine, agent = draw(record(samples=tuple(samples), faults=())).axes[0].lines
    assert np.isnan(engine.get_ydata()).tolist() == [False, True, False]
    assert np.asarray(agent.get_ydata()).tolist() == [80, 80, 80]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write(tmp_path / "new.csv", b"one")
    write(tmp_path / "new.csv", b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("new.csv", b"two")]
    (tmp_path / "folder").mkdir()
    for wrong in (tmp_path / "folder", tmp_path / "missing/x.csv"):
        with pytest.raises(UnavailableError, match="cannot be written"):
            require_writable(None, wrong)


def test_only_a_picture_taken_after_the_fault_shows_that_all_works_again() -> None:
    subscriber = PoseSubscriber(free_port())
    subscriber.watch()
    subscriber._take("edge-pose/soak/pose", pose(time.time() - 0.5))  # on its way when the fault came
    assert subscriber.wait(0) is None
    subscriber._take("edge-pose/soak/pose", pose(time.time() + 0.5))
    first_s = subscriber.wait(0)
    assert first_s is not None
    subscriber._take("edge-pose/soak/pose", pose(time.time() + 1.0))
    assert subscriber.wait(0) == first_s
    assert (subscriber.messages, subscriber.size) == (3, (640, 480))


def test_a_lost_network_camera_comes_back_at_the_same_address(tmp_path: Path) -> None:
    camera = NetworkCamera(tmp_path)
    eye = StreamCamera(camera.source, name="hall", read_timeout_s=20)
    try:
        camera.start()
        for _ in range(2):
            eye.open()
            frame = eye.read()
            assert frame is not None
            assert frame.image.shape == (720, 1280, 3)
            camera.kill()
            read_until_lost(eye)
            eye.close()
            with pytest.raises(CameraLostError):
                eye.open()
            camera.start()
    finally:
        camera.kill()


def test_a_program_that_does_not_come_up_is_told_with_its_own_words(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; sys.exit('no such port')"]
    program = Program("broker", words, tmp_path / "log")
    program.start()
    with pytest.raises(UnavailableError, match=r"broker: does not listen on port \d+: no such port"):
        program.wait_for(free_port())


def test_a_program_does_not_outlive_the_soak(tmp_path: Path) -> None:
    starter = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from tools.soak.rig.program import Program\n"
        "p = Program('x', ['sleep', '600'], Path(sys.argv[2])); p.start(); print(p.pid, flush=True); input()"
    )
    words = [sys.executable, "-c", starter, str(PROJECT), str(tmp_path / "log")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as soak:
        assert soak.stdout is not None
        pid = int(soak.stdout.readline())
        eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")  # what ties it to its parent has run
        soak.kill()
    eventually(lambda: not Path(f"/proc/{pid}").exists() or b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_program_is_stopped_by_a_request_or_killed_when_it_does_not_listen(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = f"trap '' TERM; touch {ready}; while :; do sleep 1; done"
    for script, timeout_s, expected in ((f"touch {ready}; exec sleep 60", 30, -signal.SIGTERM), (deaf, 0.2, None)):
        program = Program("x", ["sh", "-c", script], tmp_path / "log")
        program.start()
        eventually(ready.exists)
        assert program.stop(timeout_s)[0] == expected
        assert program.code in (-signal.SIGTERM, -signal.SIGKILL)
        ready.unlink()


def test_a_process_is_counted_with_its_descriptors_and_children(tmp_path: Path) -> None:
    before = usage(os.getpid())
    assert before is not None
    with (tmp_path / "f").open("w"), subprocess.Popen(["sleep", "60"]) as child:
        now = usage(os.getpid())
        child.kill()
    assert now is not None
    assert (now.fds - before.fds, now.children - before.children) == (1, 1)
    assert now.threads >= 1
    assert now.rss_bytes > 5 * MB
    assert engine_of(os.getpid()) == 0


def test_samples_of_a_process_that_has_ended_are_not_taken(tmp_path: Path) -> None:
    program = Program("x", ["sleep", "60"], tmp_path / "log")
    program.start()
    with Sampler(program.pid, time.monotonic(), 0.01) as sampler:
        eventually(lambda: len(sampler.samples) > 3)
        program.kill()
    count = len(sampler.samples)
    with Sampler(program.pid, time.monotonic(), 0.01) as after:
        pass
    assert after.samples == []
    assert all(each.engine_rss_bytes is None for each in sampler.samples[:count])


def test_a_process_that_has_ended_holds_nothing_though_nobody_has_asked_for_its_code() -> None:
    with subprocess.Popen(["true"]) as ended:
        eventually(lambda: usage(ended.pid) is None)
        assert Path(f"/proc/{ended.pid}").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--minutes", "0"], 64, "--minutes has to be positive"),
        (["--coral"], 64, "--coral needs --model"),
        (["--picture", "/dev/null/soak.png"], 69, "/dev/null/soak.png: cannot be written"),
        (["--model", "/dev/null/own.tflite"], 66, "/dev/null/own.tflite"),
    ],
)
def test_what_cannot_be_soaked_is_one_line_at_once(words: list[str], code: int, text: str) -> None:
    done = use_tool("soak", *words)
    assert (done.code, len(done.err.splitlines())) == (code, 1), done.err
    assert text in done.err


def test_the_picture_is_one_that_others_can_read(tmp_path: Path) -> None:
    write(tmp_path / "soak.png", to_png(draw(record())))
    assert read_png((tmp_path / "soak.png").read_bytes()).shape == (800, 1280, 3)
