"""Which model a run takes: a name is a choice, and where the default cannot be had it is the starter."""

import hashlib
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from brokers import free_port
from edge.agent.loading import LoadedEngine, load_engine
from edge.config import Config, load
from edge.config.schema import ModelConfig
from edge.errors import ConfigError, InputError, ModelError, UnavailableError
from edge.models.places import Places
from edge.models.selection import STARTER, Choice, RetryPolicy, find_requested, is_transient, select
from http_server import FaultyServer, file, serving, status
from tiny_models import echo_model

DEFAULT = "movenet-multipose-lightning-f16"
PATIENT = RetryPolicy(start_s=60, start_pause_s=0.01)
SERVICE = {"NOTIFY_SOCKET": "@made-up"}
IMPATIENT = RetryPolicy(start_s=0)


def chosen(config: ModelConfig, environ: Mapping[str, str], **options: Any) -> Choice:
    """The model that a run takes where every model loads."""
    return select(config, lambda _: None, environ, **options)[1]


def loaded(config: Config, environ: Mapping[str, str]) -> tuple[LoadedEngine, Choice]:
    return select(config.model, lambda choice: load_engine(config, choice=choice), environ)


def mirror_manifest(content: bytes, *, url: str = "") -> bytes:
    lines = ['default = "own"', "[own]", 'file = "own.tflite"', 'kind = "multipose"', 'licence = "MIT"']
    lines += [f'sha256 = "{hashlib.sha256(content).hexdigest()}"', *([f'url = "{url}"'] if url else [])]
    return "\n".join(lines).encode()


def is_starter(choice: Choice) -> bool:
    assert bool(choice.fallback_reason) == (choice.model.name == STARTER)
    return choice.model.name == STARTER


def test_where_no_mirror_answers_the_starter_is_used_and_one_line_says_why(
    offline: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    choice = chosen(ModelConfig(), offline)
    assert (choice.model.name, choice.model.source) == (STARTER, "package")
    assert choice.fallback_reason == "starter in place of the default, which could not be had"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "'starter' from the package is used, which finds fewer people, and hardly anybody close to the camera; "
        "the next start tries for the default again: "
        "http://127.0.0.1:9/models.toml: connection refused"
    )


@pytest.mark.parametrize(
    "config",
    [ModelConfig(name=DEFAULT), ModelConfig(name="movenet-lightning-heads-int8"), ModelConfig(delegate="edgetpu")],
)
def test_what_was_chosen_is_not_replaced(offline: dict[str, str], config: ModelConfig) -> None:
    with pytest.raises(UnavailableError, match="connection refused"):
        chosen(config, offline)


def test_a_file_that_is_not_there_is_not_replaced(offline: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model file"):
        chosen(ModelConfig(file=str(tmp_path / "gone.tflite")), offline)


def test_a_file_needs_no_mirror(tmp_path: Path) -> None:
    path = echo_model(tmp_path / "own.tflite")
    choice = chosen(ModelConfig(file=str(path)), {"EDGE_POSE_MODEL_MIRROR": str(tmp_path / "gone")})
    assert (choice.model.path, choice.fallback_reason) == (path, "")


def test_who_asks_for_one_model_gets_no_other(offline: dict[str, str]) -> None:
    with pytest.raises(UnavailableError, match="connection refused"):
        find_requested(ModelConfig(), offline)


def test_where_the_starter_is_damaged_too_both_reasons_are_given(offline: dict[str, str], tmp_path: Path) -> None:
    words = r"connection refused; bundled model 'starter' is damaged .* reinstall edge-pose"
    with pytest.raises(UnavailableError, match=words) as caught:
        chosen(ModelConfig(), offline, bundled=Places(None, tmp_path, package=tmp_path))
    assert "\n" not in str(caught.value)


def test_a_mirror_folder_that_is_not_mounted_leaves_the_starter(tmp_path: Path) -> None:
    environ = {"EDGE_POSE_MODEL_MIRROR": str(tmp_path / "gone"), "EDGE_POSE_CACHE": str(tmp_path)}
    assert is_starter(chosen(ModelConfig(), environ))


def test_a_default_that_a_mirror_folder_promises_and_lacks_leaves_the_starter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "models.toml").write_bytes(mirror_manifest(b"TFL3"))
    environ = {"EDGE_POSE_MODEL_MIRROR": str(tmp_path), "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    assert is_starter(chosen(ModelConfig(), environ))
    assert "model 'own' is not on this machine" in caplog.text


def test_a_default_of_another_content_leaves_the_starter(server: FaultyServer, tmp_path: Path) -> None:
    server.on("/models.toml", file(mirror_manifest(b"TFL3 right")))
    server.on("/own.tflite", file(b"TFL3 wrong"))
    environ = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path)}
    assert is_starter(chosen(ModelConfig(), environ))


def test_a_cache_that_cannot_be_written_leaves_the_starter(server: FaultyServer, tmp_path: Path) -> None:
    server.on("/models.toml", file(mirror_manifest(b"TFL3")))
    server.on("/own.tflite", file(b"TFL3"))
    (tmp_path / "cache").write_text("a file")
    environ = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    assert is_starter(chosen(ModelConfig(), environ))


