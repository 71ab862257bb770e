"""The command from outside: what every kind of bad input gets, and what a good one gives."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import pytest

from brokers import eventually, free_port
from command import NO_MIRROR, Outcome, arguments, environment, run, start
from data import data, mirror_default, model, needs_data, needs_models
from edge.payload import schemas
from managers import Manager
from videos import write_pictures, write_video


def refused(outcome: Outcome, code: int, *words: str) -> None:
    """Assert the exit code, one line for the error, the words in it, no traceback, and an empty stdout."""
    assert outcome.code == code, outcome.err
    (line,) = outcome.error_lines()
    for word in words:
        assert word in line
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def messages(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.code == 0, outcome.err
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_a_video_becomes_one_message_per_frame_and_ends_with_0(tmp_path: Path, tiny: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 12)
    found = messages(run("run", "--camera", video, "--model", tiny, "--jsonl", "-", "--no-pace"))
    assert [message["seq"] for message in found] == list(range(12))
    for message in found:
        jsonschema.validate(message, schemas()["pose"])
    assert found[0]["size"] == [96, 64]
    assert found[0]["camera"] == "v.mp4"


def test_rotation_shows_in_the_size(tmp_path: Path, tiny: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 2)
    outcome = run("run", "--camera", video, "--model", tiny, "--jsonl", "-", "--no-pace", "--set", "camera.rotate=90")
    assert messages(outcome)[0]["size"] == [64, 96]


def test_max_frames_ends_a_loop(tmp_path: Path, tiny: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 3)
    outcome = run("run", "--camera", video, "--model", tiny, "--jsonl", "-", "--no-pace", "--loop", "--max-frames", "7")
    assert len(messages(outcome)) == 7


def test_a_broken_picture_is_left_out(tmp_path: Path, tiny: Path) -> None:
    folder = write_pictures(tmp_path / "p", 3)
    (folder / "001.png").write_text("no picture")
    outcome = run("run", "--camera", folder, "--model", tiny, "--jsonl", "-", "--no-pace")
    assert [message["seq"] for message in messages(outcome)] == [0, 2]
    assert outcome.err.count("skipped") == 1


def test_a_truncated_video_ends_with_0_and_a_warning(tmp_path: Path, tiny: Path) -> None:
    whole = write_video(tmp_path / "v.avi", 80, fourcc="MJPG").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    outcome = run("run", "--camera", cut, "--model", tiny, "--jsonl", "-", "--no-pace")
    assert 10 < len(messages(outcome)) < 60
    assert "truncated" in outcome.err


def test_native_libraries_are_silent_unless_asked(tmp_path: Path, tiny: Path) -> None:
    whole = write_video(tmp_path / "v.avi", 80, fourcc="MJPG").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    words = ("run", "--camera", cut, "--model", tiny, "--jsonl", tmp_path / "out", "--no-pace")
    assert "XNNPACK" not in run(*words).err
    assert "XNNPACK" in run(*words, "--debug").err


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("none.mp4", 66, "none.mp4: no such file or folder"),
        ("text.mp4", 66, "cannot be read as a video"),
        ("empty", 66, "no pictures in this folder"),
        ("broken", 66, "no picture in it can be read"),
        ("ftp://host/x", 64, "unknown kind of URL"),
        ("", 78, "camera.source"),
        ("pi", 69, "camera 'pi'"),
    ],
)
def test_a_source_that_cannot_be_read(tmp_path: Path, tiny: Path, source: str, code: int, words: str) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 999)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("no picture")
    path = source if "://" in source or source in ("", "pi") or source.startswith("/") else str(tmp_path / source)
    refused(run("run", "--camera", path, "--model", tiny, "--jsonl", "-"), code, words)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [(None, 66, "no such model file"), (b"hello", 66, "not a TFLite model"), ("half", 78, "damaged or truncated")],
)
def test_a_model_file_that_cannot_be_used(
    tmp_path: Path, tiny: Path, content: bytes | str | None, code: int, words: str
) -> None:
    path = tmp_path / "other.tflite"
    if content is not None:
        whole = tiny.read_bytes()
        path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    refused(run("run", "--camera", "scene", "--model", path, "--jsonl", "-"), code, words)


@needs_models
@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("posenet_wrong_model.tflite", 78, "not a pose model"),
        ("movenet_singlepose_lightning_int8_edgetpu.tflite", 69, "compiled for the Edge TPU"),
    ],
)
def test_a_model_of_another_kind(name: str, code: int, words: str) -> None:
    refused(run("run", "--camera", "scene", "--model", model(name), "--jsonl", "-"), code, words)


def test_a_model_that_is_nowhere_says_what_to_do() -> None:
    outcome = run("run", "--model", "movenet-multipose-lightning-f16", "--jsonl", "-", env=NO_MIRROR)
    refused(outcome, 69, "try again later", "other ways: edge-pose models fetch --help")
    helped = run("models", "fetch", "--help").out
    assert all(way in helped for way in ("EDGE_POSE_MODEL_MIRROR", "the cache", "a wheel", "--model FILE.tflite"))


def test_a_model_that_is_not_in_the_manifest_is_named_with_a_suggestion() -> None:
    outcome = run("run", "--model", "movenet-multipose-lightning-f61", "--jsonl", "-", env=NO_MIRROR)
    refused(outcome, 69, "did you mean 'movenet-multipose-lightning-f16'?")


def test_a_model_that_fails_its_digest_is_not_loaded(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "models.toml").write_text(
        f'[own]\nfile = "tiny.tflite"\nsha256 = "{"0" * 64}"\nkind = "multipose"\nlicence = "none"\n'
    )
    env = {"EDGE_POSE_MODEL_MIRROR": str(tmp_path), "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    outcome = run("run", "--model", "own", "--jsonl", "-", env=env)
    refused(outcome, 69, "wrong digest")
    assert tiny.exists()


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["run", "--foo"], 64, "--foo"),
        (["walk"], 64, "walk"),
        ([], 64, "no command given"),
        (["run", "--max-frames", "0"], 64, "--max-frames"),
        (["run"], 78, "no output"),
        (["run", "--jsonl", "-", "--set", "camera.fpss=3"], 78, "did you mean 'fps'?"),
        (["run", "--jsonl", "-", "--set", "model.size=250x250"], 78, "multiple of 32"),
        (["run", "--mqtt", "mqtt://user:geheim@host"], 78, "password"),
        (["run", "--mqtt", "ws://host"], 78, "--mqtt"),
        (["run", "--config", "/none.toml", "--jsonl", "-"], 66, "/none.toml"),
        (["run", "--jsonl", "/none/p.jsonl", "--camera", "scene"], 69, "/none/p.jsonl"),
    ],
)
@needs_models
def test_what_the_command_line_gets_wrong(words: list[str], code: int, expected: str) -> None:
    outcome = run(*words)
    refused(outcome, code, expected)
    assert "geheim" not in outcome.err


def test_every_mistake_in_a_config_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[camra]\n[camera]\nrotate = 45\n[poses]\nmin_score = "high"\n')
    outcome = run("config", "check", path)
    assert outcome.code == 78
    text = "\n".join(outcome.error_lines())
    for word in ("camra", "camera.rotate", "poses.min_score"):
        assert word in text
    assert len(outcome.error_lines()) == 3


def test_a_config_that_init_wrote_has_no_mistakes_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    assert run("config", "init", path).code == 0
    assert run("config", "check", path).code == 0
    assert run("config", "show", path).out.startswith("[")
    refused(run("config", "init", path), 64, "already exists")


def test_secrets_in_a_stream_url_are_masked() -> None:
    outcome = run("config", "show", "--set", "camera.source=rtsp://user:geheim@cam/1")
    assert "geheim" not in outcome.out + outcome.err
    assert "rtsp://***@cam/1" in outcome.out


def test_a_reader_that_closes_the_pipe_ends_the_run_with_0(tiny: Path) -> None:
    command = start("run", "--camera", "scene", "--model", tiny, "--jsonl", "-")
    assert command.stdout is not None
    assert command.stderr is not None
    assert json.loads(command.stdout.readline())["seq"] == 0
    command.stdout.close()
    assert command.wait(10) == 0
    assert "Traceback" not in command.stderr.read()
    command.stderr.close()


@pytest.mark.parametrize("frames", [2, 40])
def test_a_slow_reader_of_a_file_gets_every_line(tmp_path: Path, tiny: Path, frames: int) -> None:
    video = write_video(tmp_path / "v.mp4", frames)
    with Manager(str(tmp_path / "notify")) as manager:
        command, reader = start_behind_a_full_pipe(
            "run", "--camera", video, "--model", tiny, "--jsonl", "-", "--no-pace",
            env={"NOTIFY_SOCKET": manager.address},
        )  # fmt: skip
        eventually(lambda: is_stuck_in_stdout(command), 60)
        if frames == 2:  # one is being written, one waits behind it: the file has been read to its end
            eventually(lambda: "STOPPING=1" in manager.lines)
            before = pauses_of(command)
            eventually(lambda: pauses_of(command) > before + 4)  # it waits a quarter of a second each time
        with os.fdopen(reader, "rb") as stream:
            assert len(stream.read().removeprefix(FILLING).splitlines()) == frames
        _, err = command.communicate(timeout=10)
    assert command.returncode == 0, err


def test_a_closed_reader_of_a_listing_is_no_error() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", *arguments("models", "list")],
        env=environment({"PYTHONUNBUFFERED": None}), stderr=subprocess.PIPE, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert "Exception ignored" not in done.stderr


def test_a_hang_up_stops_a_run(tiny: Path) -> None:
    command = start("run", "--camera", "scene", "--model", tiny, "--jsonl", "-")
    assert command.stdout is not None
    command.stdout.readline()
    command.send_signal(signal.SIGHUP)
    _, err = command.communicate(timeout=10)
    assert command.returncode == 0, err


def test_stdout_that_is_closed_from_the_start_is_one_line(tiny: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *arguments("run", "--camera", "scene", "--model", tiny, "--jsonl", "-")],
        env=environment(), stderr=subprocess.PIPE, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 69, done.stderr
    assert "stdout is closed" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_run_cleanly(tiny: Path, number: signal.Signals) -> None:
    command = start("run", "--camera", "scene", "--model", tiny, "--jsonl", "-")
    assert command.stdout is not None
    command.stdout.readline()
    command.send_signal(number)
    _, err = command.communicate(timeout=10)
    assert command.returncode == 0, err
    assert "offline (stopped)" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("loaded", ["", "/numpy/", "/cv2/", "/msgspec/", "/ai_edge_litert/", "/tiny.tflite"])
def test_a_signal_while_starting_leaves_no_traceback(tiny: Path, loaded: str) -> None:
    command = start("run", "--camera", "scene", "--model", tiny, "--jsonl", os.devnull)
    eventually(lambda: loaded in Path(f"/proc/{command.pid}/maps").read_text(), 60)
    command.send_signal(signal.SIGTERM)
    _, err = command.communicate(timeout=10)
    assert command.returncode in (0, -signal.SIGTERM), err  # Python itself was still starting
    assert "Traceback" not in err


STOPPED_WHERE_NOTHING_CAN_BE_RAISED = """
import signal, sys, threading, weakref
from edge.host.process import Signals, Stopped, leave

