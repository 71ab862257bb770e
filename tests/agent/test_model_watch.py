"""A service on the starter tries for the default, quietly, until it is here and sure to be taken by the next start."""

import hashlib
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from brokers import eventually
from edge.agent.model_watch import ModelWatch
from edge.agent.parts import make_model_watch
from edge.config import load
from edge.config.schema import ModelConfig
from edge.config.source import Source, SourceKind
from edge.download.http import TransferError
from edge.errors import UnavailableError
from edge.models.selection import Choice, RetryPolicy, select
from http_server import FaultyServer, file, stall, status
from tiny_models import echo_model

NO_FILE = TransferError("http://127.0.0.1:9/models.toml: connection refused", "later")


def chosen(config: ModelConfig, environ: Mapping[str, str], **options: Any) -> Choice:
    """The model that a run takes where every model loads."""
    return select(config, lambda _: None, environ, **options)[1]


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    return echo_model(tmp_path / "made.tflite", height=64, width=96).read_bytes()


@pytest.fixture
def online(tmp_path: Path, server: FaultyServer) -> dict[str, str]:
    return {"EDGE_POSE_CACHE": str(tmp_path / "cache"), "EDGE_POSE_MODEL_MIRROR": server.url}


def manifest(content: bytes, more: str = "") -> bytes:
    lines = ['default = "own"', "[own]", 'file = "own.tflite"', 'kind = "multipose"', 'licence = "MIT"', more]
    return "\n".join([*lines, f'sha256 = "{hashlib.sha256(content).hexdigest()}"']).encode()


def publish(server: FaultyServer, content: bytes, more: str = "") -> None:
    server.on("/models.toml", file(manifest(content, more)))
    server.on("/own.tflite", file(content))