def test_a_default_that_can_be_had_is_used(server: FaultyServer, tmp_path: Path) -> None:
    server.on("/models.toml", file(mirror_manifest(b"TFL3")))
    server.on("/own.tflite", file(b"TFL3"))
    environ = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path)}
    choice = chosen(ModelConfig(), environ)
    assert (choice.model.name, choice.model.source, choice.fallback_reason) == ("own", "cache", "")


def test_mistakes_in_a_manifest_are_never_covered_up(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("default = 3\n")
    with pytest.raises(ConfigError, match="default: 3 is not one of the models"):
        chosen(ModelConfig(), {"EDGE_POSE_MODEL_MIRROR": str(tmp_path), "EDGE_POSE_CACHE": str(tmp_path)})


@pytest.mark.parametrize("name", ["", STARTER])
def test_a_size_for_the_default_is_a_size_for_the_starter(offline: dict[str, str], name: str) -> None:
    config = load(None, {"model.name": name, "model.size": "64x96"})
    engine = load_engine(config, choice=chosen(config.model, offline))
    assert (engine.name, engine.size_for((1280, 720)).input_size) == (STARTER, (96, 64))


class OnWaiting(logging.Handler):
    """Starts serving once a log line says that there is no network yet."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.is_over = threading.Event()
        self.thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if "no network for the model yet" in record.getMessage() and self.thread is None:
            is_up = threading.Event()
            self.thread = threading.Thread(target=self._serve, args=(is_up,))
            self.thread.start()
            assert is_up.wait(10)

    def _serve(self, is_up: threading.Event) -> None:
        with serving(port=self._port) as server:
            server.on("/models.toml", file(mirror_manifest(b"TFL3")))
            server.on("/own.tflite", file(b"TFL3"))
            is_up.set()
            self.is_over.wait(60)


def test_a_service_waits_for_the_network_before_it_takes_the_starter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    environ = {"EDGE_POSE_MODEL_MIRROR": f"http://127.0.0.1:{port}", "EDGE_POSE_CACHE": str(tmp_path)}
    handler = OnWaiting(port)
    log = logging.getLogger("edge.models.selection")
    log.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "edge.models.selection"):
            choice = chosen(ModelConfig(), environ | SERVICE, policy=PATIENT)
    finally:
        log.removeHandler(handler)
        handler.is_over.set()
        if handler.thread is not None:
            handler.thread.join(10)
    assert (choice.model.name, choice.fallback_reason) == ("own", "")


def test_a_service_waits_for_a_server_that_is_busy(server: FaultyServer, tmp_path: Path) -> None:
    server.on("/models.toml", status(503), file(mirror_manifest(b"TFL3")))
    server.on("/own.tflite", file(b"TFL3"))
    environ = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path), "NOTIFY_SOCKET": "@made-up"}
    assert not is_starter(chosen(ModelConfig(), environ, policy=PATIENT))


class OnMounting(logging.Handler):
    """Makes a mirror folder appear once a log line says that the service waits."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def emit(self, _record: logging.LogRecord) -> None:
        part = self._folder.with_name("part")
        part.mkdir()
        (part / "own.tflite").write_bytes(b"TFL3")
        (part / "models.toml").write_bytes(mirror_manifest(b"TFL3"))
        part.rename(self._folder)


def test_a_service_waits_for_a_mirror_folder_that_is_mounted_late(tmp_path: Path) -> None:
    environ = {"EDGE_POSE_MODEL_MIRROR": str(tmp_path / "mirror"), "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    log, handler = logging.getLogger("edge.models.selection"), OnMounting(tmp_path / "mirror")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        choice = chosen(ModelConfig(), environ | SERVICE, policy=PATIENT)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    assert (choice.model.name, choice.fallback_reason) == ("own", "")


@pytest.mark.parametrize("mirror", ["/nonexistent/mirror", "http://127.0.0.1:9"])
def test_the_starter_by_name_needs_no_mirror(mirror: str, tmp_path: Path) -> None:
    environ = {"EDGE_POSE_MODEL_MIRROR": mirror, "EDGE_POSE_CACHE": str(tmp_path)}
    choice = chosen(ModelConfig(name=STARTER), environ)
    assert (choice.model.name, choice.model.source, choice.fallback_reason) == (STARTER, "package", "")


def test_a_service_says_once_that_it_waits_and_waits_no_longer_than_it_may(
    offline: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    environ = offline | SERVICE
    with caplog.at_level(logging.INFO):
        assert is_starter(chosen(ModelConfig(), environ, policy=RetryPolicy(start_s=0.5, start_pause_s=0.01)))
    assert caplog.text.count("no network for the model yet, or no mirror: trying for 0.5 s") == 1


def test_a_service_does_not_wait_after_a_permanent_failure(
    server: FaultyServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("/models.toml", file(mirror_manifest(b"TFL3", url=f"{server.url}/m")))
    server.on("/m", status(404))
    environ = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path), "NOTIFY_SOCKET": "@made-up"}
    with caplog.at_level(logging.INFO):
        assert is_starter(chosen(ModelConfig(), environ, policy=RetryPolicy(start_s=1e6)))
    assert "no network for the model yet" not in caplog.text


def test_a_service_that_could_not_reach_the_default_goes_on_trying_and_says_so(
    offline: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    choice = chosen(ModelConfig(), offline | SERVICE, policy=IMPATIENT)
    assert is_starter(choice)
    assert str(choice.retry_error) == "http://127.0.0.1:9/models.toml: connection refused"
    assert (
        "close to the camera; the service goes on trying for the default: http://127.0.0.1:9/models.toml: "
        in caplog.text
    )
    assert "next start" not in caplog.text


def test_a_service_whose_mirror_is_not_mounted_goes_on_trying(tmp_path: Path) -> None:
    environ = {"EDGE_POSE_MODEL_MIRROR": str(tmp_path / "gone"), "EDGE_POSE_CACHE": str(tmp_path)}
    assert "is not a folder" in str(chosen(ModelConfig(), environ | SERVICE, policy=IMPATIENT).retry_error)


def test_who_is_no_service_does_not_go_on_trying(offline: dict[str, str]) -> None:
    choice = chosen(ModelConfig(), offline)
    assert is_starter(choice)
    assert choice.retry_error is None


def test_a_service_does_not_wait_after_a_permanent_failure_but_goes_on_trying(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.on("/models.toml", file(mirror_manifest(b"TFL3")))
    environ = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path)}
    choice = chosen(ModelConfig(), environ | SERVICE, policy=RetryPolicy(start_s=1e6))
    assert is_starter(choice)
    assert choice.retry_error is not None
    assert not is_transient(choice.retry_error, environ)


def test_a_mirror_that_may_not_be_looked_at_is_not_there_yet(tmp_path: Path) -> None:
    unlookable = str(tmp_path / ("x" * 300))  # longer than any name may be; missing rights end in the same way
    environ = {"EDGE_POSE_MODEL_MIRROR": unlookable, "EDGE_POSE_CACHE": str(tmp_path)}
    choice = chosen(ModelConfig(), environ | SERVICE, policy=IMPATIENT)
    assert is_starter(choice)
    assert choice.retry_error is not None
    assert is_transient(choice.retry_error, environ)


def folder_with_default(tmp_path: Path, content: bytes) -> dict[str, str]:
    (tmp_path / "own.tflite").write_bytes(content)
    (tmp_path / "models.toml").write_bytes(mirror_manifest(content))
    return {"EDGE_POSE_MODEL_MIRROR": str(tmp_path), "EDGE_POSE_CACHE": str(tmp_path / "cache")}


def test_a_default_that_does_not_load_is_replaced_by_the_starter_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = folder_with_default(tmp_path, b"\x1c\0\0\0TFL3 and no more") | SERVICE
    config = load(None, {})
    engine, choice = loaded(config, environ)
    assert engine.name == STARTER
    assert is_starter(choice)
    assert choice.fallback_reason == "starter in place of the default, which cannot be used"
    assert choice.retry_error is None  # it is here already
    assert "own.tflite: " in caplog.text


def test_a_model_by_name_that_does_not_load_is_not_replaced(tmp_path: Path) -> None:
    environ = folder_with_default(tmp_path, b"\x1c\0\0\0TFL3 and no more")
    config = load(None, {"model.name": "own"})
    with pytest.raises(ModelError, match=r"own\.tflite"):
        loaded(config, environ)


def test_a_size_that_the_default_has_not_is_a_mistake_and_no_reason_for_the_starter(tmp_path: Path) -> None:
    content = echo_model(tmp_path / "made.tflite", height=64, width=96).read_bytes()
    environ = folder_with_default(tmp_path, content)
    config = load(None, {"model.size": "32x160"})
    with pytest.raises(ConfigError, match="is fixed at 64x96"):
        loaded(config, environ)


def test_a_default_in_the_cache_is_used_when_its_mirror_is_gone_again(tmp_path: Path) -> None:
    environ = {"EDGE_POSE_CACHE": str(tmp_path / "cache")}
    with serving() as server:
        server.on("/models.toml", file(mirror_manifest(b"TFL3")))
        server.on("/own.tflite", file(b"TFL3"))
        environ["EDGE_POSE_MODEL_MIRROR"] = server.url
        find_requested(ModelConfig(), environ)
    choice = chosen(ModelConfig(), environ | SERVICE, policy=IMPATIENT)
    assert (choice.model.name, choice.model.source, choice.fallback_reason, choice.retry_error) == (
        "own",
        "cache",
        "",
        None,
    )


def test_without_fetching_only_what_is_on_this_machine_counts(server: FaultyServer, tmp_path: Path) -> None:
    server.on("/models.toml", file(mirror_manifest(b"TFL3")))
    server.on("/own.tflite", file(b"TFL3"))
    environ = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path)}
    with pytest.raises(UnavailableError, match="model 'own' is not on this machine"):
        find_requested(ModelConfig(), environ, fetch=None)
    assert server.count("/own.tflite") == 0
    find_requested(ModelConfig(), environ)
    assert find_requested(ModelConfig(), environ, fetch=None).model.source == "cache"
