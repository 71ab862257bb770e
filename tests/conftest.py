"""What tests share: `--no-skips`, for machines that must have everything; steady examples; signals; fixtures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from brokers import ANONYMOUS, Mosquitto
from command import restore_child_signals
from http_server import FaultyServer, serving
from older_libraries import says_the_same

# The same examples every time, and no limit on the time of one: a busy machine is no mistake.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

restore_child_signals()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failure")
    parser.addoption(
        "--older-libraries", action="store_true", help="leave out files that neither NumPy nor OpenCV can change"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--older-libraries"):
        left_out = [item for item in items if says_the_same(item.path)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not says_the_same(item.path)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, which --no-skips forbids: {report.longrepr}"
    return report


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A valid MultiPose-shaped model that finds whatever the first pixels say."""
    from tiny_models import echo_model  # LiteRT, which the training may only import after PyTorch

    return echo_model(tmp_path / "tiny.tflite", height=64, width=96)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that runs, and lets everybody in."""
    running = Mosquitto(tmp_path, ANONYMOUS).start()
    yield running
    running.kill()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """An HTTP server without an answer so far."""
    with serving() as running:
        yield running


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """Variables of a machine without model, with a mirror that nobody serves."""
    return {"EDGE_POSE_CACHE": str(tmp_path / "cache"), "EDGE_POSE_MODEL_MIRROR": "http://127.0.0.1:9"}