class Thing: pass

signals, thing = Signals(), Thing()
watched = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))

def printed():
    try:
        signal.raise_signal(signal.SIGTERM)
    except Stopped:
        sys.excepthook(*sys.exc_info())  # as PyErr_Print does

try:
    if sys.argv[1] == "callback":
        del thing
    else:
        printed()
    print(signals.came, flush=True)
    threading.Event().wait(60)
except Stopped:
    print("stopped")
    sys.excepthook(Stopped, Stopped(), None)  # once more, and it comes after the end
leave(0)
"""


@pytest.mark.parametrize("where", ["callback", "native code"])
def test_a_signal_where_python_can_raise_nothing_stops_all_the_same_and_leaves_no_traceback(where: str) -> None:
    """An import ends with such a callback, or runs such code, now and then at the moment of a signal."""
    command = [sys.executable, "-c", STOPPED_WHERE_NOTHING_CAN_BE_RAISED, where]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert (done.stdout, done.stderr) == ("True\nstopped\n", "")


def test_a_stop_while_stdout_is_blocked_does_not_hang(tiny: Path) -> None:
    command, reader = start_behind_a_full_pipe("run", "--camera", "scene", "--model", tiny, "--jsonl", "-", "--no-pace")
    eventually(lambda: is_stuck_in_stdout(command), 60)
    command.send_signal(signal.SIGTERM)
    _, err = command.communicate(timeout=10)
    os.close(reader)
    assert command.returncode == 0, err
    assert "output jsonl hangs" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_whose_last_output_is_blocked_can_be_stopped(number: signal.Signals) -> None:
    env = {**NO_MIRROR, "PYTHONUNBUFFERED": None}  # the output is flushed at the end
    command, reader = start_behind_a_full_pipe("models", "list", env=env)
    eventually(lambda: is_stuck_in_stdout(command), 60)
    command.send_signal(number)
    _, err = command.communicate(timeout=10)
    os.close(reader)
    assert (command.returncode, err) == (0, "")


def test_a_recording_is_finished_although_stdout_is_blocked(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out.mp4"
    video = write_video(tmp_path / "v.mp4", 40)
    with Manager(str(tmp_path / "notify")) as manager:
        command, reader = start_behind_a_full_pipe(
            "run", "--camera", video, "--loop", "--model", tiny, "--jsonl", "-", "--record", out,
            env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"},
        )  # fmt: skip
        eventually(lambda: is_stuck_in_stdout(command) and any(tmp_path.glob("out*.mp4*")), 60)
        seen = manager.lines.count("WATCHDOG=1")  # one for the frames of each quarter of a second
        eventually(lambda: manager.lines.count("WATCHDOG=1") > seen + 4, 60)
        command.send_signal(signal.SIGTERM)
        _, err = command.communicate(timeout=10)
    os.close(reader)
    assert command.returncode == 0, err
    assert "output jsonl hangs" in err
    assert "output record hangs" not in err
    recorded = cv2.VideoCapture(str(out))  # a file that was not finished has no index, and cannot be read
    assert recorded.get(cv2.CAP_PROP_FRAME_COUNT) > 10


FILLING = b"-" * 4096


def start_behind_a_full_pipe(
    *words: str | Path, env: Mapping[str, str | None] | None = None
) -> tuple[subprocess.Popen[str], int]:
    """Start a command whose stdout takes nothing before somebody reads; return it and where to read."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, len(FILLING))
    os.write(writer, FILLING)
    command = subprocess.Popen(
        arguments(*words), stdout=writer, stderr=subprocess.PIPE, text=True, env=environment(env)
    )
    os.close(writer)
    return command, reader