class Pauses:
    """Lets no time pass: something happens in each pause, and the watch is stopped in the one after the last."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self._events = list(events)
        self.lengths_s: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.lengths_s.append(seconds)
        if not self._events:
            return True
        self._events.pop(0)()
        return False


def nothing() -> None:
    """Nothing happens in this pause."""


def watch(
    environ: Mapping[str, str],
    wait: Callable[[float], bool] | None,
    *,
    config: ModelConfig | None = None,
    reason: UnavailableError = NO_FILE,
) -> tuple[ModelWatch, list[str]]:
    here: list[str] = []
    policy = RetryPolicy(first_s=60, max_s=900, permanent_error_s=86400)
    config = config or ModelConfig()
    made = ModelWatch(config, lambda: here.append("here"), reason=reason, environ=environ, policy=policy, wait=wait)
    return made, here


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]


def is_over() -> bool:
    return all(thread.name != "model-watch" for thread in threading.enumerate())


def test_tries_grow_rarer_up_to_a_limit(offline: dict[str, str]) -> None:
    pauses = Pauses(*[nothing] * 6)
    made, here = watch(offline, pauses)
    made.work()
    assert pauses.lengths_s == [60, 120, 240, 480, 900, 900, 900]
    assert here == []


def test_a_default_that_is_available_at_last_is_fetched_and_reported_once(
    online: dict[str, str], server: FaultyServer, model: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("/models.toml", status(503))
    pauses = Pauses(lambda: publish(server, model), nothing)
    made, here = watch(online, pauses)
    with caplog.at_level(logging.INFO):
        made.work()
    assert here == ["here"]
    assert pauses.lengths_s == [60]
    assert warned(caplog) == []
    server.on("/models.toml", status(503))
    choice = chosen(ModelConfig(), online)
    assert (choice.model.name, choice.model.source) == ("own", "cache")


def test_a_mirror_folder_that_is_mounted_at_last_is_seen(tmp_path: Path, model: bytes) -> None:
    folder = tmp_path / "mirror"
    environ = {"EDGE_POSE_CACHE": str(tmp_path / "cache"), "EDGE_POSE_MODEL_MIRROR": str(folder)}

    def mount() -> None:
        folder.mkdir()
        (folder / "models.toml").write_bytes(manifest(model))
        (folder / "own.tflite").write_bytes(model)

    pauses = Pauses(nothing, mount, nothing)
    made, here = watch(environ, pauses)
    made.work()
    assert here == ["here"]
    assert pauses.lengths_s == [60, 120]


def test_only_a_reason_that_is_new_is_logged(
    offline: dict[str, str], online: dict[str, str], server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("/models.toml", status(503))
    environ = dict(offline)
    made, _ = watch(environ, Pauses(nothing, nothing, lambda: environ.update(online), nothing, nothing))
    with caplog.at_level(logging.DEBUG, "edge.agent.model_watch"):
        made.work()
    (line,) = warned(caplog)
    assert line == f"still no default model, next try in 480 s: {server.url}/models.toml: HTTP 503 Service Unavailable"
    assert len([record for record in caplog.records if record.name == "edge.agent.model_watch"]) == 5


def test_after_a_permanent_failure_tries_are_rare(
    online: dict[str, str], server: FaultyServer, model: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("/models.toml", file(manifest(model)))
    server.on("/own.tflite", file(model + b"?"))
    pauses = Pauses(nothing, nothing, lambda: publish(server, model))
    made, here = watch(online, pauses)
    made.work()
    assert pauses.lengths_s == [60, 86400, 86400]
    assert here == ["here"]
    (line,) = warned(caplog)
    assert line.startswith("still no default model, next try in 86400 s: model 'own' cannot be fetched: ")


def test_after_a_permanent_failure_at_the_start_the_first_try_is_late(offline: dict[str, str]) -> None:
    pauses = Pauses(nothing)
    made, _ = watch(offline, pauses, reason=TransferError("404", "never"))
    made.work()
    assert pauses.lengths_s == [86400, 120]


def test_mistakes_in_a_manifest_are_logged_once_and_rarely_tried_again(
    online: dict[str, str], server: FaultyServer, model: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("/models.toml", file(b"default = 3\n"))
    pauses = Pauses(nothing, nothing, lambda: publish(server, model))
    made, here = watch(online, pauses)
    made.work()
    assert (here, pauses.lengths_s) == (["here"], [60, 86400, 86400])
    (line,) = warned(caplog)
    assert "default: 3 is not one of the models" in line


def test_a_mirror_that_may_not_be_looked_at_is_tried_again(offline: dict[str, str], tmp_path: Path) -> None:
    pauses = Pauses(nothing, nothing)
    made, _ = watch(offline | {"EDGE_POSE_MODEL_MIRROR": str(tmp_path / ("x" * 300))}, pauses)
    made.work()
    assert pauses.lengths_s == [60, 120, 240]


def test_a_default_that_the_next_start_could_not_load_leaves_the_starter_running(
    online: dict[str, str], server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    publish(server, b"\x1c\0\0\0TFL3 and no more")
    made, here = watch(online, Pauses(nothing, nothing))
    made.work()
    assert here == []
    (line,) = warned(caplog)
    assert line.startswith("the default model is here and cannot be used, the service stays with the starter: ")
    assert "own.tflite: " in line


def test_a_default_that_has_not_the_size_of_the_config_leaves_the_starter_running(
    online: dict[str, str], server: FaultyServer, model: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    publish(server, model)
    made, here = watch(online, Pauses(nothing, nothing), config=ModelConfig(size="32x160"))
    made.work()
    assert here == []
    (line,) = warned(caplog)
    assert "the input of own.tflite is fixed at 64x96" in line


def test_a_default_that_the_next_start_would_not_find_does_not_count(
    online: dict[str, str], server: FaultyServer, model: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    publish(server, model)
    server.on("/models.toml", file(manifest(model)), file(manifest(model + b"?")))  # another one a moment later
    made, here = watch(online, Pauses(nothing))
    made.work()
    assert here == []
    (line,) = warned(caplog)
    assert "model 'own' is not on this machine" in line


def test_a_default_for_the_edge_tpu_is_not_loaded_by_this_process(online: dict[str, str], server: FaultyServer) -> None:
    publish(server, b"\x1c\0\0\0TFL3 compiled", 'delegate = "edgetpu"')
    made, here = watch(online, Pauses(nothing))
    made.work()
    assert here == ["here"]


def test_log_lines_of_the_downloader_are_not_repeated_with_every_try(
    tmp_path: Path, model: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "models.toml").write_bytes(manifest(model))
    (tmp_path / "own.tflite").write_bytes(b"another")
    environ = {"EDGE_POSE_CACHE": str(tmp_path / "cache"), "EDGE_POSE_MODEL_MIRROR": str(tmp_path)}
    made, _ = watch(environ, Pauses(nothing, nothing))
    made.work()
    (line,) = warned(caplog)
    assert line.endswith("or give a file: --model FILE.tflite")
    chosen(ModelConfig(), environ)  # any other fetch still logs them
    assert "own.tflite: is not the file of model 'own' (wrong digest): not used" in caplog.text


def test_a_stop_during_a_download_waits_for_nothing_and_calls_nothing(
    online: dict[str, str], server: FaultyServer, model: bytes
) -> None:
    server.on("/models.toml", file(manifest(model)))
    server.on("/own.tflite", stall(model, 100), file(model))
    made, here = watch(online, lambda _: False)
    made.start()
    eventually(lambda: server.count("/own.tflite"))
    made.stop()
    assert not is_over()
    server.gate.set()
    eventually(is_over)
    assert here == []


def test_a_watch_that_is_stopped_ends_without_a_try(online: dict[str, str], server: FaultyServer) -> None:
    made, here = watch(online, None)
    made.start()
    made.stop()
    eventually(is_over)
    assert (here, server.requests) == ([], [])


def test_it_is_not_loaded_where_it_is_not_needed() -> None:
    code = (
        "import sys, edge.agent.run; print([name for name in sys.modules if 'model_watch' in name or 'http' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("kind", "count"), [("scene", 1), ("v4l2", 1), ("video", 0), ("images", 0)])
def test_a_file_is_not_cut_short_for_the_default(offline: dict[str, str], kind: SourceKind, count: int) -> None:
    policy = RetryPolicy(start_s=0)
    choice = chosen(ModelConfig(), offline | {"NOTIFY_SOCKET": "@made-up"}, policy=policy)
    assert choice.retry_error is not None
    watches = make_model_watch(Source(kind, "hall", "hall"), load(None, {}), choice, lambda: None, policy)
    assert len(watches) == count