def is_stuck_in_stdout(command: subprocess.Popen[str]) -> bool:
    """Return whether one of its threads waits in a write to stdout."""
    assert command.poll() is None
    for task in Path(f"/proc/{command.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            if (task / "syscall").read_text().split()[1:2] == ["0x1"]:
                return True
    return False


def pauses_of(command: subprocess.Popen[str]) -> int:
    """Return how often its main thread has waited for something so far."""
    assert command.poll() is None
    status = Path(f"/proc/{command.pid}/task/{command.pid}/status").read_text()
    return int(status.split("voluntary_ctxt_switches:")[1].split()[0])


def test_a_model_that_cannot_be_used_is_refused_before_the_camera_is_asked(tmp_path: Path, tiny: Path) -> None:
    truncated = tmp_path / "cut.tflite"
    truncated.write_bytes(tiny.read_bytes()[:-200])
    with socket.create_server(("127.0.0.1", 0)) as camera:
        url = f"http://127.0.0.1:{camera.getsockname()[1]}/live"
        refused(run("run", "--camera", url, "--model", truncated, "--jsonl", "-"), 78, "cut.tflite")
        camera.setblocking(False)
        with pytest.raises(BlockingIOError):
            camera.accept()


def test_help_and_version_teach() -> None:
    assert run("--version").out.startswith("edge-pose 0.")
    text = run("run", "--help").out
    for word in ("--camera", "rtsp://", "exit codes", "examples"):
        assert word in text


@needs_models
def test_models_are_listed_shown_and_verified() -> None:
    listed = run("models", "list").out
    assert f"* {mirror_default()} " in listed
    assert "movenet-multipose-lightning-f16" in listed
    assert "sha256:" in run("models", "show").out
    assert run("models", "verify").code == 0


@needs_data
@needs_models
def test_the_street_gives_175_valid_messages() -> None:
    outcome = run(
        "run", "--camera", data("video/street_720p.mp4"), "--model", model("multipose_standin_f16.tflite"),
        "--jsonl", "-", "--no-pace",
    )  # fmt: skip
    found = messages(outcome)
    assert [message["seq"] for message in found] == list(range(175))
    for message in found:
        jsonschema.validate(message, schemas()["pose"])
    assert sum(bool(message["poses"]) for message in found) > 30  # the people are small, most of the time too small


def test_bench_of_a_model_that_is_nowhere_says_what_to_do() -> None:
    refused(run("bench", "--model", "movenet-multipose-lightning-f16", env=NO_MIRROR), 69, "--model FILE")


# --- what a run found and delivered ------------------------------------------------------------------------


def test_a_run_says_at_its_end_what_it_found_and_delivered(tmp_path: Path, tiny: Path) -> None:
    write_pictures(tmp_path / "pictures", count=3)
    done = run("run", "--camera", tmp_path / "pictures", "--model", tiny, "--no-pace", "--jsonl", tmp_path / "a.jsonl")
    assert done.code == 0
    line = done.err.splitlines()[-1]
    assert line.startswith("3 frames in ")
    assert line.endswith("; messages or frames delivered: jsonl 3")


def test_a_run_that_delivered_nothing_ends_with_69(tmp_path: Path, tiny: Path) -> None:
    write_pictures(tmp_path / "pictures", count=3)
    broker = f"mqtt://127.0.0.1:{free_port()}"
    done = run("run", "--camera", tmp_path / "pictures", "--model", tiny, "--no-pace", "--mqtt", broker)
    assert done.code == 69
    assert done.err.splitlines()[-1] == "edge-pose: nothing was delivered: mqtt took none of 3 results"
    both = run(
        "run", "--camera", tmp_path / "pictures", "--model", tiny, "--no-pace", "--mqtt", broker,
        "--jsonl", tmp_path / "a.jsonl",
    )  # fmt: skip
    assert both.code == 0
    assert "delivered: mqtt 0, jsonl 3" in both.err


# --- locales and home folders ------------------------------------------------------------------------------

LATIN = {"LC_ALL": None, "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["run", "--help"], ["watch", "--help"], ["config", "init"], ["config", "show"], ["models", "list"]],
)
def test_every_text_goes_into_a_pipe_whatever_the_locale(words: list[str]) -> None:
    done = subprocess.run(arguments(*words), env=environment(LATIN), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("utf-8") == run(*words).out
    assert b"bug" not in done.stderr


def test_a_config_written_into_a_pipe_can_be_read_again(tmp_path: Path) -> None:
    done = subprocess.run(
        arguments("config", "init"), env=environment(LATIN), capture_output=True, check=True, timeout=60
    )
    (tmp_path / "a.toml").write_bytes(done.stdout)
    assert run("config", "check", tmp_path / "a.toml").code == 0


# --- config commands ---------------------------------------------------------------------------------------


def test_a_config_that_init_wrote_for_a_camera_and_a_broker_is_ready(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    made = run("config", "init", file, "--camera", "scene", "--mqtt", "mqtt://127.0.0.1")
    assert made.out.splitlines()[-1] == f"next: edge-pose run --config {file}"
    assert run("config", "check", file).out == f"{file}: no mistakes found\n"
    shown = run("config", "show", file).out
    assert 'source = "scene"' in shown
    assert 'url = "mqtt://127.0.0.1"' in shown


def test_a_config_without_an_output_is_checked_with_a_word(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    made = run("config", "init", file)
    assert (
        made.out.splitlines()[-1] == f"next: set camera.source and mqtt.url in it, then edge-pose run --config {file}"
    )
    done = run("config", "check", file)
    assert done.code == 0
    assert done.out.splitlines()[-1] == "nothing is published: mqtt.url is empty, and there is no other output"
    assert run("config", "check", file, "--set", "output.display=true").out == f"{file}: no mistakes found\n"


def test_init_refuses_what_the_run_would_refuse(tmp_path: Path) -> None:
    done = run("config", "init", tmp_path / "a.toml", "--mqtt", "tcp://hall")
    assert (done.code, done.err) == (78, "edge-pose: mqtt.url (--mqtt): tcp:// is written mqtt:// here\n")
    assert not (tmp_path / "a.toml").exists()


def test_a_dash_is_stdout_for_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("config", "init", "-").out == run("config", "init").out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["help"], ["help", "run"]])
def test_help_is_a_command_too(words: list[str]) -> None:
    assert run(*words).out == run(*words[1:], "--help").out
